/* Where the tables of the store end: the ordinal behind the last event, and the id behind the last
 * text of each dictionary.
 *
 * A writer knows these numbers and appends at them. Should there be a second writer though no lock
 * has allowed it (an older version, a file system without locks), each transaction that begins with
 * this check leaves alone what the other has written. */
#ifndef CM_STORE_EMBEDDED_ENDS_H
#define CM_STORE_EMBEDDED_ENDS_H

#include "store/embedded/database.h"
#include "store/store.h"

typedef struct cm_ends {
    int64_t events;
    int64_t texts[CM_FIELD_COUNT];
} cm_ends_t;

/* The statement that reads them; the caller finalizes it. */
int cm_ends_prepare(const cm_database_t *database, sqlite3_stmt **select, cm_err_t *err);

/* Inside a transaction: CM_EBUSY when the tables end elsewhere. */
int cm_ends_check(const cm_database_t *database, sqlite3_stmt *select, const cm_ends_t *expected,
                  cm_err_t *err);

/* The sentence of that. Returns CM_EBUSY. */
int cm_ends_fail(const cm_database_t *database, cm_err_t *err);

#endif
