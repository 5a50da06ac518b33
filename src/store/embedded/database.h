/* The one SQLite file of a data directory, and the lock that makes its owner the only writer.
 *
 * Tables and their meaning: docs/store.md. WAL mode with synchronous=FULL: what is committed
 * survives a loss of power, and readers never wait for the writer. A connection belongs to one
 * thread. */
#ifndef CM_STORE_EMBEDDED_DATABASE_H
#define CM_STORE_EMBEDDED_DATABASE_H

#include "store/embedded/claim.h"
#include "store/embedded/wal.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct cm_database {
    sqlite3 *db;
    char *path;    /* of the file */
    int lock_fd;   /* -1: opened for reading */
    cm_wal_t *wal; /* NULL: the same */
    cm_claim_t *claim;
    int version;  /* its format; 1 only where it was opened for reading: blocks have no `extra` */
    bool crashed; /* the writer before did not end in order */
    /* Opened in a directory that cannot be written: SQLite neither locks the file nor sees what
     * another process writes there, so this is checked here. */
    bool frozen;
    struct cm_database_state {
        int64_t inode, size, changed_ns, log_size;
    } state; /* when it was opened */
} cm_database_t;

/* Opens the data directory for writing: creates it and the file where missing, takes the lock. The
 * only writer may hold several handles through cm_database_open_read(). CM_EBUSY when another
 * process holds it, CM_EVERSION, CM_ECORRUPT, CM_EIO. */
int cm_database_open_write(const char *data_dir, cm_database_t *database, cm_err_t *err);

/* Before and after each transaction of a writer: what is not proven to be on the disk is written
 * again (wal.h), and the files must still be where they were opened (claim.h). CM_EDISK, CM_EIO. */
int cm_database_check(const cm_database_t *database, cm_err_t *err);

/* Opens for reading only, beside a writer. CM_EINPUT when there is no database yet. A directory
 * that cannot be written is not changed; what a crashed process has left in the log is read there
 * as well. */
int cm_database_open_read(const char *data_dir, cm_database_t *database, cm_err_t *err);

/* The same for a store that no process writes, perhaps a damaged one: nothing is made or changed,
 * whatever the rights of the directory are. CM_ECORRUPT. */
int cm_database_open_aside(const char *data_dir, cm_database_t *database, cm_err_t *err);

/* False when a frozen database was written by another process since it was opened: what was read
 * of it may be wrong. It must be opened again. */
bool cm_database_is_fresh(const cm_database_t *database);

/* CM_EBUSY when it is not fresh. */
int cm_database_check_fresh(const cm_database_t *database, cm_err_t *err);

/* Bytes that it takes on the disk, with its log. */
int64_t cm_database_size(const cm_database_t *database);

void cm_database_close(cm_database_t *database);

/* Turns SQLite's last error into a code and a sentence that begins with `doing`. */
int cm_database_fail(const cm_database_t *database, const char *doing, cm_err_t *err);

/* Runs statements without results. */
int cm_database_exec(const cm_database_t *database, const char *sql, const char *doing,
                     cm_err_t *err);

/* Prepares a statement; the caller finalizes it. */
int cm_database_prepare(const cm_database_t *database, const char *sql, sqlite3_stmt **statement,
                        cm_err_t *err);

/* Runs a statement that gives no row, and resets it. */
int cm_database_step(const cm_database_t *database, sqlite3_stmt *statement, const char *doing,
                     cm_err_t *err);

/* The value of a query for one integer; `fallback` when it gives no row or NULL. */
int cm_database_int(const cm_database_t *database, const char *sql, int64_t fallback,
                    int64_t *value, cm_err_t *err);

/* Whether the file has a table or view of this name. */
int cm_database_has(const cm_database_t *database, const char *table, bool *has, cm_err_t *err);

#endif
