/* Writing of a whole result only what differs from what is there. */
#include "index/embedded_inside.h"

#include "base/clock.h"
#include "store/dict.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLES 2 /* cell and total */

static const char *const tables[TABLES] = {"cell", "total"};

/* A cell of the result with the ids that the tables have, or a row that is to go. */
typedef struct place {
    uint32_t window, url, country; /* cm_cell_window(); ids or CM_CELL_ALL */
} place_t;

typedef struct wanted {
    place_t place;
    const cm_numbers_t *numbers;
    bool same; /* the row is there, and says the same */
} wanted_t;

typedef struct differing {
    const cm_difference_t *given;
    cm_dict_t texts[2]; /* of tables page and country */
    uint32_t *ids[2];   /* of the tables, by those of the result; NULL: the same */
    wanted_t *wanted;
    size_t count;
    uint32_t *slots; /* hash over place + 1, 0 is free */
    size_t mask;
    place_t *gone;
    size_t gone_count, gone_cap;
    bool changed[CM_WINDOW_COUNT];
    int64_t cells[CM_WINDOW_COUNT];
} differing_t;

/* ---- texts ---- */

static int load_texts(differing_t *self, int which, const char *select, cm_err_t *err)
{
    const cm_database_t *database = self->given->database;
    sqlite3_stmt *row;
    int step;

    int rc = cm_database_prepare(database, select, &row, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(row)) == SQLITE_ROW)
        cm_dict_put(&self->texts[which], (cm_str_t){(const char *)sqlite3_column_text(row, 0),
                                                    (size_t)sqlite3_column_bytes(row, 0)});
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the answers", err);
    sqlite3_finalize(row);
    return rc;
}

/* Gives every id of the result one of the table, and new texts a row. Ids of the store itself are
 * those of the tables. */
static int map_texts(differing_t *self, int which, cm_field_t field, const char *select,
                     const char *insert, cm_err_t *err)
{
    const cm_difference_t *given = self->given;
    cm_dict_t *dict = &self->texts[which];
    sqlite3_stmt *statement;
    uint32_t count, before;
    cm_str_t text;

    int rc = load_texts(self, which, select, err);
    before = dict->count;
    if (rc == 0)
        rc = cm_reader_names(given->reader, field, &count, err);
    if (rc < 0)
        return rc;
    self->ids[which] = cm_alloc((count + 1) * sizeof *self->ids[which]);
    for (uint32_t id = 0; rc == 0 && id < count; id++) {
        if ((rc = cm_reader_name(given->reader, field, id, &text, err)) == 0)
            self->ids[which][id] = cm_dict_put(dict, text);
    }
    if (rc < 0 || (rc = cm_database_prepare(given->database, insert, &statement, err)) < 0)
        return rc;
    for (uint32_t id = before; rc == 0 && id < dict->count; id++) {
        text = cm_dict_text(dict, id);
        sqlite3_bind_int64(statement, 1, id);
        sqlite3_bind_text(statement, 2, text.data, (int)text.len, SQLITE_STATIC);
        rc = cm_database_step(given->database, statement, "writing answers", err);
    }
    sqlite3_finalize(statement);
    return rc;
}

/* ---- what is wanted ---- */

static bool same_place(const place_t *a, const place_t *b)
{
    return a->window == b->window && a->url == b->url && a->country == b->country;
}

static size_t hash_of(const place_t *place)
{
    uint64_t hash = ((uint64_t)place->url << 32 | place->country) * UINT64_C(0x9E3779B97F4A7C15);
    hash ^= (hash >> 29) + place->window;
    hash *= UINT64_C(0xBF58476D1CE4E5B9);
    return (size_t)(hash >> 20);
}

/* The slot of the place, or the free one where it would be. */
static uint32_t *find_slot(const differing_t *self, const place_t *place)
{
    for (size_t at = hash_of(place);; at++) {
        uint32_t *slot = &self->slots[at & self->mask];
        if (*slot == 0 || same_place(&self->wanted[*slot - 1].place, place))
            return slot;
    }
}

static uint32_t map_id(const differing_t *self, int which, uint32_t id)
{
    return id == CM_CELL_ALL ? id : self->ids[which][id];
}

static int list_wanted(differing_t *self, cm_err_t *err)
{
    const cm_mill_result_t *result = self->given->result;
    size_t slots = 64;

    while (slots < result->count * 2)
        slots *= 2;
    self->mask = slots - 1;
    self->slots = calloc(slots, sizeof *self->slots);
    self->wanted = malloc((result->count + 1) * sizeof *self->wanted);
    if (self->slots == NULL || self->wanted == NULL)
        return cm_fail_memory(err);
    for (size_t i = 0; i < result->count; i++) {
        const cm_cell_t *cell = result->cells[i];
        if (cm_numbers_zero(&cell->numbers))
            continue;
        const bool total = cell->key.url == CM_CELL_ALL || cell->key.country == CM_CELL_ALL;
        wanted_t *wanted = &self->wanted[self->count++];
        *wanted = (wanted_t){.place = {cell->key.window, map_id(self, 0, cell->key.url),
                                       map_id(self, 1, cell->key.country)},
                             .numbers = &cell->numbers};
        self->cells[cm_cell_window_kind(cell->key.window)] += !total;
        *find_slot(self, &wanted->place) = (uint32_t)self->count;
    }
    return 0;
}

/* ---- what is there ---- */

static uint32_t read_id(sqlite3_stmt *row, int at)
{
    int64_t id = sqlite3_column_int64(row, at);
    return id == CM_ALL_IDS ? CM_CELL_ALL : (uint32_t)id;
}

static void compare_row(differing_t *self, sqlite3_stmt *row)
{
    const cm_window_t kind = (cm_window_t)sqlite3_column_int(row, 0);
    const place_t place = {cm_cell_window(kind, sqlite3_column_int64(row, 1) * CM_HOUR_MS),
                           read_id(row, 2), read_id(row, 3)};
    cm_numbers_t numbers;

    const uint32_t *slot = find_slot(self, &place);
    cm_embedded_read_numbers(row, 4, &numbers);
    if (*slot != 0) {
        wanted_t *wanted = &self->wanted[*slot - 1];
        wanted->same = memcmp(wanted->numbers, &numbers, sizeof numbers) == 0;
        return;
    }
    if (self->gone_count == self->gone_cap) {
        self->gone_cap = self->gone_cap > 0 ? self->gone_cap * 2 : 256;
        self->gone = cm_realloc(self->gone, self->gone_cap * sizeof *self->gone);
    }
    self->gone[self->gone_count++] = place;
}

static int compare_rows(differing_t *self, const char *table, cm_err_t *err)
{
    const cm_database_t *database = self->given->database;
    char sql[300];
    sqlite3_stmt *row;
    int step;

    snprintf(sql, sizeof sql,
             "SELECT window, start, url, country, " CM_NUMBER_COLUMNS " FROM %s "
             "WHERE (?1 >> window) & 1",
             table);
    int rc = cm_database_prepare(database, sql, &row, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int64(row, 1, self->given->windows);
    while ((step = sqlite3_step(row)) == SQLITE_ROW)
        compare_row(self, row);
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the answers", err);
    sqlite3_finalize(row);
    return rc;
}

/* ---- writing ---- */

static bool is_total(const place_t *place)
{
    return place->url == CM_CELL_ALL || place->country == CM_CELL_ALL;
}

static void bind_place(sqlite3_stmt *statement, int at, const place_t *place)
{
    const uint32_t ids[] = {place->url, place->country};

    sqlite3_bind_int(statement, at, (int)cm_cell_window_kind(place->window));
    sqlite3_bind_int64(statement, at + 1, cm_cell_window_start(place->window) / CM_HOUR_MS);
    for (int i = 0; i < 2; i++)
        sqlite3_bind_int64(statement, at + 2 + i,
                           ids[i] == CM_CELL_ALL ? (int64_t)CM_ALL_IDS : (int64_t)ids[i]);
}

static int write_wanted(differing_t *self, cm_err_t *err)
{
    const cm_difference_t *given = self->given;
    sqlite3_stmt *insert[TABLES] = {NULL};
    char sql[400];
    int rc = 0;

    for (int i = 0; rc == 0 && i < TABLES; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT OR REPLACE INTO %s (" CM_NUMBER_COLUMNS ", updated_at, window, start, "
                 "url, country) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 tables[i]);
        rc = cm_database_prepare(given->database, sql, &insert[i], err);
    }
    for (size_t i = 0; rc == 0 && i < self->count; i++) {
        const wanted_t *wanted = &self->wanted[i];
        if (wanted->same)
            continue;
        sqlite3_stmt *statement = insert[is_total(&wanted->place)];
        int at = cm_embedded_bind_numbers(statement, 1, wanted->numbers);
        sqlite3_bind_int64(statement, at, given->now);
        bind_place(statement, at + 1, &wanted->place);
        rc = cm_database_step(given->database, statement, "writing answers", err);
        self->changed[cm_cell_window_kind(wanted->place.window)] = true;
    }
    for (int i = 0; i < TABLES; i++)
        sqlite3_finalize(insert[i]);
    return rc;
}

#define RETIRE                                                                                     \
    "INSERT INTO retired SELECT window, start, page.url, country.name, ?1 FROM %s "                \
    "LEFT JOIN page ON page.id = %s.url LEFT JOIN country ON country.id = %s.country WHERE "

int cm_embedded_retire(const cm_database_t *database, unsigned windows, int64_t now, cm_err_t *err)
{
    sqlite3_stmt *statement;
    char sql[400];
    int rc = 0;

    for (int i = 0; rc == 0 && i < TABLES; i++) {
        snprintf(sql, sizeof sql, RETIRE "(?2 >> window) & 1", tables[i], tables[i], tables[i]);
        if ((rc = cm_database_prepare(database, sql, &statement, err)) < 0)
            break;
        sqlite3_bind_int64(statement, 1, now);
        sqlite3_bind_int64(statement, 2, windows);
        rc = cm_database_step(database, statement, "writing answers", err);
        sqlite3_finalize(statement);
    }
    return rc;
}

/* Rows that go, and their memory where there is a copy. */
static int write_gone(differing_t *self, bool published, cm_err_t *err)
{
    static const char where[] = "window = ?2 AND start = ?3 AND %s.url = ?4 AND %s.country = ?5";
    const cm_database_t *database = self->given->database;
    char sql[600], condition[200];
    int rc = 0;

    for (int i = 0; rc == 0 && i < TABLES; i++) {
        sqlite3_stmt *retire = NULL, *delete = NULL;
        snprintf(condition, sizeof condition, where, tables[i], tables[i]);
        snprintf(sql, sizeof sql, RETIRE "%s", tables[i], tables[i], tables[i], condition);
        if (published)
            rc = cm_database_prepare(database, sql, &retire, err);
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s AND ?1 IS NOT NULL", tables[i],
                 condition);
        if (rc == 0)
            rc = cm_database_prepare(database, sql, &delete, err);
        for (size_t g = 0; rc == 0 && g < self->gone_count; g++) {
            const place_t *place = &self->gone[g];
            sqlite3_stmt *const steps[] = {retire, delete};
            for (int s = 0; rc == 0 && is_total(place) == (i == 1) && s < 2; s++) {
                if (steps[s] == NULL)
                    continue;
                sqlite3_bind_int64(steps[s], 1, self->given->now);
                bind_place(steps[s], 2, place);
                rc = cm_database_step(database, steps[s], "writing answers", err);
            }
            self->changed[cm_cell_window_kind(place->window)] = true;
        }
        sqlite3_finalize(retire);
        sqlite3_finalize(delete);
    }
    return rc;
}

/* What the answers cover now; they changed only where a row did. */
static int write_covered(const differing_t *self, cm_err_t *err)
{
    const cm_difference_t *given = self->given;
    char sql[500];
    int rc = 0;

    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        if (!(given->windows & 1u << w))
            continue;
        snprintf(sql, sizeof sql,
                 "INSERT INTO covered VALUES ('%s', %lld, %lld, %lld, %lld, %lld) "
                 "ON CONFLICT (window) DO UPDATE SET upto = excluded.upto, "
                 "events = excluded.events, cells = excluded.cells, "
                 "session_timeout = excluded.session_timeout, "
                 "updated_at = CASE WHEN %d THEN excluded.updated_at ELSE updated_at END",
                 cm_window_names[w], (long long)given->result->upto,
                 (long long)given->result->events, (long long)self->cells[w],
                 (long long)given->session_timeout, (long long)given->now, self->changed[w]);
        rc = cm_database_exec(given->database, sql, "writing answers", err);
    }
    return rc;
}

static void free_all(differing_t *self)
{
    for (int i = 0; i < 2; i++) {
        cm_dict_free(&self->texts[i]);
        free(self->ids[i]);
    }
    free(self->wanted);
    free(self->slots);
    free(self->gone);
}

int cm_embedded_write_difference(const cm_difference_t *difference, bool *changed, cm_err_t *err)
{
    differing_t self = {.given = difference};
    bool published;

    int rc = cm_embedded_published(difference->database, &published, err);
    if (rc == 0)
        rc = map_texts(&self, 0, CM_URL, "SELECT url FROM page ORDER BY id",
                       "INSERT INTO page VALUES (?, ?)", err);
    if (rc == 0)
        rc = map_texts(&self, 1, CM_COUNTRY, "SELECT name FROM country ORDER BY id",
                       "INSERT INTO country VALUES (?, ?)", err);
    if (rc == 0)
        rc = list_wanted(&self, err);
    for (int i = 0; rc == 0 && i < TABLES; i++)
        rc = compare_rows(&self, tables[i], err);
    if (rc == 0)
        rc = write_gone(&self, published, err);
    if (rc == 0)
        rc = write_wanted(&self, err);
    if (rc == 0)
        rc = write_covered(&self, err);
    for (int w = 0; w < CM_WINDOW_COUNT; w++)
        *changed |= self.changed[w];
    free_all(&self);
    return rc;
}
