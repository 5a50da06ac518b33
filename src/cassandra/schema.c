#include "cassandra/schema.h"

#include "cassandra/settle.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct column {
    const char *name, *kind, *type; /* as system_schema.columns has them */
} column_t;

/* The optional fields are in the order of cm_extra_field_t. */
static const column_t contract[CM_CASSANDRA_COLUMNS] = {
    {"row_key", "partition_key", "text"},    {"user_id", "regular", "text"},
    {"timestamp", "regular", "timestamp"},   {"url", "regular", "text"},
    {"country", "regular", "text"},          {"city", "regular", "text"},
    {"browser", "regular", "text"},          {"os", "regular", "text"},
    {"device", "regular", "text"},           {"name", "regular", "text"},
    {"referrer", "regular", "text"},         {"utm_source", "regular", "text"},
    {"utm_medium", "regular", "text"},       {"utm_campaign", "regular", "text"},
    {"utm_term", "regular", "text"},         {"utm_content", "regular", "text"},
    {"browser_version", "regular", "text"},  {"os_version", "regular", "text"},
    {"region", "regular", "text"},           {"language", "regular", "text"},
    {"props", "regular", "map<text, text>"}, {"engaged_ms", "regular", "int"},
};

void cm_cassandra_add_columns(cm_buf_t *text, const cm_cassandra_settings_t *settings)
{
    for (int i = 0; i < cm_cassandra_column_count(settings); i++)
        cm_buf_printf(text, "%s%s", i == 0 ? "" : ", ", contract[i].name);
}

static void copy(char *to, size_t size, cm_str_t text)
{
    snprintf(to, size, "%.*s", (int)text.len, text.data != NULL ? text.data : "");
}

/* ---- reading ---- */

static void count_node(cm_cassandra_facts_t *facts, cm_str_t dc)
{
    facts->nodes++;
    for (int i = 0; i < facts->dc_count; i++) {
        if (cm_str_equal(cm_str(facts->dcs[i].name), dc)) {
            facts->dcs[i].nodes++;
            return;
        }
    }
    if (facts->dc_count == CM_CASSANDRA_DCS || dc.len == 0)
        return;
    copy(facts->dcs[facts->dc_count].name, sizeof facts->dcs[0].name, dc);
    facts->dcs[facts->dc_count++].nodes = 1;
}

static void on_local(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    cm_cassandra_facts_t *facts = context;

    (void)error;
    if (result->rows == NULL || result->rows->column_count != 3 || !cm_cql_next(result->rows))
        return;
    const cm_str_t *cells = result->rows->cells;
    copy(facts->version, sizeof facts->version, cells[0]);
    copy(facts->cluster, sizeof facts->cluster, cells[1]);
    copy(facts->data_center, sizeof facts->data_center, cells[2]);
    count_node(facts, cells[2]);
}

static void on_peers(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    (void)error;
    while (result->rows != NULL && cm_cql_next(result->rows))
        count_node(context, result->rows->cells[0]);
}

static int32_t take_int(cm_str_t *rest)
{
    int32_t value = rest->len >= 4 ? cm_cql_get_i32((cm_str_t){rest->data, 4}) : -1;
    size_t len = rest->len >= 4 ? 4 : rest->len;

    *rest = (cm_str_t){rest->data + len, rest->len - len};
    return value;
}

static cm_str_t take_text(cm_str_t *rest)
{
    int32_t len = take_int(rest);
    cm_str_t text = {rest->data, len >= 0 && (size_t)len <= rest->len ? (size_t)len : 0};

    *rest = (cm_str_t){rest->data + text.len, rest->len - text.len};
    return text;
}

/* A map<text, text> (v4 section 6.14): class, and the number of copies in each data centre. */
static void on_keyspace(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    static const char package[] = "org.apache.cassandra.locator.";
    cm_cassandra_facts_t *facts = context;
    char copies[200] = "", strategy[64] = "";
    size_t at = 0;

    (void)error;
    if (result->rows == NULL || !cm_cql_next(result->rows))
        return;
    facts->state = CM_CASSANDRA_NO_TABLE;
    cm_str_t rest = result->rows->cells[0];
    for (int32_t left = take_int(&rest); left > 0 && rest.len > 0; left--) {
        cm_str_t name = take_text(&rest), value = take_text(&rest);
        if (cm_str_equal(name, CM_STR("class"))) {
            size_t skip = value.len > sizeof package - 1 &&
                                  memcmp(value.data, package, sizeof package - 1) == 0
                              ? sizeof package - 1
                              : 0;
            copy(strategy, sizeof strategy, (cm_str_t){value.data + skip, value.len - skip});
        } else if (at < sizeof copies) {
            at += (size_t)snprintf(copies + at, sizeof copies - at, ", %.*s: %.*s", (int)name.len,
                                   name.data, (int)value.len, value.data);
        }
    }
    snprintf(facts->replication, sizeof facts->replication, "%s%s", strategy, copies);
}

/* The columns found in the table. */
typedef struct found {
    cm_cassandra_facts_t *facts;
    int count; /* of columns that are wanted */
    bool any;
    bool there[CM_CASSANDRA_COLUMNS];
} found_t;

static void differ(found_t *found, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void differ(found_t *found, const char *format, ...)
{
    cm_cassandra_facts_t *facts = found->facts;
    va_list args;

    if (facts->difference[0] != '\0') /* the first difference is enough */
        return;
    va_start(args, format);
    vsnprintf(facts->difference, sizeof facts->difference, format, args);
    va_end(args);
}

static void check_column(found_t *found, cm_str_t name, cm_str_t kind, cm_str_t type)
{
    for (int i = 0; i < found->count; i++) {
        const column_t *wanted = &contract[i];
        if (!cm_str_equal(name, cm_str(wanted->name)))
            continue;
        found->there[i] = true;
        if (!cm_str_equal(type, cm_str(wanted->type)))
            differ(found, "column %s is of type %.*s, not %s%s", wanted->name, (int)type.len,
                   type.data, wanted->type,
                   i >= CM_CASSANDRA_NINE ? " as cassandra.extended has it" : "");
        else if (!cm_str_equal(kind, cm_str(wanted->kind)))
            differ(found, "column %s is %.*s, not %s", wanted->name, (int)kind.len, kind.data,
                   i == 0 ? "the primary key" : "a regular one");
        return;
    }
    if (!cm_str_equal(kind, CM_STR("regular")) && !cm_str_equal(kind, CM_STR("static")))
        differ(found, "column %.*s is in its key, which is row_key alone", (int)name.len,
               name.data);
}

static void on_columns(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    found_t *found = context;

    (void)error;
    while (result->rows != NULL && result->rows->column_count == 3 && cm_cql_next(result->rows)) {
        const cm_str_t *cells = result->rows->cells;
        found->any = true;
        check_column(found, cells[0], cells[1], cells[2]);
    }
}

/* What the table is, by the columns that were found. */
static void judge_columns(found_t *found)
{
    cm_cassandra_facts_t *facts = found->facts;
    bool narrow = false;

    for (int i = 0; i < CM_CASSANDRA_NINE; i++) {
        if (!found->there[i])
            differ(found, "there is no column %s", contract[i].name);
    }
    for (int i = CM_CASSANDRA_NINE; i < found->count; i++) {
        facts->missing[i] = !found->there[i];
        narrow |= facts->missing[i];
    }
    facts->state = facts->difference[0] != '\0' ? CM_CASSANDRA_OTHER_TABLE
                   : narrow                     ? CM_CASSANDRA_NARROW
                                                : CM_CASSANDRA_READY;
}

static int look_at_keyspace(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                            cm_cassandra_facts_t *facts, cm_err_t *err)
{
    found_t found = {.facts = facts, .count = cm_cassandra_column_count(settings)};
    cm_buf_t text = CM_BUF_INIT;

    facts->state = CM_CASSANDRA_NO_KEYSPACE;
    cm_buf_add_text(&text,
                    "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ");
    cm_cassandra_add_quoted(&text, settings->keyspace);
    int rc = cm_cassandra_select_system(settings, session, text.data, on_keyspace, facts,
                                        "looking for the keyspace", err);
    cm_buf_clear(&text);
    cm_buf_add_text(&text, "SELECT column_name, kind, type FROM system_schema.columns "
                           "WHERE keyspace_name = ");
    cm_cassandra_add_quoted(&text, settings->keyspace);
    cm_buf_add_text(&text, " AND table_name = ");
    cm_cassandra_add_quoted(&text, settings->table);
    if (rc == 0 && facts->state != CM_CASSANDRA_NO_KEYSPACE)
        rc = cm_cassandra_select_system(settings, session, text.data, on_columns, &found,
                                        "looking for the table", err);
    cm_buf_free(&text);
    if (found.any)
        judge_columns(&found);
    return rc;
}

static const char *const state_names[] = {
    [CM_CASSANDRA_READY] = "ready",       [CM_CASSANDRA_NO_KEYSPACE] = "no-keyspace",
    [CM_CASSANDRA_NO_TABLE] = "no-table", [CM_CASSANDRA_OTHER_TABLE] = "other-table",
    [CM_CASSANDRA_NARROW] = "narrow",
};

int cm_cassandra_probe(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                       cm_cassandra_facts_t *facts, cm_err_t *err)
{
    cm_cql_stats_t stats;

    cm_cql_stats(session, &stats);
    *facts = (cm_cassandra_facts_t){.state = CM_CASSANDRA_NO_KEYSPACE, .protocol = stats.version};
    int rc = cm_cassandra_select_system(
        settings, session, "SELECT release_version, cluster_name, data_center FROM system.local",
        on_local, facts, "asking for the version", err);
    if (rc == 0)
        rc = cm_cassandra_select_system(settings, session, "SELECT data_center FROM system.peers",
                                        on_peers, facts, "asking for the other nodes", err);
    if (rc == 0)
        rc = look_at_keyspace(settings, session, facts, err);
    if (rc == 0)
        cm_debug(settings->log, CM_DEBUG_CASSANDRA, "table is probed",
                 "keyspace=%s table=%s state=%s version=%s", settings->keyspace, settings->table,
                 state_names[facts->state], facts->version);
    return rc;
}

/* ---- creating ---- */

static int fail_replication(const cm_cassandra_settings_t *settings, cm_err_t *err)
{
    return cm_fail(err, CM_EUSAGE,
                   "cassandra.replication wants a number of copies, or one for each data centre "
                   "like dc1:3,dc2:2, not \"%.80s\"",
                   settings->replication);
}

/* "dc1:3,dc2:2" as options of the strategy. */
static int add_listed(cm_buf_t *text, const cm_cassandra_settings_t *settings, cm_err_t *err)
{
    const char *at = settings->replication;

    for (;;) {
        size_t len = strcspn(at, ",");
        const char *colon = memchr(at, ':', len);
        char name[64];
        int64_t copies;
        if (colon == NULL || colon == at || (size_t)(colon - at) >= sizeof name ||
            !cm_str_to_i64(cm_str_trim((cm_str_t){colon + 1, len - (size_t)(colon + 1 - at)}),
                           &copies) ||
            copies < 0 || copies > 100)
            return fail_replication(settings, err);
        copy(name, sizeof name, cm_str_trim((cm_str_t){at, (size_t)(colon - at)}));
        cm_buf_add_text(text, ", ");
        cm_cassandra_add_quoted(text, name);
        cm_buf_printf(text, ": %d", (int)copies);
        if (at[len] == '\0')
            return 0;
        at += len + 1;
    }
}

/* The same number of copies in every existing data centre, written in a way that all versions
 * understand. */
static int add_replication(cm_buf_t *text, const cm_cassandra_settings_t *settings,
                           const cm_cassandra_facts_t *facts, cm_err_t *err)
{
    enum { USUAL = 3 };
    int64_t copies = USUAL;

    if (settings->replication != NULL && strchr(settings->replication, ':') != NULL)
        return add_listed(text, settings, err);
    if (settings->replication != NULL &&
        (!cm_str_to_i64(cm_str(settings->replication), &copies) || copies < 1 || copies > 100))
        return fail_replication(settings, err);
    for (int i = 0; i < facts->dc_count; i++) {
        int nodes = facts->dcs[i].nodes;
        cm_buf_add_text(text, ", ");
        cm_cassandra_add_quoted(text, facts->dcs[i].name);
        cm_buf_printf(text, ": %d",
                      settings->replication == NULL && nodes < USUAL ? nodes : (int)copies);
    }
    return 0;
}

static int create_keyspace(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                           const cm_cassandra_facts_t *facts, cm_cql_error_t *error, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "CREATE KEYSPACE IF NOT EXISTS ");
    cm_cassandra_add_name(&text, settings->keyspace);
    cm_buf_add_text(&text, " WITH replication = {'class': 'NetworkTopologyStrategy'");
    int rc = add_replication(&text, settings, facts, err);
    cm_buf_add_char(&text, '}');
    if (rc == 0)
        rc = cm_cassandra_change(session, text.data, error, err);
    cm_buf_free(&text);
    return rc;
}

static int create_table(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                        cm_cql_error_t *error, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "CREATE TABLE IF NOT EXISTS ");
    cm_cassandra_add_table(&text, settings);
    for (int i = 0; i < cm_cassandra_column_count(settings); i++)
        cm_buf_printf(&text, "%s%s %s%s", i == 0 ? " (" : ", ", contract[i].name, contract[i].type,
                      i == 0 ? " PRIMARY KEY" : "");
    cm_buf_add_char(&text, ')');
    int rc = cm_cassandra_change(session, text.data, error, err);
    cm_buf_free(&text);
    return rc;
}

static int add_missing(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                       const cm_cassandra_facts_t *facts, cm_cql_error_t *error, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;
    const char *before = " ADD (";

    cm_buf_add_text(&text, "ALTER TABLE ");
    cm_cassandra_add_table(&text, settings);
    for (int i = 0; i < CM_CASSANDRA_COLUMNS; i++) {
        if (!facts->missing[i])
            continue;
        cm_buf_printf(&text, "%s%s %s", before, contract[i].name, contract[i].type);
        before = ", ";
    }
    cm_buf_add_char(&text, ')');
    int rc = cm_cassandra_change(session, text.data, error, err);
    cm_buf_free(&text);
    return rc;
}

/* Creates the next missing object, and reports which it was. */
static int create_next(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                       const cm_cassandra_facts_t *facts, const char **doing, cm_cql_error_t *error,
                       cm_err_t *err)
{
    if (facts->state == CM_CASSANDRA_NO_KEYSPACE) {
        *doing = "making the keyspace";
        return create_keyspace(settings, session, facts, error, err);
    }
    if (facts->state == CM_CASSANDRA_NARROW) {
        *doing = "adding columns to the table";
        return add_missing(settings, session, facts, error, err);
    }
    *doing = "making the table";
    return create_table(settings, session, error, err);
}

static bool is_missing(cm_cassandra_state_t state, bool alter)
{
    return state == CM_CASSANDRA_NO_KEYSPACE || state == CM_CASSANDRA_NO_TABLE ||
           (state == CM_CASSANDRA_NARROW && alter);
}

/* The facts are read again after each step: another process may have created the object meanwhile,
 * and the node that is asked may not know it yet. */
int cm_cassandra_create(const cm_cassandra_settings_t *settings, cm_cql_t *session, bool alter,
                        cm_cassandra_facts_t *facts, cm_err_t *err)
{
    cm_cassandra_settling_t settling = cm_cassandra_settling_begin(settings);

    while (is_missing(facts->state, alter)) {
        const cm_cassandra_state_t before = facts->state;
        cm_cql_error_t error = {.code = CM_CQL_OK};
        const char *doing;
        int rc = create_next(settings, session, facts, &doing, &error, err);
        if (rc == 0 && error.code != CM_CQL_OK && !cm_cassandra_is_unsettled(&error))
            return cm_cassandra_server_error(settings, &error, doing, err);
        if (rc == 0)
            rc = cm_cassandra_probe(settings, session, facts, err);
        if (rc < 0)
            return rc;
        if (facts->state == before && !cm_cassandra_settle(&settling, settings, session))
            return cm_cassandra_unsettled(settings, &error, doing, err);
    }
    return cm_cassandra_explain_state(settings, facts, err);
}

/* The table has only some of the columns that `cassandra.extended` says it has. */
static int fail_narrow(const cm_cassandra_settings_t *settings, const cm_cassandra_facts_t *facts,
                       cm_err_t *err)
{
    cm_buf_t names = CM_BUF_INIT;
    int count = 0;

    for (int i = 0; i < CM_CASSANDRA_COLUMNS; i++) {
        if (facts->missing[i])
            cm_buf_printf(&names, "%s%s", count++ == 0 ? "" : ", ", contract[i].name);
    }
    int rc = cm_fail(err, CM_EUSAGE,
                     "table %s.%s in Cassandra at %s has no column%s %s, and cassandra.extended is "
                     "set; add what is missing with `clickmill doctor --fix`, or unset it",
                     settings->keyspace, settings->table, settings->hosts, count == 1 ? "" : "s",
                     names.data);
    cm_buf_free(&names);
    return rc;
}

int cm_cassandra_explain_state(const cm_cassandra_settings_t *settings,
                               const cm_cassandra_facts_t *facts, cm_err_t *err)
{
    static const char advice[] = "make it with `clickmill doctor --fix`, or let cassandra.create "
                                 "do it";

    switch (facts->state) {
    case CM_CASSANDRA_READY:
        return 0;
    case CM_CASSANDRA_NO_KEYSPACE:
        return cm_fail(err, CM_EINPUT, "there is no keyspace %s in Cassandra at %s; %s",
                       settings->keyspace, settings->hosts, advice);
    case CM_CASSANDRA_NO_TABLE:
        return cm_fail(err, CM_EINPUT, "there is no table %s.%s in Cassandra at %s; %s",
                       settings->keyspace, settings->table, settings->hosts, advice);
    case CM_CASSANDRA_NARROW:
        return fail_narrow(settings, facts, err);
    default:
        return cm_fail(err, CM_EUSAGE,
                       "table %s.%s in Cassandra at %s is not the contract's: %s; choose another "
                       "cassandra.keyspace or cassandra.table, or alter it",
                       settings->keyspace, settings->table, settings->hosts, facts->difference);
    }
}

int cm_cassandra_ensure(const cm_cassandra_settings_t *settings, cm_cql_t *session, cm_err_t *err)
{
    cm_cassandra_facts_t facts;

    int rc = cm_cassandra_probe(settings, session, &facts, err);
    if (rc < 0)
        return rc;
    return settings->create ? cm_cassandra_create(settings, session, false, &facts, err)
                            : cm_cassandra_explain_state(settings, &facts, err);
}
