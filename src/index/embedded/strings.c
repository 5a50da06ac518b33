/* Ids of urls and countries. Answers of the file's own events use the ids of its dictionaries.
 * Those of another store, whose ids differ from run to run, keep the ids that they got first. */
#include "index/embedded/checks.h"

#include "store/dict.h"

#include <stdlib.h>

#define WRITING "writing answers"

enum { STOP_EVERY = 4096 };

/* A table of strings, and its statements. */
typedef struct kind {
    cm_field_t field;
    const char *next, *insert, *all;
    const char *mend, *forget, *moved, *move;
} kind_t;

#define KIND(field, table, column)                                                                 \
    {                                                                                              \
        field, "SELECT ifnull(max(id), -1) + 1 FROM " table,                                       \
            "INSERT INTO " table " VALUES (?1, ?2, ?3)",                                           \
            "SELECT id, " column ", sum FROM " table " ORDER BY id",                               \
            "UPDATE " table " SET " column " = ?2, sum = ?3 WHERE id = ?1", "DELETE FROM " table,  \
            "CREATE TEMP TABLE moved_" table " (old INTEGER PRIMARY KEY, new INTEGER); "           \
            "INSERT INTO moved_" table " VALUES (-1, -1)",                                         \
            "INSERT INTO moved_" table " VALUES (?, ?)"                                            \
    }

static const kind_t kinds[CM_STRING_KINDS] = {
    [CM_STRING_PAGE] = KIND(CM_URL, "page", "url"),
    [CM_STRING_COUNTRY] = KIND(CM_COUNTRY, "country", "name"),
};

static int insert_text(const cm_writing_t *writing, sqlite3_stmt *insert, int64_t id, cm_str_t text,
                       cm_err_t *err)
{
    sqlite3_bind_int64(insert, 1, id);
    sqlite3_bind_text(insert, 2, text.data, (int)text.len, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 3, cm_check_string_hash(id, text));
    int rc = cm_database_step(writing->database, insert, WRITING, err);
    return rc == 0 && id % STOP_EVERY == 0 ? cm_writing_check_stop(writing, err) : rc;
}

/* ---- ids of the reader ---- */

static int add_texts(const cm_writing_t *writing, const kind_t *kind, cm_err_t *err)
{
    const cm_database_t *database = writing->database;
    sqlite3_stmt *insert = NULL;
    uint32_t count;
    int64_t id;

    int rc = cm_reader_string_count(writing->reader, kind->field, &count, err);
    if (rc == 0)
        rc = cm_database_int(database, kind->next, 0, &id, err);
    if (rc == 0)
        rc = cm_database_prepare(database, kind->insert, &insert, err);
    for (; rc == 0 && id < count; id++) {
        cm_str_t text;
        rc = cm_reader_string(writing->reader, kind->field, (uint32_t)id, &text, err);
        if (rc == 0)
            rc = insert_text(writing, insert, id, text, err);
    }
    sqlite3_finalize(insert);
    return rc;
}

int cm_strings_add(const cm_writing_t *writing, cm_err_t *err)
{
    int rc = 0;
    for (int k = 0; rc == 0 && k < CM_STRING_KINDS; k++)
        rc = add_texts(writing, &kinds[k], err);
    return rc;
}

/* ---- walking a table ---- */

/* `whole`: the stored hash of the string is right. */
typedef int (*text_fn)(void *context, int64_t id, cm_str_t text, bool whole, cm_err_t *err);

/* Walks all strings of the table by id; non-zero from `take` ends the walk. */
static int each_text(const cm_writing_t *writing, const kind_t *kind, text_fn take, void *context,
                     cm_err_t *err)
{
    sqlite3_stmt *select;
    int step = SQLITE_DONE, rc;

    if ((rc = cm_database_prepare(writing->database, kind->all, &select, err)) < 0)
        return rc;
    while (rc == 0 && (step = sqlite3_step(select)) == SQLITE_ROW) {
        const char *data = (const char *)sqlite3_column_text(select, 1);
        cm_str_t text = {data, (size_t)sqlite3_column_bytes(select, 1)};
        const int64_t id = sqlite3_column_int64(select, 0);
        rc = take(context, id, text,
                  sqlite3_column_int64(select, 2) == cm_check_string_hash(id, text), err);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = cm_check_fail_sqlite(writing->database, "reading the answers", err);
    sqlite3_finalize(select);
    return rc;
}

/* ---- ids of the tables ---- */

/* The strings of a table, and the id of each. */
typedef struct known {
    cm_dict_t texts;
    int64_t *ids; /* by place in the dictionary */
    uint32_t cap;
} known_t;

static int know(void *context, int64_t id, cm_str_t text, bool whole, cm_err_t *err)
{
    known_t *known = context;
    const uint32_t before = known->texts.count;

    (void)err;
    if (!whole) /* its rows are removed, and written with another id */
        return 0;
    const uint32_t place = cm_dict_put(&known->texts, text);
    if (known->texts.count == before) /* the table is damaged: the first one counts */
        return 0;
    if (place == known->cap) {
        known->cap = known->cap ? known->cap * 2 : 1024;
        known->ids = cm_realloc(known->ids, known->cap * sizeof *known->ids);
    }
    known->ids[place] = id;
    return 0;
}

static int match_texts(cm_writing_t *writing, cm_string_kind_t which, cm_err_t *err)
{
    const kind_t *kind = &kinds[which];
    const cm_database_t *database = writing->database;
    known_t known = {.texts = CM_DICT_INIT};
    sqlite3_stmt *insert = NULL;
    uint32_t count, place;
    int64_t next;

    int rc = cm_reader_string_count(writing->reader, kind->field, &count, err);
    if (rc == 0)
        rc = each_text(writing, kind, know, &known, err);
    if (rc == 0)
        rc = cm_database_int(database, kind->next, 0, &next, err);
    if (rc == 0)
        rc = cm_database_prepare(database, kind->insert, &insert, err);
    if (rc == 0 && (writing->ids[which] = malloc(((size_t)count + 1) * sizeof(uint32_t))) == NULL)
        rc = cm_fail_memory(err);
    for (uint32_t id = 0; rc == 0 && id < count; id++) {
        cm_str_t text;
        if ((rc = cm_reader_string(writing->reader, kind->field, id, &text, err)) < 0)
            break;
        bool found = cm_dict_find(&known.texts, text, &place);
        writing->ids[which][id] = (uint32_t)(found ? known.ids[place] : next);
        if (!found)
            rc = insert_text(writing, insert, next++, text, err);
    }
    sqlite3_finalize(insert);
    cm_dict_free(&known.texts);
    free(known.ids);
    return rc;
}

int cm_strings_match(cm_writing_t *writing, cm_err_t *err)
{
    int rc = 0;
    for (int k = 0; rc == 0 && k < CM_STRING_KINDS; k++)
        rc = match_texts(writing, (cm_string_kind_t)k, err);
    return rc;
}

int cm_strings_prune(const cm_writing_t *writing, cm_err_t *err)
{
    /* Every cell has a total of its url and one of its country. */
    return cm_database_exec(writing->database,
                            "DELETE FROM page WHERE id NOT IN (SELECT url FROM total); "
                            "DELETE FROM country WHERE id NOT IN (SELECT country FROM total)",
                            WRITING, err);
}

/* ---- from the tables' ids to the reader's ---- */

typedef struct moving {
    const cm_writing_t *writing;
    cm_field_t field;
    uint32_t count;          /* of the reader's strings */
    cm_dict_t names;         /* these, by their ids */
    sqlite3_stmt *statement; /* takes an old and a new id */
} moving_t;

static int mend_text(void *context, int64_t id, cm_str_t text, bool whole, cm_err_t *err)
{
    moving_t *moving = context;
    cm_str_t name;

    if (id < 0 || id >= moving->count)
        return 0;
    int rc = cm_reader_string(moving->writing->reader, moving->field, (uint32_t)id, &name, err);
    if (rc < 0 || (whole && cm_str_equal(name, text)))
        return rc;
    sqlite3_bind_int64(moving->statement, 1, id);
    sqlite3_bind_text(moving->statement, 2, name.data, (int)name.len, SQLITE_STATIC);
    sqlite3_bind_int64(moving->statement, 3, cm_check_string_hash(id, name));
    return cm_database_step(moving->writing->database, moving->statement, WRITING, err);
}

int cm_strings_repair(const cm_writing_t *writing, cm_err_t *err)
{
    int rc = 0;

    for (int k = 0; rc == 0 && k < CM_STRING_KINDS; k++) {
        moving_t moving = {.writing = writing, .field = kinds[k].field};
        rc = cm_reader_string_count(writing->reader, kinds[k].field, &moving.count, err);
        if (rc == 0)
            rc = cm_database_prepare(writing->database, kinds[k].mend, &moving.statement, err);
        if (rc == 0)
            rc = each_text(writing, &kinds[k], mend_text, &moving, err);
        sqlite3_finalize(moving.statement);
    }
    return rc;
}

static int move_text(void *context, int64_t id, cm_str_t text, bool whole, cm_err_t *err)
{
    moving_t *moving = context;
    uint32_t found;

    (void)whole;
    if (!cm_dict_find(&moving->names, text, &found))
        return 0;
    sqlite3_bind_int64(moving->statement, 1, id);
    sqlite3_bind_int64(moving->statement, 2, found);
    return cm_database_step(moving->writing->database, moving->statement, WRITING, err);
}

/* Fills the table of old and new ids. */
static int list_moves(const cm_writing_t *writing, const kind_t *kind, cm_err_t *err)
{
    moving_t moving = {.writing = writing, .names = CM_DICT_INIT};
    cm_str_t name;

    int rc = cm_reader_string_count(writing->reader, kind->field, &moving.count, err);
    for (uint32_t id = 0; rc == 0 && id < moving.count; id++) {
        if ((rc = cm_reader_string(writing->reader, kind->field, id, &name, err)) == 0)
            cm_dict_put(&moving.names, name);
    }
    if (rc == 0)
        rc = cm_database_exec(writing->database, kind->moved, WRITING, err);
    if (rc == 0)
        rc = cm_database_prepare(writing->database, kind->move, &moving.statement, err);
    if (rc == 0)
        rc = each_text(writing, kind, move_text, &moving, err);
    sqlite3_finalize(moving.statement);
    cm_dict_free(&moving.names);
    return rc;
}

#define MOVE(table)                                                                                \
    "CREATE TEMP TABLE moved AS SELECT window, start, moved_page.new AS url, moved_country.new "   \
    "AS country, " CM_MEASURE_COLUMNS ", updated_at FROM " table " JOIN moved_page ON "            \
    "moved_page.old = " table ".url JOIN moved_country ON moved_country.old = " table ".country; " \
    "DELETE FROM " table "; "                                                                      \
    "INSERT OR IGNORE INTO " table " SELECT * FROM moved ORDER BY window, start, url, country; "   \
    "DROP TABLE moved; "

int cm_strings_renumber(cm_writing_t *writing, cm_err_t *err)
{
    static const char lost[] = "gone.url NOT IN (SELECT old FROM moved_page) OR "
                               "gone.country NOT IN (SELECT old FROM moved_country)";
    int rc = 0;

    for (int k = 0; rc == 0 && k < CM_STRING_KINDS; k++)
        rc = list_moves(writing, &kinds[k], err);
    if (rc == 0)
        rc = cm_rows_remove_where(writing, "cell", lost, err);
    if (rc == 0)
        rc = cm_rows_remove_where(writing, "total", lost, err);
    if (rc == 0)
        rc = cm_database_exec(writing->database,
                              MOVE("cell") MOVE("total") "DROP TABLE moved_page; DROP TABLE "
                                                         "moved_country",
                              WRITING, err);
    for (int k = 0; rc == 0 && k < CM_STRING_KINDS; k++)
        rc = cm_database_exec(writing->database, kinds[k].forget, WRITING, err);
    return rc;
}
