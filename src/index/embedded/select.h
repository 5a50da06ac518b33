/* A query of the embedded index as SQL.
 *
 * It visits all rows of its windows and dimension, which share a checksum (checks.h), and as few
 * others as possible: times are ranges of the key, and the few rows of all urls have an index. One
 * thread, that of the connection. */
#ifndef CM_INDEX_EMBEDDED_SELECT_H
#define CM_INDEX_EMBEDDED_SELECT_H

#include "base/pattern.h"
#include "index/embedded/checked.h"

/* The indexes of the rows of all urls: of all countries, one row per window, and per country. Files
 * of an earlier edition may lack them. */
#define CM_TOTAL_SITE    "total_site"
#define CM_TOTAL_COUNTRY "total_country"

#define CM_SELECT_INDEXES                                                                          \
    "CREATE INDEX IF NOT EXISTS " CM_TOTAL_SITE " ON total (window, start) "                       \
    "WHERE " CM_ROWS_PER_NOTHING ";\n"                                                             \
    "CREATE INDEX IF NOT EXISTS " CM_TOTAL_COUNTRY " ON total (window, start) "                    \
    "WHERE " CM_ROWS_PER_COUNTRY ";\n"

typedef struct cm_index_select {
    const cm_index_query_t *query;
    cm_buf_t sql;
    cm_pattern_t *pattern; /* NULL: the url is no pattern */
    cm_check_scan_t scan;  /* the rows that the statement has visited */
} cm_index_select_t;

/* Gives the connection the SQL functions of queries and of checks.h; once per connection. */
int cm_index_select_register(const cm_database_t *database, cm_err_t *err);

/* `checked`: each row of the windows is added to the scan. `indexed`: the file has the indexes.
 * Borrows the query; the caller frees. Rows are url, country, start, updated_at and
 * CM_MEASURE_COLUMNS. */
void cm_index_select_build(cm_index_select_t *ask, const cm_index_query_t *query, bool checked,
                           bool indexed);

/* Binds the parameters; `ask` must live, and not move, as long as the statement is used. */
void cm_index_select_bind(cm_index_select_t *ask, sqlite3_stmt *select);

/* The starts of a query, hours in [from, to]. */
void cm_index_select_span(const cm_index_query_t *query, int64_t *from, int64_t *to);

/* Whether the rows of the query need no check, because they were checked before: `*fresh`. */
int cm_index_select_fresh(const cm_index_query_t *query, const cm_database_t *database,
                          cm_checked_t *checked, bool *fresh, cm_err_t *err);

/* Compares the visited rows with the checksums of the span, and notes that they were checked.
 * CM_ECORRUPT. */
int cm_index_select_compare(cm_index_select_t *ask, const cm_database_t *database,
                            cm_checked_t *checked, cm_err_t *err);

void cm_index_select_free(cm_index_select_t *ask);

#endif
