/* Where the tables of the store end: the ordinal after the last event, and the id after the last
 * string of each dictionary.
 *
 * A writer knows these numbers and appends there. If there is a second writer although the locks
 * forbid it (an older version, a file system without locks), a transaction that begins with this
 * check does not overwrite what the other has written. One thread, that of the connection. */
#ifndef CM_STORE_EMBEDDED_ENDS_H
#define CM_STORE_EMBEDDED_ENDS_H

#include "store/embedded/database.h"
#include "store/store.h"

typedef struct cm_ends {
    int64_t events;
    int64_t strings[CM_FIELD_COUNT];
} cm_ends_t;

/* The statement that reads them; the caller finalizes it. */
int cm_ends_prepare(const cm_database_t *database, sqlite3_stmt **select, cm_err_t *err);

/* Called inside a transaction: CM_EBUSY when the tables end elsewhere. */
int cm_ends_check(const cm_database_t *database, sqlite3_stmt *select, const cm_ends_t *expected,
                  cm_err_t *err);

/* Sets the error of cm_ends_check(). Returns CM_EBUSY. */
int cm_ends_fail(const cm_database_t *database, cm_err_t *err);

#endif
