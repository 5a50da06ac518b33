/* clickmill serve: the dashboard and the API over answers that another process keeps up to date. */
#include "cmd/commands.h"
#include "serve/credentials.h"
#include "store/embedded/demo.h"

typedef struct serve_options {
    const char *listen, *hosts;
    cm_index_options_t index;
    cm_reading_given_t reading;
    cm_tls_given_t tls;
} serve_options_t;

static const cm_option_t options[] = {
    {.name = "listen",
     .letter = 'l',
     .type = CM_OPT_TEXT,
     .offset = offsetof(serve_options_t, listen),
     .arg = "ADDRESS:PORT",
     .def = "127.0.0.1:8080",
     .key = "http.listen",
     .env = "CLICKMILL_LISTEN",
     .help = "where the dashboard and the API answer"},
    {.name = "hosts",
     .type = CM_OPT_TEXT,
     .offset = offsetof(serve_options_t, hosts),
     .arg = "NAME,...",
     .key = "http.hosts",
     .help = "other names of this server, such as the name of a proxy in front of it"},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(serve_options_t, index),
     .rows = cm_index_option},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(serve_options_t, index),
     .rows = cm_index_server_option_rows},
    {.name = "reading",
     .type = CM_OPT_ROWS,
     .offset = offsetof(serve_options_t, reading),
     .rows = cm_reading_option_rows},
    {.name = "tls",
     .type = CM_OPT_ROWS,
     .offset = offsetof(serve_options_t, tls),
     .rows = cm_tls_option_rows},
    {.name = NULL},
};

enum { PAGE_VIEW_MS = 5000 }; /* the longest time that a user waits for a page */

static int open_answers(void *context, cm_index_t **index, cm_err_t *err)
{
    return cm_index_open(context, index, err);
}

/* Answers that do not exist yet may appear later, and a server that is not reachable may come back.
 * Any other error is reported now, not on every page. */
static int probe_answers(cm_index_settings_t *answers, cm_app_t *app)
{
    cm_index_t *index = NULL;

    int rc = open_answers(answers, &index, &app->err);
    if (rc == 0)
        cm_index_close(index);
    else if (rc == CM_EAWAY)
        cm_log(&app->log, CM_LOG_WARN, "the answers cannot be read now", "reason=\"%s\"",
               app->err.text);
    return rc == CM_EAWAY || rc == CM_EINPUT ? 0 : rc;
}

static void tell(const cm_app_t *app, const serve_options_t *serve,
                 const cm_index_settings_t *answers, const cm_server_t *server)
{
    fprintf(app->messages, "serving %s on %s://%s\n", cm_index_place(answers),
            serve->tls.cert != NULL ? "https" : "http", cm_server_address(server));
    if (cm_server_closed(server) != NULL)
        fprintf(app->messages, "%s\n", cm_server_closed(server));
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const serve_options_t *serve = given;
    cm_index_settings_t answers = cm_app_index_settings(app, &serve->index);
    const cm_questions_settings_t questions = cm_app_questions(app, &serve->reading.questions);
    cm_server_options_t server_options = {.listen = serve->listen,
                                          .hosts = serve->hosts,
                                          .open_index = open_answers,
                                          .open_context = &answers,
                                          .synthetic = cm_index_in_data_dir(&answers) &&
                                                       cm_demo_marked(app->global.data_dir),
                                          .demo_of = app->global.data_dir,
                                          .questions = &questions};
    cm_credentials_t credentials;
    cm_server_t *server = NULL;

    (void)argc;
    (void)argv;
    if (answers.elasticsearch.timeout_ms > PAGE_VIEW_MS)
        answers.elasticsearch.timeout_ms = PAGE_VIEW_MS;
    int rc = cm_credentials_read(&credentials, &serve->reading, &serve->tls, &app->err);
    if (rc == 0)
        rc = probe_answers(&answers, app);
    cm_credentials_fill(&credentials, &server_options);
    if (rc == 0)
        rc = cm_server_start(&server_options, &app->log, &server, &app->err);
    if (rc == 0)
        tell(app, serve, &answers, server);
    while (rc == 0 && !atomic_load(app->stop)) {
        cm_credentials_renew(&credentials, server, atomic_load(app->hangups), &app->log);
        cm_sleep_ms(200);
    }
    cm_server_stop(server);
    cm_credentials_free(&credentials);
    return rc;
}

const cm_command_t cm_cmd_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "serve the dashboard and the JSON API",
    .details =
        "Shows what `clickmill process` has computed, also while an import or process runs; with "
        "--index elasticsearch it reads the answers from there. On an address that is not "
        "loopback the answers can only be read with http.password, http.read_token or "
        "http.public. SIGHUP (`kill -HUP`) reads the certificate again, Ctrl-C ends it.",
    .options = options,
    .options_size = sizeof(serve_options_t),
    .renews = true,
    .run = run,
};
