/* What the files of the embedded index share: its tables, and the one transaction that writes them.
 *
 * schema.c has the tables, embedded.c reads, apply.c is the transaction, strings.c gives urls and
 * countries their ids, rows.c writes rows, difference.c finds those that differ, checks.c has their
 * checksums. One thread, that of the connection. */
#ifndef CM_INDEX_EMBEDDED_TABLES_H
#define CM_INDEX_EMBEDDED_TABLES_H

#include "index/embedded/embedded.h"

/* The measures of a row, in the order of cm_measures_t. */
#define CM_MEASURE_COLUMNS                                                                         \
    "clicks, unique_user_count, time_spent_sum, time_spent_count, time_on_page_sum, "              \
    "time_on_page_count, entrances, exits"

enum { CM_MEASURE_COLUMN_COUNT = sizeof(cm_measures_t) / sizeof(int64_t) };

/* Joins the strings of the ids; url and country are NULL where a row has all of them. */
#define CM_FROM(table)                                                                             \
    " FROM " table " LEFT JOIN page ON page.id = " table ".url "                                   \
    "LEFT JOIN country ON country.id = " table ".country "

/* Which rows of `total` a dimension has. */
#define CM_ROWS_PER_URL     "total.url >= 0 AND total.country < 0"
#define CM_ROWS_PER_COUNTRY "total.url < 0 AND total.country >= 0"
#define CM_ROWS_PER_NOTHING "total.url < 0 AND total.country < 0"

#define CM_AVERAGE(sum, count) "CASE WHEN " count " <> 0 THEN CAST(" sum " AS REAL) / " count " END"

/* Instead of the id of a url or a country: all of them. */
enum { CM_ALL_IDS = -1 };

/* The two kinds of strings. */
typedef enum cm_string_kind {
    CM_STRING_PAGE,
    CM_STRING_COUNTRY,
    CM_STRING_KINDS,
} cm_string_kind_t;

/* Rows of answers of one window, start and dimension: how many, and their checksum. */
typedef struct cm_check_group {
    cm_dimension_t dimension;
    int64_t start, rows;
    uint64_t sum;
} cm_check_group_t;

/* A group that is not written yet. */
typedef struct cm_check_waiting {
    bool any;
    cm_window_t window;
    cm_check_group_t group;
} cm_check_waiting_t;

/* One transaction's work. */
typedef struct cm_writing {
    const cm_database_t *database;
    cm_reader_t *reader; /* has the result's strings */
    const cm_mill_result_t *result;
    unsigned windows;
    int64_t now;
    const atomic_bool *stop; /* may be NULL */
    /* Ids in the tables by those of the reader; NULL: they are the same. Owned. */
    uint32_t *ids[CM_STRING_KINDS];
    bool publishes; /* vanished rows are remembered */
    bool retired;   /* there are tombstones; a row that is written again loses its own */
    int64_t cells[CM_WINDOW_COUNT]; /* of the contract's: added, or in all where all is written */
    bool changed[CM_WINDOW_COUNT];
    bool removed; /* rows have vanished */
    bool emptied; /* all that was there is gone */
    cm_check_waiting_t checks[CM_DIMENSION_COUNT];
    sqlite3_stmt *add_checks; /* NULL: not needed yet. Owned. */
    bool sets_checks;         /* each group comes once and whole, else what changes of it */
} cm_writing_t;

/* CM_ESTOP when the work is to be abandoned. */
int cm_writing_check_stop(const cm_writing_t *writing, cm_err_t *err);

/* ---- strings.c ---- */

/* Adds the strings of the reader that the tables lack, with the ids of the reader, which those in
 * the tables have too. */
int cm_strings_add(const cm_writing_t *writing, cm_err_t *err);

/* Finds the reader's strings in the tables, adds missing ones, and sets writing->ids. */
int cm_strings_match(cm_writing_t *writing, cm_err_t *err);

/* Where the ids are the reader's: corrects damaged strings. */
int cm_strings_repair(const cm_writing_t *writing, cm_err_t *err);

/* Where the tables have other ids than the reader, gives all rows the reader's ids; rows whose
 * strings it does not have are removed. cm_strings_add() comes next. */
int cm_strings_renumber(cm_writing_t *writing, cm_err_t *err);

/* Removes strings that no row has any more. */
int cm_strings_prune(const cm_writing_t *writing, cm_err_t *err);

/* ---- rows.c ---- */

/* The primary key of a row. */
typedef struct cm_index_place {
    int64_t window, start, url, country;
} cm_index_place_t;

cm_index_place_t cm_index_place_of(const cm_writing_t *writing, const cm_cell_t *cell);

static inline bool cm_index_cell_is_total(const cm_cell_t *cell)
{
    return cell->key.url == CM_CELL_ALL || cell->key.country == CM_CELL_ALL;
}

enum { CM_ROWS_TOGETHER = 32 };

/* Writes rows of one table. New ones are written in groups. */
typedef struct cm_rows {
    cm_writing_t *writing;
    sqlite3_stmt *insert, *insert_together, *update, *retire, *remove, *back, *empty;
    const cm_cell_t *waiting[CM_ROWS_TOGETHER];
    int count;
} cm_rows_t;

/* `set`: updates replace the measures of a row, else they are added to them. */
int cm_rows_open(cm_writing_t *writing, const char *table, bool set, cm_rows_t *rows,
                 cm_err_t *err);

int cm_rows_insert(cm_rows_t *rows, const cm_cell_t *cell, cm_err_t *err);

/* `*there`: the row existed and was updated. */
int cm_rows_update(cm_rows_t *rows, const cm_cell_t *cell, bool *there, cm_err_t *err);

/* After an update by which events have moved to other rows, because another copy of them counts
 * now: removes the row where nothing is left of it (`*gone`). */
int cm_rows_remove_empty(cm_rows_t *rows, const cm_cell_t *cell, bool *gone, cm_err_t *err);

/* Removes the row. */
int cm_rows_remove(cm_rows_t *rows, const cm_index_place_t *place, cm_err_t *err);

/* Writes the rows that are not written yet. */
int cm_rows_flush(cm_rows_t *rows, cm_err_t *err);

void cm_rows_close(cm_rows_t *rows);

/* Removes all rows of a table for which `where` (SQL) holds. */
int cm_rows_remove_where(cm_writing_t *writing, const char *table, const char *where,
                         cm_err_t *err);

/* ---- difference.c ---- */

/* Makes the windows equal to the result and writes only what differs: rows with equal measures
 * stay, others are changed, added or removed. Takes 32 bytes of memory per row besides the result.
 */
int cm_difference_write(cm_writing_t *writing, cm_err_t *err);

#endif
