#include "cassandra/settle.h"

#include <unistd.h>

enum {
    FIRST_WAIT_MS = 100, /* doubled each time up to: */
    LONGEST_WAIT_MS = 2000,
    RUN_MS = 50,
};

/* ---- which errors ---- */

/* Messages of Cassandra 2.2 to 5.0 while a table is created twice or not known to all nodes:
 * "Column family ID mismatch (found ...; expected ...)", "Cannot add existing keyspace",
 * "unconfigured table" of a node that does not know it yet, UnknownColumnFamilyException;
 * "Undefined column name" (4.0) and "Unknown identifier" (3.11) for a column that was just added.
 * Most have no code of their own: they come as server, configuration and invalid-query errors. */
static const char *const unsettled[] = {
    "id mismatch",         "already exists",     "already existing",   "cannot add existing",
    "unconfigured table",  "unconfigured colum", "does not exist",     "doesn't exist",
    "unknown keyspace",    "unknown table",      "couldn't find cfid", "couldn't find table",
    "unknowncolumnfamily", "schema disagree",    "schema agreement",   "schema version mismatch",
    "undefined column",    "unknown identifier",
};

static bool contains(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

bool cm_cassandra_is_unsettled(const cm_cql_error_t *error)
{
    if (error->code != CM_CQL_SERVER || error->server_code == CM_CQL_UNAUTHORIZED ||
        error->server_code == CM_CQL_SYNTAX_ERROR)
        return false;
    if (error->server_code == CM_CQL_ALREADY_EXISTS)
        return true;
    for (size_t i = 0; i < sizeof unsettled / sizeof *unsettled; i++) {
        if (contains(error->text, unsettled[i]))
            return true;
    }
    return false;
}

/* ---- waiting ---- */

cm_cassandra_settling_t cm_cassandra_settling_begin(const cm_cassandra_settings_t *settings)
{
    return (cm_cassandra_settling_t){.until_ns =
                                         cm_clock_ticks_ns() + 2 * settings->timeout_ms * 1000000};
}

/* The upper half of each wait is random, so that two processes in conflict do not meet again. */
static int64_t next_wait_ms(int attempt)
{
    int64_t wait = attempt < 5 ? FIRST_WAIT_MS << attempt : LONGEST_WAIT_MS;
    uint64_t chance = (uint64_t)cm_clock_ticks_ns() * UINT64_C(0x9E3779B97F4A7C15) +
                      (uint64_t)getpid() * UINT64_C(0xBF58476D1CE4E5B9);

    return wait / 2 + (int64_t)((chance >> 32) % (uint64_t)(wait / 2 + 1));
}

bool cm_cassandra_settle(cm_cassandra_settling_t *settling, const cm_cassandra_settings_t *settings,
                         cm_cql_t *session)
{
    int64_t wait_ns = next_wait_ms(settling->attempts++) * 1000000, now = cm_clock_ticks_ns();
    const int64_t until = now + wait_ns;
    cm_err_t ignored;

    if (until > settling->until_ns)
        return false;
    for (; now < until; now = cm_clock_ticks_ns()) {
        int64_t left_ms = (until - now) / 1000000 + 1;
        if (cm_cassandra_stopped(settings) ||
            cm_cassandra_run(session, left_ms < RUN_MS ? (int)left_ms : RUN_MS, &ignored) < 0)
            return false;
    }
    return true;
}

int cm_cassandra_unsettled(const cm_cassandra_settings_t *settings, const cm_cql_error_t *last,
                           const char *doing, cm_err_t *err)
{
    if (cm_cassandra_stopped(settings))
        return cm_fail(err, CM_ESTOP, "%s: stopped", doing);
    return cm_fail(err, CM_EAWAY,
                   "%s: the nodes of Cassandra at %s have not come to one schema within %g s "
                   "(%s%s%s); `nodetool describecluster` on one of them shows who differs",
                   doing, settings->hosts, 2 * (double)settings->timeout_ms / 1e3, last->node,
                   last->node[0] != '\0' ? ": " : "",
                   last->code != CM_CQL_OK ? last->text : "what was made is not there");
}

/* ---- preparing ---- */

typedef struct preparing {
    bool ended;
    cm_cql_error_t error;
} preparing_t;

static void on_prepared(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    preparing_t *preparing = context;

    (void)result;
    if (error != NULL)
        preparing->error = *error;
    preparing->ended = true;
}

static int prepare_once(cm_cql_t *session, cm_str_t text, cm_cql_prepared_t **prepared,
                        preparing_t *preparing, cm_err_t *err)
{
    *preparing = (preparing_t){0};
    int rc = cm_cql_prepare(session, text, prepared, on_prepared, preparing, err);
    cm_cassandra_result(session, rc);
    while (rc >= 0 && !preparing->ended)
        rc = cm_cassandra_run(session, -1, err);
    return rc < 0 ? rc : 0;
}

int cm_cassandra_prepare(const cm_cassandra_settings_t *settings, cm_cql_t *session, cm_str_t text,
                         cm_cql_prepared_t **prepared, const char *doing, cm_err_t *err)
{
    cm_cassandra_settling_t settling = cm_cassandra_settling_begin(settings);
    preparing_t preparing;

    for (;;) {
        int rc = prepare_once(session, text, prepared, &preparing, err);
        if (rc < 0)
            return rc;
        if (preparing.error.code == CM_CQL_OK)
            return 0;
        if (!cm_cassandra_is_unsettled(&preparing.error))
            return cm_cassandra_server_error(settings, &preparing.error, doing, err);
        if (!cm_cassandra_settle(&settling, settings, session))
            return cm_cassandra_unsettled(settings, &preparing.error, doing, err);
    }
}
