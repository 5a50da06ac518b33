/* clickmill serve: the dashboard and the API over answers that something else keeps up to date. */
#include "cmd/commands.h"
#include "cmd/elastic.h"
#include "serve/server.h"

typedef struct serve_options {
    const char *listen;
    int index; /* cm_index_choice_t */
    cm_elastic_given_t elastic;
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
    CM_INDEX_ROW(serve_options_t, index),
    CM_ELASTIC_ROWS(serve_options_t, elastic),
    {.name = NULL},
};

typedef struct opening {
    const cm_app_t *app;
    int choice;
    cm_elastic_settings_t elastic;
} opening_t;

static int open_index(void *context, cm_index_t **index, cm_err_t *err)
{
    const opening_t *opening = context;
    return cm_index_open_chosen(opening->app, opening->choice, &opening->elastic, index, err);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const serve_options_t *serve = given;
    const bool elastic = serve->index == CM_INDEX_ELASTICSEARCH;
    opening_t opening = {app, serve->index, cm_elastic_settings_of(app, &serve->elastic)};
    const cm_server_options_t server_options = {
        .listen = serve->listen, .open_index = open_index, .open_context = &opening};
    cm_server_t *server = NULL;
    cm_index_t *index = NULL;

    (void)argc;
    (void)argv;
    /* A store that does not exist yet may come; one that cannot be read is better said now than to
     * every page. */
    int rc = open_index(&opening, &index, &app->err);
    if (rc == 0)
        cm_index_close(index);
    else if (rc != CM_EINPUT && rc != CM_EAWAY)
        return rc;
    if (rc == CM_EAWAY)
        fprintf(app->messages, "%s\n", app->err.text);
    rc = cm_server_start(&server_options, &app->log, &server, &app->err);
    if (rc < 0)
        return rc;
    fprintf(app->messages, "serving %s on http://%s\n",
            elastic ? serve->elastic.index : app->global.data_dir, serve->listen);
    while (!atomic_load(app->stop))
        cm_sleep_ms(200);
    cm_server_stop(server);
    return 0;
}

const cm_command_t cm_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "serve the dashboard and the JSON API",
    .details = "Shows what `clickmill process` has computed, beside a running import or process, "
               "from the data directory or with --index elasticsearch from there. "
               "Ctrl-C ends it.",
    .options = options,
    .options_size = sizeof(serve_options_t),
    .run = run,
};
