/* The claim of this process on a database file: the lock of the file itself, which keeps a second
 * writer out even when the file `lock` was deleted; and the check that the file is still where it
 * was opened.
 *
 * A process loses all of SQLite's locks on a file as soon as it closes any descriptor of that file
 * (POSIX). So each connection of the process has a claim, and the one descriptor that the lock
 * needs is closed with the last claim. The lock is a lock of an open file (OFD), which is not lost
 * this way, on one byte after those that SQLite locks: over NFS a lock of the whole file, as
 * flock() takes it, would keep SQLite out. All functions may be called by several threads. */
#ifndef CM_STORE_EMBEDDED_CLAIM_H
#define CM_STORE_EMBEDDED_CLAIM_H

#include "base/err.h"

#include <stdbool.h>

typedef struct cm_claim cm_claim_t;

/* Notes a connection to the file; `path` is copied. After SQLite has opened it. */
cm_claim_t *cm_claim_new(const char *path);

/* Takes the lock of the file; it is kept until cm_claim_free(). CM_EBUSY when another writer has
 * it, of this process or of another. A file system without such locks keeps no process out. */
int cm_claim_lock(cm_claim_t *claim, cm_err_t *err);

/* Whether a writer has the lock of the file; for a process without a connection to it. */
bool cm_claim_is_taken(const char *path);

/* Remembers which files are at the path now: the database, its log, and the log's index. Called
 * when all three exist. */
void cm_claim_settle(cm_claim_t *claim);

/* CM_EIO when one of them has been deleted or replaced since: what is written now would be lost. */
int cm_claim_check(const cm_claim_t *claim, cm_err_t *err);

/* Releases the lock. After SQLite has closed its connection. NULL is fine. */
void cm_claim_free(cm_claim_t *claim);

#endif
