#include "cassandra/changes.h"

#include "cassandra/settle.h"

#include <stdio.h>

static const char suffix[] = "_changes";

typedef struct column {
    const char *name, *type;
} column_t;

static const column_t columns[] = {
    {"part", "text"},       {"seq", "bigint"},     {"done", "bigint"}, {"end_seq", "bigint"},
    {"first_us", "bigint"}, {"last_us", "bigint"}, {"keys", "blob"},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

bool cm_cassandra_changes_are_seen(cm_cql_consistency_t level)
{
    return level == CM_CQL_QUORUM || level == CM_CQL_LOCAL_QUORUM || level == CM_CQL_ALL;
}

void cm_cassandra_changes_part(int64_t writer, int64_t seq, char part[CM_CASSANDRA_CHANGES_PART])
{
    snprintf(part, CM_CASSANDRA_CHANGES_PART, "w%016llx.%lld", (unsigned long long)writer,
             (long long)(seq / CM_CASSANDRA_CHANGES_BUCKET));
}

static void name_of(const cm_cassandra_settings_t *settings, cm_buf_t *name)
{
    cm_buf_add_text(name, settings->table);
    cm_buf_add_text(name, suffix);
    cm_buf_add_char(name, '\0');
}

void cm_cassandra_changes_add_table(cm_buf_t *text, const cm_cassandra_settings_t *settings)
{
    cm_buf_t name = CM_BUF_INIT;

    name_of(settings, &name);
    cm_cassandra_add_name(text, settings->keyspace);
    cm_buf_add_char(text, '.');
    cm_cassandra_add_name(text, name.data);
    cm_buf_free(&name);
}

/* ---- keys: a length of two bytes, little-endian, and the string ---- */

void cm_cassandra_changes_add_key(cm_buf_t *keys, cm_str_t key)
{
    cm_buf_add_char(keys, (char)(key.len & 0xff));
    cm_buf_add_char(keys, (char)(key.len >> 8 & 0xff));
    cm_buf_add_str(keys, key);
}

bool cm_cassandra_changes_next_key(cm_str_t *rest, cm_str_t *key)
{
    if (rest->len < 2)
        return false;
    size_t len = (size_t)(uint8_t)rest->data[0] | (size_t)(uint8_t)rest->data[1] << 8;
    if (rest->len - 2 < len)
        return false;
    *key = (cm_str_t){rest->data + 2, len};
    *rest = (cm_str_t){rest->data + 2 + len, rest->len - 2 - len};
    return true;
}

/* ---- reading ---- */

static void add_where(cm_buf_t *text, const cm_cassandra_settings_t *settings, bool companion)
{
    cm_buf_t name = CM_BUF_INIT;

    name_of(settings, &name);
    cm_buf_add_text(text, " WHERE keyspace_name = ");
    cm_cassandra_add_quoted(text, settings->keyspace);
    cm_buf_add_text(text, " AND table_name = ");
    cm_cassandra_add_quoted(text, companion ? name.data : settings->table);
    cm_buf_free(&name);
}

typedef struct about {
    char id[40];
    int64_t ttl_s;
} about_t;

static void on_table(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    about_t *about = context;

    (void)error;
    if (result->rows == NULL || result->rows->column_count != 2 || !cm_cql_next(result->rows) ||
        result->rows->cells[0].len != 16)
        return;
    for (size_t i = 0; i < 16; i++)
        snprintf(about->id + 2 * i, 3, "%02x", (unsigned)(uint8_t)result->rows->cells[0].data[i]);
    about->ttl_s = cm_cql_get_i32(result->rows->cells[1]);
}

typedef struct found {
    cm_cassandra_changes_facts_t *facts;
    unsigned seen; /* one bit for each of `columns` */
} found_t;

static void on_column(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    found_t *found = context;

    (void)error;
    while (result->rows != NULL && result->rows->column_count == 2 && cm_cql_next(result->rows)) {
        const cm_str_t *cells = result->rows->cells;
        for (int i = 0; i < COLUMNS; i++) {
            if (cm_str_equal(cells[0], cm_str(columns[i].name)) &&
                cm_str_equal(cells[1], cm_str(columns[i].type)))
                found->seen |= 1u << i;
        }
    }
}

static int look_at(const cm_cassandra_settings_t *settings, cm_cql_t *session, bool companion,
                   about_t *about, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;

    *about = (about_t){.id = ""};
    cm_buf_add_text(&text, "SELECT id, default_time_to_live FROM system_schema.tables");
    add_where(&text, settings, companion);
    int rc = cm_cassandra_select_system(settings, session, text.data, on_table, about,
                                        "looking for the table's id", err);
    cm_buf_free(&text);
    return rc;
}

int cm_cassandra_changes_probe(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                               cm_cassandra_changes_facts_t *facts, cm_err_t *err)
{
    found_t found = {.facts = facts};
    cm_buf_t text = CM_BUF_INIT;
    about_t table, changes;

    *facts = (cm_cassandra_changes_facts_t){.there = false};
    int rc = look_at(settings, session, false, &table, err);
    if (rc == 0)
        rc = look_at(settings, session, true, &changes, err);
    cm_buf_add_text(&text, "SELECT column_name, type FROM system_schema.columns");
    add_where(&text, settings, true);
    if (rc == 0)
        rc = cm_cassandra_select_system(settings, session, text.data, on_column, &found,
                                        "looking for the companion table", err);
    cm_buf_free(&text);
    if (rc < 0)
        return rc;
    memcpy(facts->table, table.id, sizeof facts->table);
    memcpy(facts->changes, changes.id, sizeof facts->changes);
    facts->table_ttl_s = table.ttl_s;
    for (int i = COLUMNS - 1; i >= 0; i--) {
        if (changes.id[0] != '\0' && (found.seen >> i & 1) == 0)
            snprintf(facts->difference, sizeof facts->difference, "there is no column %s %s",
                     columns[i].name, columns[i].type);
    }
    facts->there = changes.id[0] != '\0' && facts->difference[0] == '\0';
    return 0;
}

/* ---- creating ---- */

static int create(const cm_cassandra_settings_t *settings, cm_cql_t *session, cm_cql_error_t *error,
                  cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "CREATE TABLE IF NOT EXISTS ");
    cm_cassandra_changes_add_table(&text, settings);
    cm_buf_add_text(&text, " (");
    for (int i = 0; i < COLUMNS; i++)
        cm_buf_printf(&text, "%s %s, ", columns[i].name, columns[i].type);
    cm_buf_add_text(&text, "PRIMARY KEY (part, seq))");
    int rc = cm_cassandra_change(session, text.data, error, err);
    cm_buf_free(&text);
    return rc;
}

static int complain(const cm_cassandra_settings_t *settings,
                    const cm_cassandra_changes_facts_t *facts, cm_err_t *err)
{
    if (facts->there)
        return 0;
    if (facts->difference[0] != '\0')
        return cm_fail(err, CM_EUSAGE,
                       "table %s.%s%s in Cassandra at %s is not the companion of the events: %s; "
                       "drop it and make it with `clickmill doctor --fix`, or choose another "
                       "cassandra.table",
                       settings->keyspace, settings->table, suffix, settings->hosts,
                       facts->difference);
    return cm_fail(err, CM_EINPUT,
                   "there is no table %s.%s%s in Cassandra at %s, which cassandra.only_writer "
                   "needs; make it with `clickmill doctor --fix`, or let cassandra.create do it",
                   settings->keyspace, settings->table, suffix, settings->hosts);
}

int cm_cassandra_changes_ensure(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                                bool make, bool *made, cm_err_t *err)
{
    cm_cassandra_settling_t settling = cm_cassandra_settling_begin(settings);
    cm_cassandra_changes_facts_t facts;
    bool missing = false;

    int rc = cm_cassandra_changes_probe(settings, session, &facts, err);
    while (rc == 0 && make && !facts.there && facts.difference[0] == '\0') {
        cm_cql_error_t error = {.code = CM_CQL_OK};
        missing = true;
        rc = create(settings, session, &error, err);
        if (rc == 0 && error.code != CM_CQL_OK && !cm_cassandra_is_unsettled(&error))
            return cm_cassandra_server_error(settings, &error, "making the companion table", err);
        if (rc == 0)
            rc = cm_cassandra_changes_probe(settings, session, &facts, err);
        if (rc == 0 && !facts.there && !cm_cassandra_settle(&settling, settings, session))
            return cm_cassandra_unsettled(settings, &error, "making the companion table", err);
    }
    if (made != NULL)
        *made = missing;
    return rc == 0 ? complain(settings, &facts, err) : rc;
}
