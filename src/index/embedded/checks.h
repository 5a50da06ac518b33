/* Checksums of the answers, so that a damaged row is a sentence and not a wrong number.
 *
 * Table `checksum` has a row per window, dimension and window start: how many rows of answers there
 * are, and the sum of their contributions modulo 2^61 - 1. The contribution of a row is
 *
 *     c(url, country) * (a0 + a1 * clicks + ... + a8 * exits)
 *
 * with constants a and a factor c that is mixed from the ids. It is linear in the numbers: changes
 * are added without reading the row, and what was wrong before them stays wrong. The row of a
 * window with dimension CM_CHECK_COVERAGE holds a hash of what `covered` says of it. Texts have
 * their own hash beside them, column `sum` of `page` and `country`.
 *
 * A query visits all rows of the windows it asks for, so that it adds up what it sees and compares.
 * `updated_at` of a row is in no sum. Functions that write want the writer's connection, inside a
 * transaction where nothing else is said. */
#ifndef CM_INDEX_CHECKS_H
#define CM_INDEX_CHECKS_H

#include "index/embedded/tables.h"

/* In the column `dimension` of the table, beside those of cm_dimension_t. */
enum { CM_CHECK_COVERAGE = CM_DIMENSION_COUNT };

#define CM_CHECK_TABLE                                                                             \
    "CREATE TABLE IF NOT EXISTS checksum (\n"                                                      \
    "    window INTEGER, dimension INTEGER, start INTEGER,\n"                                      \
    "    rows INTEGER NOT NULL,\n"                                                                 \
    "    sum INTEGER NOT NULL,\n"                                                                  \
    "    PRIMARY KEY (window, dimension, start)) WITHOUT ROWID;\n"

/* The hash beside a text. */
int64_t cm_check_text(int64_t id, cm_str_t text);

/* ---- reading ---- */

/* Which tables there are. */
typedef enum cm_check_state {
    CM_CHECK_NO_ANSWERS,
    CM_CHECK_OLDER, /* of an earlier edition, without checksums */
    CM_CHECK_READY,
} cm_check_state_t;

/* CM_ECORRUPT when some of the tables of answers have vanished. */
int cm_check_state(const cm_database_t *database, cm_check_state_t *state, cm_err_t *err);

/* Gives the connection the SQL function of CM_SEEN; once a connection. */
int cm_check_register(const cm_database_t *database, cm_err_t *err);

/* What one statement has seen. All zero: nothing yet. */
typedef struct cm_check_scan {
    cm_check_group_t *groups; /* consecutive rows of one start each */
    size_t count, cap;
    int64_t url;   /* id whose text was checked last, + 1 */
    bool bad_text; /* one does not match its hash */
} cm_check_scan_t;

#define CM_SCAN_POINTER "cm_check_scan"

/* In a WHERE clause over CM_FROM(table): adds the row to the scan that is bound, with
 * sqlite3_bind_pointer() and CM_SCAN_POINTER, as parameter `at`, and is true. */
#define CM_SEEN(table, at)                                                                         \
    "answer_seen(" at ", start, " table ".url, " table ".country, page.sum, page.url, "            \
    "country.sum, country.name, " CM_NUMBER_COLUMNS ")"

/* Compares what was seen, whose groups it brings in order, of a window and a dimension, of starts
 * (hours) in [from, to], with the table. CM_ECORRUPT with the sentence. */
int cm_check_compare(const cm_database_t *database, cm_check_scan_t *scan, cm_window_t window,
                     cm_dimension_t dimension, int64_t from, int64_t to, cm_err_t *err);

/* Reads and checks the rows of one start. */
int cm_check_start(const cm_database_t *database, cm_check_scan_t *scan, cm_window_t window,
                   cm_dimension_t dimension, int64_t start, cm_err_t *err);

void cm_check_scan_free(cm_check_scan_t *scan);

/* Checks what `covered` says of the window against its hash; a row that is not there must have
 * none. Outside of a transaction a writer may come between: then it is to be asked in one. */
int cm_check_coverage(const cm_database_t *database, cm_window_t window, cm_err_t *err);

/* Reads all answers and checks them. */
int cm_check_all(const cm_database_t *database, cm_err_t *err);

/* CM_ECORRUPT: what is wrong in the answers, and what to do. */
int cm_check_fail(const cm_database_t *database, const char *what, cm_err_t *err);

/* SQLite's last error while answers were read or written: like cm_database_fail(), but that damage
 * to them can be mended. */
int cm_check_fail_sqlite(const cm_database_t *database, const char *doing, cm_err_t *err);

/* ---- writing ---- */

/* Adds a row's numbers, or their change, to what waits to be written. `rows`: 1 where the row is
 * new, -1 where it vanishes, else 0. */
int cm_check_add(cm_writing_t *writing, const cm_cell_t *cell, int rows, cm_err_t *err);

/* Writes what waits. Forgets groups that have no rows any more. */
int cm_check_flush(cm_writing_t *writing, cm_err_t *err);

/* Forgets the sums of the windows of the mask and of these dimensions. */
int cm_check_forget(const cm_database_t *database, unsigned windows, int first, int last,
                    cm_err_t *err);

/* Notes the hash of what `covered` now says of the window. */
int cm_check_seal_coverage(const cm_database_t *database, cm_window_t window, cm_err_t *err);

/* Makes all checksums from what is there, in a transaction of its own: for a directory of an
 * earlier edition. */
int cm_check_make(const cm_database_t *database, cm_err_t *err);

#endif
