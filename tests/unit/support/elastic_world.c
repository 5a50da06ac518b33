#include "elastic_world.h"

#include <stdarg.h>

/* The indices of a request "NAME,ALIAS" in ?1. */
#define NAMED                                                                                      \
    "(instr(',' || ?1 || ',', ',' || name || ',') > 0 OR "                                         \
    "instr(',' || ?1 || ',', ',' || alias || ',') > 0)"

/* ---- the database ---- */

/* Runs a statement with text parameters, of which the last is followed by NULL, and appends the
 * first column of its rows. Returns how many rows it gave or changed. */
static int run(elastic_world_t *world, cm_buf_t *out, const char *sql, ...)
{
    sqlite3_stmt *statement = NULL;
    int rows = 0, at = 1, code;
    const char *text;
    va_list args;

    if (sqlite3_prepare_v2(world->database, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(world->database), sql);
    va_start(args, sql);
    while ((text = va_arg(args, const char *)) != NULL)
        sqlite3_bind_text(statement, at++, text, -1, SQLITE_STATIC);
    va_end(args);
    for (; (code = sqlite3_step(statement)) == SQLITE_ROW; rows++) {
        if (sqlite3_column_type(statement, 0) != SQLITE_NULL)
            cm_buf_add_text(out, (const char *)sqlite3_column_text(statement, 0));
    }
    if (code != SQLITE_DONE)
        fail_msg("%s: %s", sqlite3_errmsg(world->database), sql);
    if (!sqlite3_stmt_readonly(statement))
        rows = sqlite3_changes(world->database);
    sqlite3_finalize(statement);
    return rows;
}

static bool has_index(elastic_world_t *world, const char *names)
{
    cm_buf_t ignored = CM_BUF_INIT;

    const bool found = run(world, &ignored, "SELECT name FROM indices WHERE " NAMED, names, NULL);
    cm_buf_free(&ignored);
    return found;
}

static int give_error(cm_buf_t *out, int status, const char *type)
{
    cm_buf_clear(out);
    cm_buf_printf(out, "{\"error\":{\"type\":\"%s\",\"reason\":\"%s\"},\"status\":%d}", type, type,
                  status);
    return status;
}

static int give_no_index(cm_buf_t *out)
{
    return give_error(out, 404, "index_not_found_exception");
}

static int give_done(cm_buf_t *out)
{
    cm_buf_add_text(out, "{\"acknowledged\":true}");
    return 200;
}

/* ---- indices ---- */

static int answer_mapping(elastic_world_t *world, const char *method, const char *names,
                          const char *body, cm_buf_t *out)
{
    if (!has_index(world, names))
        return give_no_index(out);
    if (strcmp(method, "PUT") == 0) {
        run(world, out, "UPDATE indices SET mapping = json_patch(mapping, ?2) WHERE " NAMED, names,
            body, NULL);
        return give_done(out);
    }
    run(world, out,
        "SELECT json_group_object(name, json_object('mappings', json(mapping))) FROM indices "
        "WHERE " NAMED,
        names, NULL);
    return 200;
}

static int answer_aliases(elastic_world_t *world, const char *pattern, cm_buf_t *out)
{
    run(world, out,
        "SELECT json_group_object(name, json_object('aliases', json(CASE WHEN alias IS NULL "
        "THEN '{}' ELSE json_object(alias, json('{}')) END))) FROM indices WHERE name GLOB ?1",
        pattern, NULL);
    return 200;
}

static int answer_index(elastic_world_t *world, const char *method, const char *name,
                        const char *body, cm_buf_t *out)
{
    if (strcmp(method, "PUT") == 0 && has_index(world, name))
        return give_error(out, 400, "resource_already_exists_exception");
    if (strcmp(method, "PUT") == 0) {
        run(world, out,
            "INSERT INTO indices VALUES (?1, (SELECT key FROM json_each(?2, '$.aliases')), "
            "json_extract(?2, '$.mappings'))",
            name, body, NULL);
        return give_done(out);
    }
    if (strcmp(method, "DELETE") != 0)
        return give_error(out, 400, "the fake does not know this request");
    run(world, out, "DELETE FROM documents WHERE name = ?1", name, NULL);
    return run(world, out, "DELETE FROM indices WHERE name = ?1", name, NULL) > 0
               ? give_done(out)
               : give_no_index(out);
}

/* ---- documents ---- */

/* Carries out one action and appends its item. Returns whether it was refused. */
static bool write_document(elastic_world_t *world, const char *action, const char *document,
                           cm_buf_t *items)
{
    if (document == NULL) {
        const bool gone = run(world, items,
                              "DELETE FROM documents WHERE name = json_extract(?1, "
                              "'$.delete._index') AND id = json_extract(?1, '$.delete._id')",
                              action, NULL);
        cm_buf_printf(items, "{\"delete\":{\"status\":%d}}", gone ? 200 : 404);
        return false;
    }
    if (world->refused != NULL && strstr(document, world->refused) != NULL) {
        cm_buf_add_text(items, "{\"index\":{\"status\":400,\"error\":{\"type\":"
                               "\"document_parsing_exception\",\"reason\":\"not today\"}}}");
        return true;
    }
    run(world, items,
        "INSERT OR REPLACE INTO documents VALUES (json_extract(?1, '$.index._index'), "
        "json_extract(?1, '$.index._id'), ?2)",
        action, document, NULL);
    cm_buf_add_text(items, "{\"index\":{\"status\":201}}");
    return false;
}

/* Ends the first line of `*text` with a zero and moves behind it; NULL: there is none left. */
static char *take_line(char **text)
{
    char *line = *text, *end = line + strcspn(line, "\n");

    if (*line == '\0')
        return NULL;
    *text = *end == '\n' ? end + 1 : end;
    *end = '\0';
    return line;
}

/* The results of single documents are given where the request asks for them. */
static int answer_bulk(elastic_world_t *world, const http_fake_request_t *request, cm_buf_t *out)
{
    char *lines = strdup(request->body.data), *rest = lines, *action;
    cm_buf_t items = CM_BUF_INIT;
    bool errors = false;

    while ((action = take_line(&rest)) != NULL) {
        const bool removes = strncmp(action, "{\"delete\"", 9) == 0;
        const char *document = removes ? NULL : take_line(&rest);
        if (items.len > 0)
            cm_buf_add_char(&items, ',');
        errors |= write_document(world, action, document, &items);
    }
    if (strstr(request->head, "filter_path=errors") != NULL)
        cm_buf_printf(out, "{\"errors\":%s}", errors ? "true" : "false");
    else
        cm_buf_printf(out, "{\"items\":[%s]}", items.data);
    cm_buf_free(&items);
    free(lines);
    return 200;
}

static int answer_document(elastic_world_t *world, const char *names, const char *id, cm_buf_t *out)
{
    if (!has_index(world, names))
        return give_no_index(out);
    if (run(world, out,
            "SELECT json_object('found', json('true'), '_source', json(source)) FROM documents "
            "JOIN indices USING (name) WHERE id = ?2 AND " NAMED,
            names, id, NULL) > 0)
        return 200;
    cm_buf_add_text(out, "{\"found\":false}");
    return 404;
}

/* ---- searches ---- */

/* Of a search in ?2: its clauses are those of `filter`, or of `must_not` one clause or a `filter`.
 * A document matches when none of them fails; a clause of another kind always fails. */
#define MATCHES                                                                                    \
    "(NOT EXISTS (SELECT 1 FROM json_each(coalesce(json_extract(?2, '$.query.bool.filter'), "      \
    "json_extract(?2, '$.query.bool.must_not.bool.filter'), "                                      \
    "json_array(json_extract(?2, '$.query.bool.must_not')))) AS clause, "                          \
    "json_each(clause.value) AS kind, json_each(kind.value) AS field WHERE CASE kind.key "         \
    "WHEN 'term' THEN json_extract(source, '$.' || field.key) IS field.value "                     \
    "WHEN 'terms' THEN json_extract(source, '$.' || field.key) IN "                                \
    "(SELECT value FROM json_each(field.value)) "                                                  \
    "WHEN 'wildcard' THEN json_extract(source, '$.' || field.key) GLOB "                           \
    "json_extract(field.value, '$.value') END IS NOT 1))"

/* Appends the ORDER BY of a search. */
static void add_order(elastic_world_t *world, const char *body, cm_buf_t *sql)
{
    run(world, sql,
        "SELECT ' ORDER BY ' || group_concat('json_extract(source, ''$.' || field.key || ''') ' "
        "|| CASE field.type WHEN 'object' THEN json_extract(field.value, '$.order') ELSE "
        "field.value END || ' NULLS LAST', ', ') FROM json_each(?1, '$.sort') AS sort, "
        "json_each(CASE sort.type WHEN 'object' THEN sort.value ELSE '{}' END) AS field",
        body, NULL);
}

/* All rows that are asked for come in one answer, also those of a scroll. */
static int answer_search(elastic_world_t *world, const char *names, const char *body, cm_buf_t *out)
{
    cm_buf_t sql = CM_BUF_INIT;

    if (!has_index(world, names))
        return give_no_index(out);
    cm_buf_add_text(&sql,
                    "SELECT json_object('_scroll_id', 's', 'hits', json_object('total', "
                    "json_object('value', count(*)), 'hits', json_group_array(json(hit)))) FROM "
                    "(SELECT json_object('_id', id, '_source', json(source)) AS hit FROM "
                    "documents JOIN indices USING (name) WHERE " NAMED " AND " MATCHES
                    " = (json_type(?2, '$.query.bool.must_not') IS NULL)");
    add_order(world, body, &sql);
    cm_buf_add_text(&sql, " LIMIT json_extract(?2, '$.size') OFFSET "
                          "coalesce(json_extract(?2, '$.from'), 0))");
    run(world, out, sql.data, names, body, NULL);
    cm_buf_free(&sql);
    return 200;
}

/* ---- requests ---- */

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static int answer(void *context, const http_fake_request_t *request, cm_buf_t *out)
{
    elastic_world_t *world = context;
    const char *body = request->body.data;
    char method[8], names[400] = "", what[400] = "";

    assert_true(sscanf(request->head, "%7s /%399[^/? ]/%399[^? ]", method, names, what) >= 1);
    if (names[0] == '\0')
        cm_buf_add_text(out, "{\"version\":{\"number\":\"8.19.0\"}}");
    else if (strcmp(names, "_bulk") == 0)
        return answer_bulk(world, request, out);
    else if (strcmp(names, "_cluster") == 0)
        cm_buf_add_text(out, "{\"status\":\"green\"}");
    else if (names[0] == '_' ? strstr(names, "_template") != NULL || strcmp(what, "scroll") == 0
                             : strcmp(what, "_refresh") == 0)
        return give_done(out);
    else if (strcmp(what, "_mapping") == 0)
        return answer_mapping(world, method, names, body, out);
    else if (strcmp(what, "_alias") == 0)
        return answer_aliases(world, names, out);
    else if (strcmp(what, "_search") == 0)
        return answer_search(world, names, body, out);
    else if (begins(what, "_doc/"))
        return answer_document(world, names, what + strlen("_doc/"), out);
    else if (names[0] != '_' && what[0] == '\0')
        return answer_index(world, method, names, body, out);
    else
        return give_error(out, 400, "the fake does not know this request");
    return 200;
}

/* ---- for the tests ---- */

void elastic_world_open(elastic_world_t *world)
{
    cm_buf_t ignored = CM_BUF_INIT;

    *world = (elastic_world_t){.refused = NULL};
    assert_int_equal(sqlite3_open(":memory:", &world->database), SQLITE_OK);
    run(world, &ignored, "CREATE TABLE indices (name TEXT PRIMARY KEY, alias TEXT, mapping TEXT)",
        NULL);
    run(world, &ignored,
        "CREATE TABLE documents (name TEXT, id TEXT, source TEXT, PRIMARY KEY (name, id))", NULL);
    cm_buf_free(&ignored);
    http_fake_open(&world->fake, NULL);
    http_fake_answer_by(&world->fake, answer, world);
    world->settings = (cm_elastic_settings_t){.hosts = world->fake.url,
                                              .index = "cells",
                                              .totals = "totals",
                                              .shards = 1,
                                              .replicas = -1,
                                              .connections = 1,
                                              .bulk_bytes = 1 << 20,
                                              .timeout_ms = 5000};
}

void elastic_world_close(elastic_world_t *world)
{
    http_fake_close(&world->fake);
    sqlite3_close(world->database);
}

void elastic_world_refuse(elastic_world_t *world, const char *text)
{
    pthread_mutex_lock(&world->fake.lock);
    world->refused = text;
    pthread_mutex_unlock(&world->fake.lock);
}
