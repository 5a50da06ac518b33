/* Visiting the rows of spans of the answers, for a search (search.h): each row is added to what is
 * checked, and kept if it is among the first. One thread with its connection. */
#ifndef CM_INDEX_EMBEDDED_VISIT_H
#define CM_INDEX_EMBEDDED_VISIT_H

#include "index/embedded/best.h"
#include "index/embedded/spellings.h"

/* Starts in [from, to], hours. */
typedef struct cm_visit_span {
    int64_t from, to;
} cm_visit_span_t;

typedef struct cm_visit {
    const cm_database_t *database;
    const cm_index_query_t *query;
    bool check; /* rows are added to `scan` */
    cm_check_scan_t scan;
    cm_spellings_t texts[CM_STRING_KINDS];
    cm_best_t best;
    sqlite3_stmt *select, *one;
    int rc; /* what ended the visit of a span */
    cm_err_t err;
} cm_visit_t;

/* Gives the connection the SQL function of a visit; once per connection. */
int cm_visit_register(const cm_database_t *database, cm_err_t *err);

/* Borrows the query and its pattern, which is NULL where its url is none. The caller closes, also
 * after an error. */
int cm_visit_open(cm_visit_t *visit, const cm_database_t *database, const cm_index_query_t *query,
                  const cm_pattern_t *pattern, size_t wanted, bool check, cm_err_t *err);

/* Visits all rows of a span. CM_ECORRUPT, CM_ESTOP when SQLite was interrupted. */
int cm_visit_span(cm_visit_t *visit, cm_visit_span_t span, cm_err_t *err);

/* Visits one row, which must be there and have this contribution (checks.h). It is not added to
 * `scan`. CM_ECORRUPT. */
int cm_visit_row(cm_visit_t *visit, int64_t start, int64_t url, int64_t country, uint64_t sum,
                 cm_err_t *err);

void cm_visit_close(cm_visit_t *visit);

#endif
