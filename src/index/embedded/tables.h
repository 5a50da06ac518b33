/* What the files of the embedded index share: its tables, and the one transaction that writes them.
 *
 * embedded.c has the schema and reads, apply.c is the transaction, texts.c gives urls and countries
 * their ids, rows.c writes rows, difference.c finds those that differ, checks.c sums them up. */
#ifndef CM_INDEX_TABLES_H
#define CM_INDEX_TABLES_H

#include "index/embedded/embedded.h"

/* The numbers of a row, in the order of cm_measures_t. */
#define CM_NUMBER_COLUMNS                                                                          \
    "clicks, unique_user_count, time_spent_sum, time_spent_count, time_on_page_sum, "              \
    "time_on_page_count, entrances, exits"

enum { CM_NUMBER_COUNT = sizeof(cm_measures_t) / sizeof(int64_t) };

/* Puts the texts to the ids; url and country are NULL where a row has them all. */
#define CM_FROM(table)                                                                             \
    " FROM " table " LEFT JOIN page ON page.id = " table ".url "                                   \
    "LEFT JOIN country ON country.id = " table ".country "

/* Which rows of `total` a dimension has. */
#define CM_ROWS_PER_URL     "total.url >= 0 AND total.country < 0"
#define CM_ROWS_PER_COUNTRY "total.url < 0 AND total.country >= 0"
#define CM_ROWS_PER_NOTHING "total.url < 0 AND total.country < 0"

#define CM_AVERAGE(sum, count) "CASE WHEN " count " <> 0 THEN CAST(" sum " AS REAL) / " count " END"

/* In the place of the id of a url or a country: all of them. */
enum { CM_ALL_IDS = -1 };

/* The two kinds of texts. */
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

/* A group that waits to be written. */
typedef struct cm_check_waiting {
    bool any;
    cm_window_t window;
    cm_check_group_t group;
} cm_check_waiting_t;

/* One transaction's work. */
typedef struct cm_writing {
    const cm_database_t *database;
    cm_reader_t *reader; /* has the result's texts */
    const cm_mill_result_t *result;
    unsigned windows;
    int64_t now;
    const atomic_bool *stop; /* may be NULL */
    /* Ids in the tables by those of the reader; NULL: they are the same. Owned. */
    uint32_t *ids[CM_STRING_KINDS];
    bool publishes; /* vanished rows are remembered */
    bool retired; /* and there were some before, of which one that is made anew is none any more */
    int64_t cells[CM_WINDOW_COUNT]; /* of the contract's: added, or in all where all is written */
    bool changed[CM_WINDOW_COUNT];
    bool removed; /* rows have vanished */
    bool emptied; /* all that was there is gone */
    cm_check_waiting_t checks[CM_DIMENSION_COUNT];
    sqlite3_stmt *add_checks; /* NULL: not needed yet. Owned. */
    bool sets_checks;         /* each group comes once and whole, else what changes of it */
} cm_writing_t;

/* CM_ESTOP when the work shall be given up. */
int cm_writing_check_stop(const cm_writing_t *writing, cm_err_t *err);

/* ---- texts.c ---- */

/* Gives the tables of texts those of the reader that they lack, by the reader's own ids, which
 * those already there have too. */
int cm_strings_add(const cm_writing_t *writing, cm_err_t *err);

/* Finds the reader's texts in the tables, adds what is not there, and sets writing->ids. */
int cm_strings_match(cm_writing_t *writing, cm_err_t *err);

/* Where the ids are the reader's: corrects texts that somebody has spoiled. */
int cm_strings_repair(const cm_writing_t *writing, cm_err_t *err);

/* Where the tables have other ids than the reader, gives all rows the reader's; rows whose texts it
 * does not have vanish. cm_strings_add() comes next. */
int cm_strings_renumber(cm_writing_t *writing, cm_err_t *err);

/* Forgets texts that no row has any more. */
int cm_strings_prune(const cm_writing_t *writing, cm_err_t *err);

/* ---- rows.c ---- */

/* Where a row stands: the primary key. */
typedef struct cm_index_place {
    int64_t window, start, url, country;
} cm_index_place_t;

cm_index_place_t cm_index_place_of(const cm_writing_t *writing, const cm_cell_t *cell);

static inline bool cm_index_cell_is_total(const cm_cell_t *cell)
{
    return cell->key.url == CM_CELL_ALL || cell->key.country == CM_CELL_ALL;
}

enum { CM_ROWS_TOGETHER = 32 };

/* Writes rows of one table. New ones wait until some can be written together. */
typedef struct cm_rows {
    cm_writing_t *writing;
    sqlite3_stmt *insert, *insert_together, *update, *retire, *remove, *back, *empty;
    const cm_cell_t *waiting[CM_ROWS_TOGETHER];
    int count;
} cm_rows_t;

/* `set`: updates put numbers in the place of those that are there, else they are added to them. */
int cm_rows_open(cm_writing_t *writing, const char *table, bool set, cm_rows_t *rows,
                 cm_err_t *err);

int cm_rows_insert(cm_rows_t *rows, const cm_cell_t *cell, cm_err_t *err);

/* `*there` says whether the row was there to be updated. */
int cm_rows_update(cm_rows_t *rows, const cm_cell_t *cell, bool *there, cm_err_t *err);

/* After an update by which events have moved to other rows, which copies of them do: the row
 * vanishes where nothing is left of it (`*gone`). */
int cm_rows_remove_empty(cm_rows_t *rows, const cm_cell_t *cell, bool *gone, cm_err_t *err);

/* The row vanishes. */
int cm_rows_remove(cm_rows_t *rows, const cm_index_place_t *place, cm_err_t *err);

/* Writes those that wait. */
int cm_rows_flush(cm_rows_t *rows, cm_err_t *err);

void cm_rows_close(cm_rows_t *rows);

/* All rows of a table for which `where` (SQL) holds vanish. */
int cm_rows_remove_where(cm_writing_t *writing, const char *table, const char *where,
                         cm_err_t *err);

/* ---- difference.c ---- */

/* Makes the windows what the result says and writes only what differs: rows with equal numbers are
 * left alone, others changed, made, or vanish. What it takes beside the result: 32 bytes a row. */
int cm_difference_write(cm_writing_t *writing, cm_err_t *err);

#endif
