/* What the parts of the embedded index share: writing and reading (embedded.c), writing only what
 * differs (difference.c), and telling what changed (changes.c). */
#ifndef CM_INDEX_EMBEDDED_INSIDE_H
#define CM_INDEX_EMBEDDED_INSIDE_H

#include "index/embedded.h"

/* Columns of tables cell and total, in the order of cm_embedded_read_numbers(). */
#define CM_NUMBER_COLUMNS                                                                          \
    "clicks, unique_user_count, time_spent_sum, time_spent_count, time_on_page_sum, "              \
    "time_on_page_count, entrances, exits"

enum { CM_ALL_IDS = -1 }; /* in the place of a url's or a country's id: all of them */

/* The numbers in a row's columns from `at` on. */
void cm_embedded_read_numbers(sqlite3_stmt *row, int at, cm_numbers_t *numbers);

/* Binds the numbers to parameters from `at` on; returns the next parameter. */
int cm_embedded_bind_numbers(sqlite3_stmt *statement, int at, const cm_numbers_t *numbers);

/* True when the answers are copied elsewhere (index/changes.h). */
int cm_embedded_published(const cm_database_t *database, bool *published, cm_err_t *err);

/* One transaction's replacing of answers. */
typedef struct cm_difference {
    const cm_database_t *database;
    cm_reader_t *reader; /* names of the result's ids */
    const cm_mill_result_t *result;
    unsigned windows;
    bool foreign; /* of another store, whose ids are not those of the tables */
    int64_t session_timeout;
    int64_t now;
} cm_difference_t;

/* Makes the windows of the mask what the result says, and writes only what differs. Rows that
 * vanish are remembered where answers are published. `*changed`: any row was written. */
int cm_embedded_write_difference(const cm_difference_t *difference, bool *changed, cm_err_t *err);

/* Remembers all rows of the windows of the mask as vanished; where they are there again later, that
 * counts (cm_changes_retired()). */
int cm_embedded_retire(const cm_database_t *database, unsigned windows, int64_t now, cm_err_t *err);

#endif
