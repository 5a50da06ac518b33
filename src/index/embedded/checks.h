/* Checksums of the answers, so that damage is reported and never read as a wrong number.
 *
 * Table `checksum` has a row per window, dimension and window start: how many rows of answers there
 * are, and the sum of their contributions modulo 2^61 - 1. The contribution of a row is
 *
 *     c(url, country) * (a0 + a1 * clicks + ... + a8 * exits)
 *
 * with constants a and a factor c that is mixed from the ids. It is linear in the measures: changes
 * are added without reading the row, and damage from before stays detectable. The row of a window
 * with dimension CM_CHECK_COVERAGE holds a hash of the window's row of `covered`. Each string has
 * its own hash, column `sum` of `page` and `country`.
 *
 * A query visits all rows of its windows, so that it can add them up and compare. `updated_at` of a
 * row is in no sum. Functions that write need the writer's connection, and a transaction unless
 * their comment says otherwise. One thread, that of the connection. */
#ifndef CM_INDEX_EMBEDDED_CHECKS_H
#define CM_INDEX_EMBEDDED_CHECKS_H

#include "index/embedded/tables.h"

/* A value of the column `dimension` besides those of cm_dimension_t. */
enum { CM_CHECK_COVERAGE = CM_DIMENSION_COUNT };

#define CM_CHECK_TABLE                                                                             \
    "CREATE TABLE IF NOT EXISTS checksum (\n"                                                      \
    "    window INTEGER, dimension INTEGER, start INTEGER,\n"                                      \
    "    rows INTEGER NOT NULL,\n"                                                                 \
    "    sum INTEGER NOT NULL,\n"                                                                  \
    "    PRIMARY KEY (window, dimension, start)) WITHOUT ROWID;\n"

/* The hash of a string. */
int64_t cm_check_string_hash(int64_t id, cm_str_t text);

/* What a row adds to the sum of its group; `rows` is 1 for a row, -1 for removing one, and 0 for a
 * change of its measures. `numbers` are its CM_MEASURE_COLUMNS. */
uint64_t cm_check_contribution(int64_t url, int64_t country, const int64_t *numbers, int rows);

/* CM_ECORRUPT with what is wrong in the answers, and what to do. */
int cm_check_fail(const cm_database_t *database, const char *what, cm_err_t *err);

/* ---- reading ---- */

/* Which tables exist. */
typedef enum cm_check_state {
    CM_CHECK_NO_ANSWERS,
    CM_CHECK_OLDER, /* of an earlier edition, without checksums */
    CM_CHECK_READY,
} cm_check_state_t;

/* CM_ECORRUPT when some of the tables of answers have vanished. */
int cm_check_state(const cm_database_t *database, cm_check_state_t *state, cm_err_t *err);

/* Gives the connection the SQL function of CM_SEEN; once per connection. */
int cm_check_register(const cm_database_t *database, cm_err_t *err);

/* The rows that one statement has visited. All zero: none yet. */
typedef struct cm_check_scan {
    cm_check_group_t *groups; /* consecutive rows of one start each */
    size_t count, cap;
    int64_t url;     /* id whose string was checked last, + 1 */
    bool bad_string; /* a string does not match its hash */
} cm_check_scan_t;

/* Adds a row to the scan. Its strings are the caller's. */
void cm_check_see(cm_check_scan_t *scan, int64_t start, int64_t url, int64_t country,
                  const int64_t *numbers);

#define CM_SCAN_POINTER "cm_check_scan"

/* In a WHERE clause over CM_FROM(table): adds the row to the scan that is bound, with
 * sqlite3_bind_pointer() and CM_SCAN_POINTER, as parameter `at`, and is true. */
#define CM_SEEN(table, at)                                                                         \
    "answer_seen(" at ", start, " table ".url, " table ".country, page.sum, page.url, "            \
    "country.sum, country.name, " CM_MEASURE_COLUMNS ")"

/* Compares what was visited of a window and a dimension, with starts (hours) in [from, to], with
 * the table; sorts the groups of the scan. CM_ECORRUPT. */
int cm_check_compare(const cm_database_t *database, cm_check_scan_t *scan, cm_window_t window,
                     cm_dimension_t dimension, int64_t from, int64_t to, cm_err_t *err);

/* Reads and checks the rows of one start. */
int cm_check_start(const cm_database_t *database, cm_check_scan_t *scan, cm_window_t window,
                   cm_dimension_t dimension, int64_t start, cm_err_t *err);

void cm_check_scan_free(cm_check_scan_t *scan);

/* Checks the row of `covered` of the window against its hash; without a row there must be no hash.
 * Beside a writer it must be called in a transaction. */
int cm_check_coverage(const cm_database_t *database, cm_window_t window, cm_err_t *err);

/* Reads all answers and checks them. */
int cm_check_all(const cm_database_t *database, cm_err_t *err);

/* SQLite's last error while answers were read or written: like cm_database_fail(), but the message
 * says how to repair damaged answers. */
int cm_check_fail_sqlite(const cm_database_t *database, const char *doing, cm_err_t *err);

/* ---- writing ---- */

/* Adds a row's measures, or their change, to the groups that are not written yet. `rows`: 1 for a
 * new row, -1 for a removed one, else 0. */
int cm_check_add(cm_writing_t *writing, const cm_cell_t *cell, int rows, cm_err_t *err);

/* Writes these groups. Removes groups that have no rows any more. */
int cm_check_flush(cm_writing_t *writing, cm_err_t *err);

/* Removes the sums of the windows of the mask, of dimensions from `first` to `last`. */
int cm_check_forget(const cm_database_t *database, unsigned windows, int first, int last,
                    cm_err_t *err);

/* Writes the hash of the present row of `covered` of the window. */
int cm_check_seal_coverage(const cm_database_t *database, cm_window_t window, cm_err_t *err);

/* Computes all checksums from the rows, in its own transaction: for a directory of an earlier
 * edition. */
int cm_check_make(const cm_database_t *database, cm_err_t *err);

#endif
