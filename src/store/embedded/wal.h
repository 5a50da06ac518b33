/* Which of the writer's commits are proven to be on the disk.
 *
 * The kernel may forget what it could not write: after a sync that failed, the success of the next
 * one proves nothing about the data of the first. So everything that a failed sync had to write is
 * written again. SQLite does that for the frames of the commit only; docs/store.md says what is
 * done for the rest. Used by the writer's thread. */
#ifndef CM_STORE_EMBEDDED_WAL_H
#define CM_STORE_EMBEDDED_WAL_H

#include "base/err.h"

#include <sqlite3.h>
#include <stdbool.h>

typedef struct cm_wal cm_wal_t;

/* Takes over the log of a writer's connection: checkpoints follow its commits, and their failures
 * are noted. `crashed`: a process has left a log that it has not closed; the log is written again
 * and synced, because its last sync may have failed. `path`: of the database, borrowed. CM_EIO when
 * the disk does not take the log. */
int cm_wal_open(sqlite3 *db, const char *path, bool crashed, cm_wal_t **wal, cm_err_t *err);

/* Whether SQLite's last error on the connection is a sync that failed, which is noted. */
bool cm_wal_note(cm_wal_t *wal);

/* After a sync has failed, and outside of a transaction: writes all that is not proven to be on the
 * disk again and syncs it. Otherwise does nothing. CM_EDISK when this fails too, also in all later
 * calls. */
int cm_wal_prove(cm_wal_t *wal, cm_err_t *err);

/* Before the connection is closed. Returns whether all of the log is proven; else SQLite leaves it
 * as it is. */
bool cm_wal_free(cm_wal_t *wal);

#endif
