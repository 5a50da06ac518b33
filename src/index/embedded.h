/* The embedded index: answers as plain SQL tables in the store's own file.
 *
 * Table `answer` has the contract's cells, table `rollup` the same columns per url (country NULL),
 * per country (url NULL) and in total (both NULL). Averages are generated columns, so that they can
 * never disagree with their sums. Writing goes through the store's connection and its transaction;
 * reading (cm_index_open_embedded) has a connection of its own. */
#ifndef CM_INDEX_EMBEDDED_H
#define CM_INDEX_EMBEDDED_H

#include "index/index.h"
#include "mill/mill.h"
#include "store/database.h"

#include <stdatomic.h>

/* What the answers of a window cover. */
typedef struct cm_covered {
    int64_t upto;            /* events of the store, copies included */
    int64_t events;          /* distinct ones among them */
    int64_t session_timeout; /* ms, with which they were computed; negative: of the events of
                                another store than this file's */
    int64_t cells;           /* rows of table answer */
} cm_covered_t;

/* Makes the tables where they are missing. */
int cm_embedded_index_prepare(const cm_database_t *database, cm_err_t *err);

/* What the answers of a window cover; all zero when it was never processed. */
int cm_embedded_index_covered(const cm_database_t *database, cm_window_t window,
                              cm_covered_t *covered, cm_err_t *err);

/* Adds the mill's changes for the windows of the mask to the answers, in one transaction with
 * their coverage; with `replace` the result is all of those windows. A negative session timeout
 * marks answers of another store's events, which replace all there are, and are replaced by the
 * next of ours. Then, and where the answers are copied elsewhere (changes.h), only rows that differ
 * are written. Names come from `reader`; rows that change get `now`, or more where that would not
 * be later than the last change. `*changed`: any row was. CM_ESTOP, with nothing changed, when
 * `stop` (may be NULL) becomes true. */
int cm_embedded_index_apply(const cm_database_t *database, cm_reader_t *reader,
                            const cm_mill_result_t *result, unsigned windows, bool replace,
                            int64_t session_timeout, int64_t now, const atomic_bool *stop,
                            bool *changed, cm_err_t *err);

#endif
