/* clickmill dead: the messages that broke a rule. */
#include "base/terminal.h"
#include "cmd/app.h"
#include "cmd/commands.h"
#include "pipeline/replay.h"
#include "sink/options.h"

enum { FROM_STORE, FROM_KAFKA };

typedef struct dead_options {
    cm_file_given_t files;
    int64_t limit;
    const char *with;
    int from;
    cm_sink_options_t sink; /* its server alone: the topic of the letters */
} dead_options_t;

static const cm_option_t options[] = {
    {.name = "limit",
     .type = CM_OPT_INT,
     .offset = offsetof(dead_options_t, limit),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "list: largest number of dead letters; 0, the default, means all"},
    {.name = "with",
     .type = CM_OPT_TEXT,
     .offset = offsetof(dead_options_t, with),
     .arg = "FILE|-",
     .help = "replay: read the corrected message of one dead letter from here"},
    {.name = "from",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(dead_options_t, from),
     .arg = "PLACE",
     .def = "store",
     .choices = "store|kafka",
     .help = "where the letters are: in the embedded store, or in Kafka's topic"},
    {.name = "files",
     .type = CM_OPT_ROWS,
     .offset = offsetof(dead_options_t, files),
     .rows = cm_file_option_rows},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(dead_options_t, sink),
     .rows = cm_sink_server_option_rows},
    {.name = "registry",
     .type = CM_OPT_ROWS,
     .offset = offsetof(dead_options_t, sink) + offsetof(cm_sink_options_t, kafka),
     .rows = cm_kafka_registry_options},
    {.name = NULL},
};

/* ---- list and show ---- */

typedef struct printer {
    cm_app_t *app;
    bool whole;  /* show: the payload's bytes and nothing else */
    bool quoted; /* ids are JSON strings, not numbers */
    bool printed;
} printer_t;

static void add_json(cm_buf_t *buf, const printer_t *printer, const cm_replay_letter_t *letter)
{
    const char *quote = printer->quoted ? "\"" : "";

    cm_buf_printf(buf, "{\"id\":%s%s%s,\"time\":", quote, letter->id, quote);
    cm_buf_add_json(buf, letter->time);
    cm_buf_add_text(buf, ",\"origin\":");
    cm_buf_add_json(buf, letter->origin);
    cm_buf_add_text(buf, ",\"reason\":");
    cm_buf_add_json(buf, letter->reason);
    cm_buf_printf(buf, ",\"bytes\":%zu,\"payload\":", letter->payload.len);
    if (cm_utf8_valid(letter->payload.data, letter->payload.len))
        cm_buf_add_json(buf, letter->payload);
    else
        cm_buf_add_text(buf, "null"); /* not UTF-8: `dead show` has the bytes */
    cm_buf_add_text(buf, "}\n");
}

/* Writes a letter to stdout: a line, the payload's bytes, or an object (--json). */
static int print_letter(void *context, const cm_replay_letter_t *letter)
{
    printer_t *printer = context;
    cm_buf_t buf = CM_BUF_INIT;

    printer->printed = true;
    if (printer->app->global.json) {
        add_json(&buf, printer, letter);
    } else if (printer->whole) {
        cm_buf_add_str(&buf, letter->payload);
        cm_buf_add_char(&buf, '\n');
    } else {
        cm_buf_printf(&buf, "%s  ", letter->id);
        cm_terminal_add(&buf, letter->time);
        cm_buf_add_text(&buf, "  ");
        cm_terminal_add(&buf, letter->origin);
        cm_buf_add_text(&buf, "  ");
        cm_terminal_add(&buf, letter->reason);
        cm_buf_add_char(&buf, '\n');
    }
    int rc = cm_app_write(printer->app, &buf);
    cm_buf_free(&buf);
    return rc;
}

/* `id`: show this letter; NULL: list at most `limit` of them. */
static int print_letters(cm_app_t *app, const dead_options_t *asked, cm_replay_place_t *place,
                         const char *id)
{
    printer_t printer = {.app = app, .whole = id != NULL, .quoted = place->text_ids};

    int rc = place->ops->each(place, id, id != NULL ? 1 : asked->limit, print_letter, &printer,
                              &app->err);
    if (rc == 0 && id == NULL && !printer.printed && place->none != NULL)
        fprintf(app->messages, "%s\n", place->none);
    return rc;
}

/* ---- replay ---- */

static int replay_letters(cm_app_t *app, const dead_options_t *asked,
                          const cm_kafka_settings_t *kafka, cm_replay_place_t *place, int argc,
                          char **argv)
{
    const cm_pipeline_env_t env = cm_app_env(app);
    const cm_replay_options_t how = {
        .files = &asked->files, .kafka = kafka, .with = asked->with, .ids = argv, .id_count = argc};
    cm_account_t account = {0};

    int rc = cm_replay(&env, place, &how, &account, &app->err);
    if (rc == 0)
        cm_app_print_account_as(app, &account, app->out, place->list_command);
    return rc;
}

static int check_arguments(cm_app_t *app, const dead_options_t *asked, int argc, char **argv,
                           bool *replay)
{
    *replay = argc >= 1 && strcmp(argv[0], "replay") == 0;
    if (*replay && asked->with != NULL && argc != 2)
        return cm_fail(&app->err, CM_EUSAGE, "--with mends one letter: give its number");
    if (*replay || (argc == 1 && strcmp(argv[0], "list") == 0) ||
        (argc == 2 && strcmp(argv[0], "show") == 0))
        return 0;
    return cm_fail(&app->err, CM_EUSAGE,
                   "dead wants list, show NUMBER or replay [NUMBER...]; see `clickmill help dead`");
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const dead_options_t *asked = given;
    const cm_pipeline_env_t env = cm_app_env(app);
    const cm_kafka_settings_t kafka =
        cm_kafka_settings_of(&asked->sink.kafka, &app->log, app->stop);
    cm_replay_place_t *place;
    bool replay;

    int rc = check_arguments(app, asked, argc, argv, &replay);
    if (rc < 0)
        return rc;
    rc = asked->from == FROM_KAFKA
             ? cm_replay_open_kafka(&env, &kafka, app->global.data_dir, replay, &place, &app->err)
             : cm_replay_open_store(&env, app->global.data_dir, replay, &place, &app->err);
    if (rc < 0)
        return rc;
    rc = replay ? replay_letters(app, asked, &kafka, place, argc - 1, argv + 1)
                : print_letters(app, asked, place, argc > 1 ? argv[1] : NULL);
    place->ops->close(place);
    return rc;
}

const cm_command_t cm_cmd_dead = {
    .name = "dead",
    .arguments = "list | show NUMBER | replay [NUMBER...]",
    .summary = "dead letters: messages that broke a rule",
    .details =
        "list shows the number, time, origin and reason of each dead letter. show prints the "
        "message, byte for byte. replay reads all dead letters again, or only some, with the "
        "current program and options; a dead letter that becomes an event is removed. For "
        "documents that Elasticsearch refused, the next `clickmill process` sends what is still "
        "missing.\n"
        "A line of a CSV file cannot be read without its header: write it as corrected JSON and "
        "replay it:\n"
        " clickmill dead replay 17 --with mended.json\n"
        "With --from kafka the dead letters are in Kafka's topic and have numbers like 0@17 "
        "(partition and offset). replay writes the new events to the topic of events, each once: "
        "the dead letter is marked in the same transaction.",
    .options = options,
    .options_size = sizeof(dead_options_t),
    .run = run,
};
