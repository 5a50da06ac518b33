#include "index/embedded/spellings.h"

#include <stdlib.h>

static const cm_spellings_one_t bad = {.state = CM_SPELLINGS_BAD};

int cm_spellings_open(cm_spellings_t *texts, const cm_database_t *database, cm_string_kind_t kind,
                      const char *exact, const cm_pattern_t *pattern, cm_err_t *err)
{
    static const struct sql {
        const char *count, *select;
    } kinds[CM_STRING_KINDS] = {
        [CM_STRING_PAGE] = {"SELECT max(id) + 1 FROM page",
                            "SELECT url, sum FROM page WHERE id = ?"},
        [CM_STRING_COUNTRY] = {"SELECT max(id) + 1 FROM country",
                               "SELECT name, sum FROM country WHERE id = ?"}};
    int64_t count = 0;

    *texts =
        (cm_spellings_t){.database = database,
                         .arena = CM_ARENA_INIT,
                         .whole = {.state = exact != NULL || pattern != NULL ? CM_SPELLINGS_LEFT_OUT
                                                                             : CM_SPELLINGS_WANTED},
                         .exact = exact != NULL ? cm_str(exact) : (cm_str_t){0},
                         .pattern = pattern};
    int rc = cm_database_int(database, kinds[kind].count, 0, &count, err);
    if (rc == CM_ECORRUPT)
        rc = cm_check_fail_sqlite(database, "reading the answers", err);
    if (rc == 0)
        rc = cm_database_prepare(database, kinds[kind].select, &texts->select, err);
    /* Ids have 32 bits; a larger one is damage, and no row has it. */
    texts->count = count < 0 || count > UINT32_MAX ? 0 : (size_t)count;
    texts->all = cm_alloc_zero(texts->count + 1, sizeof *texts->all);
    return rc;
}

static cm_spellings_state_t filter(const cm_spellings_t *texts, cm_str_t text)
{
    const bool out = (texts->exact.data != NULL && !cm_str_equal(text, texts->exact)) ||
                     (texts->pattern != NULL && !cm_pattern_matches(texts->pattern, text));

    return out ? CM_SPELLINGS_LEFT_OUT : CM_SPELLINGS_WANTED;
}

const cm_spellings_one_t *cm_spellings_read(cm_spellings_t *texts, int64_t id)
{
    if (id < 0)
        return &texts->whole;
    if ((uint64_t)id >= texts->count)
        return &bad;
    cm_spellings_one_t *text = &texts->all[id];
    text->state = CM_SPELLINGS_BAD;
    sqlite3_bind_int64(texts->select, 1, id);
    const int step = sqlite3_step(texts->select);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        texts->failed = step;
    if (step == SQLITE_ROW) {
        const char *data = (const char *)sqlite3_column_text(texts->select, 0);
        const cm_str_t read = {data, (size_t)sqlite3_column_bytes(texts->select, 0)};
        if (data != NULL &&
            sqlite3_column_int64(texts->select, 1) == cm_check_string_hash(id, read)) {
            text->text = cm_arena_copy(&texts->arena, read);
            text->state = filter(texts, read);
        }
    }
    sqlite3_reset(texts->select);
    return text;
}

void cm_spellings_close(cm_spellings_t *texts)
{
    sqlite3_finalize(texts->select);
    free(texts->all);
    cm_arena_free(&texts->arena);
}
