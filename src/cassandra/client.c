#include "cassandra/client.h"

#include "base/secret.h"

#include <stdio.h>

enum {
    ASK_MS = 200,      /* time between checks of `stop` */
    CHANGE_MS = 60000, /* schema changes take long */
};

void cm_cassandra_add_name(cm_buf_t *text, const char *name)
{
    cm_buf_add_char(text, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            cm_buf_add_char(text, '"');
        cm_buf_add_char(text, *name);
    }
    cm_buf_add_char(text, '"');
}

void cm_cassandra_add_table(cm_buf_t *text, const cm_cassandra_settings_t *settings)
{
    cm_cassandra_add_name(text, settings->keyspace);
    cm_buf_add_char(text, '.');
    cm_cassandra_add_name(text, settings->table);
}

void cm_cassandra_add_quoted(cm_buf_t *text, const char *value)
{
    cm_buf_add_char(text, '\'');
    for (; *value != '\0'; value++) {
        if (*value == '\'')
            cm_buf_add_char(text, '\'');
        cm_buf_add_char(text, *value);
    }
    cm_buf_add_char(text, '\'');
}

/* ---- memory ---- */

int cm_cassandra_result(const cm_cql_t *session, int rc)
{
    cm_cql_stats_t stats = {0};

    if (session != NULL)
        cm_cql_stats(session, &stats);
    if (rc == CM_ENOMEM || stats.no_memory > 0)
        cm_out_of_memory();
    return rc;
}

int cm_cassandra_run(cm_cql_t *session, int timeout_ms, cm_err_t *err)
{
    return cm_cassandra_result(session, cm_cql_run(session, timeout_ms, err));
}

/* ---- errors ---- */

/* "127.0.0.1:9042: ", the node that returned the error. */
static const char *node_of(const cm_cql_error_t *error, char *text, size_t size)
{
    snprintf(text, size, "%s%s", error->node, error->node[0] != '\0' ? ": " : "");
    return text;
}

static int fail_server(const cm_cassandra_settings_t *settings, const cm_cql_error_t *error,
                       const char *doing, cm_err_t *err)
{
    if (error->server_code == CM_CQL_UNAUTHORIZED)
        return cm_fail(err, CM_EUSAGE,
                       "%s: Cassandra at %s does not allow it to this user (%s); ask who runs it "
                       "for the right",
                       doing, settings->hosts, error->text);
    if (cm_cql_error_is_passing(error))
        return cm_fail(err, CM_EAWAY, "%s: Cassandra at %s is not able to at the moment (%s)",
                       doing, settings->hosts, error->text);
    return cm_fail(err, CM_EIO, "%s: Cassandra at %s says: %s; `clickmill doctor` checks the table",
                   doing, settings->hosts, error->text);
}

int cm_cassandra_fail(const cm_cassandra_settings_t *settings, const cm_cql_error_t *error,
                      const char *doing, cm_err_t *err)
{
    char node[80];

    node_of(error, node, sizeof node);
    switch (error->code) {
    case CM_CQL_AUTH:
        return cm_fail(err, CM_EUSAGE,
                       "Cassandra at %s refuses the credentials (%s%s); check cassandra.username "
                       "and cassandra.password, or CASSANDRA_USERNAME and CASSANDRA_PASSWORD",
                       settings->hosts, node, error->text);
    case CM_CQL_TLS:
        return cm_fail(err, CM_EUSAGE,
                       "no TLS connection to Cassandra at %s (%s%s); check cassandra.tls and "
                       "cassandra.tls.ca",
                       settings->hosts, node, error->text);
    case CM_CQL_SERVER:
        return fail_server(settings, error, doing, err);
    case CM_CQL_TIMEOUT:
    case CM_CQL_LOST:
    case CM_CQL_NO_NODE:
        return cm_fail(err, CM_EAWAY, "%s: Cassandra at %s does not answer (%s%s); is it running?",
                       doing, settings->hosts, node, error->text);
    case CM_CQL_CANCELLED:
        return cm_fail(err, CM_ESTOP, "%s: stopped", doing);
    case CM_CQL_INVALID:
        return cm_fail(err, CM_EUSAGE, "%s: %s", doing, error->text);
    case CM_CQL_MEMORY:
        return cm_fail_memory(err);
    default:
        return cm_fail(err, CM_EIO,
                       "%s: what answers at %s is no Cassandra that we understand "
                       "(%s%s)",
                       doing, settings->hosts, node, error->text);
    }
}

static int fail_away(const cm_cassandra_settings_t *settings, const cm_cql_t *session,
                     cm_err_t *err)
{
    const cm_cql_error_t *last = cm_cql_last_error(session);
    char node[80] = "";

    if (last != NULL)
        node_of(last, node, sizeof node);
    return cm_fail(err, CM_EAWAY,
                   "no Cassandra node at %s answers within %g s%s%s%s%s; check cassandra.hosts, "
                   "cassandra.port and cassandra.tls, and that it is running",
                   settings->hosts, (double)settings->timeout_ms / 1e3, last ? " (" : "", node,
                   last ? last->text : "", last ? ")" : "");
}

/* ---- connecting ---- */

bool cm_cassandra_stopped(const cm_cassandra_settings_t *settings)
{
    return settings->stop != NULL && atomic_load(settings->stop);
}

/* Certificates in the settings suggest TLS. So without `tls` they are an error and not ignored. */
static int check_settings(const cm_cassandra_settings_t *settings, cm_err_t *err)
{
    const cm_cql_tls_t *tls = &settings->tls;

    if (!tls->enabled && (tls->ca_file != NULL || tls->cert_file != NULL || tls->key_file != NULL ||
                          tls->host_name != NULL || tls->insecure))
        return cm_fail(err, CM_EUSAGE,
                       "cassandra.tls is off, but something below it is given; set cassandra.tls "
                       "to true (--cassandra-tls), or take it away");
    if (settings->password != NULL && settings->username == NULL)
        return cm_fail(err, CM_EUSAGE,
                       "cassandra.password is given without cassandra.username; give both or none");
    return 0;
}

static int open_session(const cm_cassandra_settings_t *settings, const char *username,
                        const char *password, cm_cql_t **session, cm_err_t *err)
{
    const cm_cql_options_t options = {.contact_points = settings->hosts,
                                      .port = settings->port,
                                      .local_dc = settings->local_dc,
                                      .local_only = settings->local_dc != NULL,
                                      .username = username,
                                      .password = password,
                                      .tls = settings->tls,
                                      .connections = settings->connections,
                                      .consistency = settings->consistency,
                                      .reconnect_max_ms = 5000,
                                      .log = settings->log,
                                      .application = "clickmill",
                                      .application_version = CM_VERSION};
    return cm_cassandra_result(NULL, cm_cql_open(&options, session, err));
}

static int wait_until_ready(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                            cm_err_t *err)
{
    const int64_t limit = settings->timeout_ms, started = cm_clock_ticks_ns();

    for (;;) {
        int64_t left = limit - (cm_clock_ticks_ns() - started) / 1000000;
        int rc = cm_cql_connect(session, left < ASK_MS ? (left > 0 ? (int)left : 0) : ASK_MS, err);
        if (cm_cassandra_result(session, rc) == 0)
            return 0;
        if (cm_cql_state(session) == CM_CQL_FAILED)
            return cm_cassandra_fail(settings, cm_cql_last_error(session), "connecting", err);
        if (rc != CM_EIO)
            return rc;
        if (cm_cassandra_stopped(settings))
            return cm_fail(err, CM_ESTOP, "stopped while no Cassandra node at %s answered",
                           settings->hosts);
        if (left <= 0)
            return fail_away(settings, session, err);
    }
}

int cm_cassandra_connect(const cm_cassandra_settings_t *settings, cm_cql_t **session, cm_err_t *err)
{
    cm_buf_t username = CM_BUF_INIT, password = CM_BUF_INIT;
    cm_cql_t *made = NULL;

    int rc = check_settings(settings, err);
    if (rc == 0 && settings->username != NULL)
        rc = cm_secret_read(settings->username, "cassandra.username", &username, err);
    if (rc == 0 && settings->password != NULL)
        rc = cm_secret_read(settings->password, "cassandra.password", &password, err);
    if (rc == 0)
        rc = open_session(settings, username.data, password.data, &made, err);
    if (rc == 0)
        rc = wait_until_ready(settings, made, err);
    if (password.data != NULL)
        explicit_bzero(password.data, password.cap);
    cm_buf_free(&username);
    cm_buf_free(&password);
    if (rc < 0)
        cm_cql_close(made);
    else
        *session = made;
    return rc;
}

/* ---- statements ---- */

typedef struct query {
    cm_cql_done_t done;
    void *context;
    bool ended;
    cm_cql_error_t error;
} query_t;

static void on_done(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    query_t *query = context;

    if (error != NULL)
        query->error = *error;
    else if (query->done != NULL)
        query->done(query->context, NULL, result);
    query->ended = error != NULL || result->rows == NULL || !result->rows->more;
}

/* Runs until the statement has ended, which it does in time. If it returned earlier, the callback
 * would use a query that no longer exists. */
static int run_query(cm_cql_t *session, const char *text, const cm_cql_request_t *request,
                     query_t *query, cm_err_t *err)
{
    int rc = cm_cql_query(session, cm_str(text), NULL, 0, request, on_done, query, err);

    cm_cassandra_result(session, rc);
    while (rc >= 0 && !query->ended)
        rc = cm_cassandra_run(session, ASK_MS, err);
    return rc;
}

int cm_cassandra_select(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                        const char *text, const cm_cql_request_t *request, cm_cql_done_t done,
                        void *context, const char *doing, cm_err_t *err)
{
    query_t query = {.done = done, .context = context};

    int rc = run_query(session, text, request, &query, err);
    if (rc < 0)
        return rc;
    return query.error.code != CM_CQL_OK ? cm_cassandra_fail(settings, &query.error, doing, err)
                                         : 0;
}

int cm_cassandra_select_system(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                               const char *text, cm_cql_done_t done, void *context,
                               const char *doing, cm_err_t *err)
{
    const cm_cql_request_t request = {
        .idempotent = true, .consistency = CM_CQL_LOCAL_ONE, .at_control = true};
    return cm_cassandra_select(settings, session, text, &request, done, context, doing, err);
}

/* The code for what the client has returned: no answer, or an answer without sense. */
static int code_of(int rc)
{
    return rc == CM_EIO ? CM_EAWAY : rc == CM_ECORRUPT ? CM_EIO : rc;
}

int cm_cassandra_server_error(const cm_cassandra_settings_t *settings, const cm_cql_error_t *error,
                              const char *doing, cm_err_t *err)
{
    cm_err_t why;
    int rc = code_of(cm_cql_error_to_err(error, &why));

    return rc < 0
               ? cm_fail(err, rc, "%s: Cassandra at %s says: %s", doing, settings->hosts, why.text)
               : 0;
}

int cm_cassandra_change(cm_cql_t *session, const char *text, cm_cql_error_t *error, cm_err_t *err)
{
    const cm_cql_request_t request = {
        .idempotent = true, .timeout_ms = CHANGE_MS, .at_control = true};
    query_t query = {0};

    int rc = run_query(session, text, &request, &query, err);
    *error = query.error;
    return rc >= 0 ? cm_cassandra_result(session, cm_cql_agree(session, err)) : rc;
}
