/* clickmill serve: the dashboard and the API over answers that something else keeps up to date. */
#include "cmd/commands.h"
#include "index/index.h"
#include "serve/server.h"

typedef struct serve_options {
    const char *listen;
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
    {.name = NULL},
};

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const serve_options_t *serve = given;
    const cm_server_options_t server_options = {.listen = serve->listen,
                                                .data_dir = app->global.data_dir};
    cm_server_t *server = NULL;
    cm_index_t *index = NULL;

    (void)argc;
    (void)argv;
    /* A store that does not exist yet may come; one that cannot be read is better said now than to
     * every page. */
    int rc = cm_index_open_embedded(app->global.data_dir, &index, &app->err);
    if (rc == 0)
        cm_index_close(index);
    else if (rc != CM_EINPUT)
        return rc;
    rc = cm_server_start(&server_options, &app->log, &server, &app->err);
    if (rc < 0)
        return rc;
    fprintf(app->messages, "serving %s on http://%s\n", app->global.data_dir, serve->listen);
    while (!atomic_load(app->stop))
        cm_sleep_ms(200);
    cm_server_stop(server);
    return 0;
}

const cm_command_t cm_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "serve the dashboard and the JSON API",
    .details = "Shows what `clickmill process` has computed, beside a running import or process. "
               "Ctrl-C ends it.",
    .options = options,
    .options_size = sizeof(serve_options_t),
    .run = run,
};
