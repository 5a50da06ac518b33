#include "index/embedded/tables.h"

#include "base/clock.h"

#include <stdio.h>

#define WRITING "writing answers"

enum { PARAMETERS = CM_MEASURE_COLUMN_COUNT + 5 }; /* of a row */

#define ROW "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define INSERT                                                                                     \
    "INSERT INTO %s (" CM_MEASURE_COLUMNS ", updated_at, window, start, url, country) VALUES " ROW
#define KEY_WHERE   " WHERE window = ? AND start = ? AND url = ? AND country = ?"
#define ADD(column) column " = " column " + ?, "
#define SET(column) column " = ?, "
#define UPDATE(TO)                                                                                 \
    "UPDATE %s SET " TO("clicks") TO("unique_user_count") TO("time_spent_sum")                     \
        TO("time_spent_count") TO("time_on_page_sum") TO("time_on_page_count") TO("entrances")     \
            TO("exits") "updated_at = ?" KEY_WHERE
#define TEXT_OF(table, column, id)                                                                 \
    "ifnull((SELECT " column " FROM " table " WHERE id = " id "), '')"
#define RETIRE                                                                                     \
    "INSERT OR REPLACE INTO retired VALUES (?1, ?2, " TEXT_OF("page", "url", "?3") ", " TEXT_OF(   \
        "country", "name", "?4") ", ?5)"
#define BACK                                                                                       \
    "DELETE FROM retired WHERE window = ?1 AND start = ?2 AND url = " TEXT_OF(                     \
        "page", "url", "?3") " AND country = " TEXT_OF("country", "name", "?4")

int cm_writing_check_stop(const cm_writing_t *writing, cm_err_t *err)
{
    if (writing->stop == NULL || !atomic_load(writing->stop))
        return 0;
    return cm_fail(err, CM_ESTOP, "stopped");
}

static int64_t id_of(const cm_writing_t *writing, cm_string_kind_t kind, uint32_t id)
{
    if (id == CM_CELL_ALL)
        return CM_ALL_IDS;
    return writing->ids[kind] != NULL ? writing->ids[kind][id] : id;
}

cm_index_place_t cm_index_place_of(const cm_writing_t *writing, const cm_cell_t *cell)
{
    return (cm_index_place_t){.window = (int64_t)cm_cell_window_kind(cell->key.window),
                              .start = cm_cell_window_start(cell->key.window) / CM_HOUR_MS,
                              .url = id_of(writing, CM_STRING_PAGE, cell->key.url),
                              .country = id_of(writing, CM_STRING_COUNTRY, cell->key.country)};
}

static void bind_place(sqlite3_stmt *statement, int at, const cm_index_place_t *place)
{
    sqlite3_bind_int64(statement, at, place->window);
    sqlite3_bind_int64(statement, at + 1, place->start);
    sqlite3_bind_int64(statement, at + 2, place->url);
    sqlite3_bind_int64(statement, at + 3, place->country);
}

static void bind_row(const cm_writing_t *writing, sqlite3_stmt *statement, int at,
                     const cm_cell_t *cell)
{
    const cm_measures_t *n = &cell->measures;
    const int64_t numbers[] = {n->clicks,           n->users,         n->time_spent_sum,
                               n->time_spent_count, n->page_time_sum, n->page_time_count,
                               n->entrances,        n->exits,         writing->now};
    const cm_index_place_t place = cm_index_place_of(writing, cell);

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sqlite3_bind_int64(statement, at++, numbers[i]);
    bind_place(statement, at, &place);
}

static int prepare(const cm_database_t *database, const char *format, const char *table, int times,
                   sqlite3_stmt **statement, cm_err_t *err)
{
    cm_buf_t sql = CM_BUF_INIT;
    const char *name = strstr(format, "%s");

    cm_buf_add(&sql, format, name != NULL ? (size_t)(name - format) : strlen(format));
    if (name != NULL) {
        cm_buf_add_text(&sql, table);
        cm_buf_add_text(&sql, name + 2);
    }
    for (int i = 1; i < times; i++)
        cm_buf_add_text(&sql, ", " ROW);
    int rc = cm_database_prepare(database, sql.data, statement, err);
    cm_buf_free(&sql);
    return rc;
}

int cm_rows_open(cm_writing_t *writing, const char *table, bool set, cm_rows_t *rows, cm_err_t *err)
{
    const cm_database_t *database = writing->database;

    *rows = (cm_rows_t){.writing = writing};
    int rc = prepare(database, INSERT, table, 1, &rows->insert, err);
    if (rc == 0)
        rc = prepare(database, INSERT, table, CM_ROWS_TOGETHER, &rows->insert_together, err);
    if (rc == 0)
        rc = prepare(database, set ? UPDATE(SET) : UPDATE(ADD), table, 1, &rows->update, err);
    if (rc == 0)
        rc = prepare(database, "DELETE FROM %s" KEY_WHERE, table, 1, &rows->remove, err);
    if (rc == 0 && !set)
        rc = prepare(database, "SELECT 1 FROM %s" KEY_WHERE " AND clicks = 0", table, 1,
                     &rows->empty, err);
    if (rc == 0 && writing->publishes)
        rc = prepare(database, RETIRE, table, 1, &rows->retire, err);
    if (rc == 0 && writing->retired)
        rc = prepare(database, BACK, table, 1, &rows->back, err);
    return rc;
}

void cm_rows_close(cm_rows_t *rows)
{
    sqlite3_finalize(rows->insert);
    sqlite3_finalize(rows->insert_together);
    sqlite3_finalize(rows->update);
    sqlite3_finalize(rows->remove);
    sqlite3_finalize(rows->retire);
    sqlite3_finalize(rows->back);
    sqlite3_finalize(rows->empty);
}

static int write_row(cm_rows_t *rows, sqlite3_stmt *statement, const cm_cell_t *cell, cm_err_t *err)
{
    bind_row(rows->writing, statement, 1, cell);
    return cm_database_step(rows->writing->database, statement, WRITING, err);
}

int cm_rows_flush(cm_rows_t *rows, cm_err_t *err)
{
    int rc = 0;

    if (rows->count == CM_ROWS_TOGETHER) {
        for (int i = 0; i < CM_ROWS_TOGETHER; i++)
            bind_row(rows->writing, rows->insert_together, 1 + i * PARAMETERS, rows->waiting[i]);
        rc = cm_database_step(rows->writing->database, rows->insert_together, WRITING, err);
    } else {
        for (int i = 0; rc == 0 && i < rows->count; i++)
            rc = write_row(rows, rows->insert, rows->waiting[i], err);
    }
    rows->count = 0;
    return rc;
}

/* Deletes the tombstone of a row that exists again. */
static int bring_back(cm_rows_t *rows, const cm_cell_t *cell, cm_err_t *err)
{
    const cm_index_place_t place = cm_index_place_of(rows->writing, cell);

    bind_place(rows->back, 1, &place);
    return cm_database_step(rows->writing->database, rows->back, WRITING, err);
}

int cm_rows_insert(cm_rows_t *rows, const cm_cell_t *cell, cm_err_t *err)
{
    int rc = rows->back != NULL ? bring_back(rows, cell, err) : 0;

    rows->writing->changed[cm_cell_window_kind(cell->key.window)] = true;
    rows->waiting[rows->count++] = cell;
    return rc == 0 && rows->count == CM_ROWS_TOGETHER ? cm_rows_flush(rows, err) : rc;
}

int cm_rows_update(cm_rows_t *rows, const cm_cell_t *cell, bool *there, cm_err_t *err)
{
    int rc = write_row(rows, rows->update, cell, err);

    rows->writing->changed[cm_cell_window_kind(cell->key.window)] = true;
    *there = rc == 0 && sqlite3_changes(rows->writing->database->db) > 0;
    return rc;
}

int cm_rows_remove(cm_rows_t *rows, const cm_index_place_t *place, cm_err_t *err)
{
    cm_writing_t *writing = rows->writing;
    int rc = 0;

    writing->removed = true;
    if (place->window >= 0 && place->window < CM_WINDOW_COUNT)
        writing->changed[place->window] = true;
    if (rows->retire != NULL) {
        bind_place(rows->retire, 1, place);
        sqlite3_bind_int64(rows->retire, 5, writing->now);
        rc = cm_database_step(writing->database, rows->retire, WRITING, err);
    }
    if (rc == 0) {
        bind_place(rows->remove, 1, place);
        rc = cm_database_step(writing->database, rows->remove, WRITING, err);
    }
    return rc;
}

int cm_rows_remove_empty(cm_rows_t *rows, const cm_cell_t *cell, bool *gone, cm_err_t *err)
{
    const cm_index_place_t place = cm_index_place_of(rows->writing, cell);

    bind_place(rows->empty, 1, &place);
    const int step = sqlite3_step(rows->empty);
    *gone = step == SQLITE_ROW;
    int rc = step == SQLITE_ROW || step == SQLITE_DONE
                 ? 0
                 : cm_database_fail(rows->writing->database, WRITING, err);
    sqlite3_reset(rows->empty);
    return rc == 0 && *gone ? cm_rows_remove(rows, &place, err) : rc;
}

int cm_rows_remove_where(cm_writing_t *writing, const char *table, const char *where, cm_err_t *err)
{
    cm_buf_t sql = CM_BUF_INIT;

    if (writing->publishes)
        cm_buf_printf(&sql,
                      "INSERT OR REPLACE INTO retired SELECT window, start, ifnull(page.url, ''), "
                      "ifnull(country.name, ''), %lld FROM %s AS gone LEFT JOIN page ON page.id = "
                      "gone.url LEFT JOIN country ON country.id = gone.country WHERE %s; ",
                      (long long)writing->now, table, where);
    cm_buf_printf(&sql, "DELETE FROM %s AS gone WHERE %s", table, where);
    int rc = cm_database_exec(writing->database, sql.data, WRITING, err);
    cm_buf_free(&sql);
    if (rc == 0 && sqlite3_changes(writing->database->db) > 0)
        writing->removed = true;
    return rc;
}
