/* clickmill produce: synthetic traffic. */
#include "cmd/commands.h"
#include "kafka/options.h"
#include "kafka/waiter.h"
#include "pipeline/letters.h"
#include "pipeline/pipeline.h"
#include "sink/combined.h"
#include "sink/jsonl.h"
#include "sink/kafka/sink.h"
#include "sink/options.h"
#include "source/synthetic/traffic.h"
#include "store/open.h"

typedef struct produce_options {
    cm_traffic_options_t traffic;
    const char *out;
    int format;
    int sink; /* cm_sink_choice_t */
    cm_kafka_options_t kafka;
} produce_options_t;

enum { FORMAT_JSONL, FORMAT_COMBINED };

static const cm_option_t options[] = {
    {.name = "traffic",
     .type = CM_OPT_ROWS,
     .offset = offsetof(produce_options_t, traffic),
     .rows = cm_traffic_option_rows},
    {.name = "out",
     .letter = 'o',
     .type = CM_OPT_TEXT,
     .offset = offsetof(produce_options_t, out),
     .arg = "FILE|-",
     .help = "write to a file or stdout instead of the store"},
    {.name = "format",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(produce_options_t, format),
     .arg = "FORMAT",
     .def = "jsonl",
     .choices = "jsonl|combined",
     .help = "with --out: JSON lines, or a web server's access log"},
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(produce_options_t, sink),
     .rows = cm_sink_option},
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(produce_options_t, kafka),
     .rows = cm_kafka_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(produce_options_t, kafka),
     .rows = cm_kafka_option_rows},
    {.name = NULL},
};

static int open_sink(cm_app_t *app, const produce_options_t *produce,
                     const cm_sink_kafka_options_t *kafka, const cm_source_t *source,
                     cm_sink_t **sink)
{
    cm_store_t *store;

    if (produce->out != NULL && produce->format == FORMAT_COMBINED)
        return cm_combined_open(produce->out, source, sink, &app->err);
    if (produce->out != NULL)
        return cm_jsonl_open(produce->out, sink, &app->err);
    if (produce->sink == CM_SINK_KAFKA)
        return cm_sink_kafka_open(kafka, sink, &app->err);
    int rc = cm_store_open_directory(app->global.data_dir, app->clock, &store, &app->err);
    if (rc == 0)
        *sink = &store->sink;
    return rc;
}

static bool goes_to_kafka(const produce_options_t *produce)
{
    return produce->out == NULL && produce->sink == CM_SINK_KAFKA;
}

static void print_account(cm_app_t *app, const produce_options_t *produce,
                          const cm_pipeline_t *pipeline)
{
    bool stdout_taken = produce->out != NULL && strcmp(produce->out, "-") == 0;

    const cm_account_t all = cm_pipeline_all(pipeline);

    if (goes_to_kafka(produce))
        cm_app_print_kafka_account(app, &all, pipeline->sink);
    else
        cm_app_print_account(app, &pipeline->account, stdout_taken ? app->messages : app->out);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const produce_options_t *produce = given;
    const cm_traffic_options_t *traffic = &produce->traffic;
    const cm_kafka_settings_t settings =
        cm_kafka_settings_of(&produce->kafka, &app->log, app->stop);
    const cm_pipeline_env_t env = cm_app_env(app);
    cm_kafka_waiter_t waiter;
    cm_letters_t letters;
    const cm_sink_kafka_options_t kafka = {.settings = &settings,
                                           .waiter = &waiter.waiter,
                                           .clock = app->clock,
                                           .refused = cm_letters_take,
                                           .refused_context = &letters};
    cm_source_t *source = NULL;
    cm_sink_t *sink = NULL;
    cm_pipeline_t pipeline;
    cm_progress_t progress;

    (void)argc;
    (void)argv;
    cm_kafka_waiter_start(&waiter, app->stop);
    cm_letters_open(&letters, &env, app->global.data_dir, NULL);
    if (produce->format == FORMAT_COMBINED && produce->out == NULL)
        return cm_fail(&app->err, CM_EUSAGE,
                       "--format combined needs --out: the store takes events, not log lines");
    bool paced = traffic->count == 0 ||
                 cm_options_given(app->values, offsetof(produce_options_t, traffic.rate));
    bool seeded = cm_options_given(app->values, offsetof(produce_options_t, traffic.seed));
    int rc =
        cm_traffic_open(traffic, paced ? CM_TRAFFIC_PACED : CM_TRAFFIC_AT_ONCE,
                        traffic->count == 0 && !seeded, app->clock, app->stop, &source, &app->err);
    if (rc == 0)
        rc = open_sink(app, produce, &kafka, source, &sink);
    if (rc < 0) {
        cm_source_close(source);
        cm_letters_close(&letters);
        return rc;
    }
    cm_progress_start(&progress, app->messages, app->terminal, "producing", "events");
    cm_pipeline_start(&pipeline, &env, source, sink);
    pipeline.progress = &progress;
    if (goes_to_kafka(produce)) { /* its queue empties by itself, and is best never empty */
        pipeline.commit_ms = 0;
        pipeline.commit_events = 0;
    }
    rc = cm_pipeline_run(&pipeline, &app->err);
    /* Who reads with `| head` has seen enough: what it did not read is not worth an account. */
    bool left = rc == CM_ESTOP && !atomic_load(app->stop);
    if (!left)
        print_account(app, produce, &pipeline);
    cm_pipeline_free(&pipeline);
    cm_sink_close(sink);
    cm_source_close(source);
    cm_letters_close(&letters);
    return rc;
}

const cm_command_t cm_cmd_produce = {
    .name = "produce",
    .arguments = "",
    .summary = "make synthetic traffic",
    .details =
        "Users have a home country and city, a browser, os and device that belong together; they "
        "come in sessions with think times; pages and users are popular by Zipf's law.\n"
        "With --count and without --rate events are made as fast as they are taken, one a second "
        "by their own clock from 2026-01-01 on. With --rate, or without --count, they come in "
        "real time; without --seed or --count the first one is dated now.\n"
        "They go among the events of DATA, because that was asked for; --data keeps them apart "
        "from a site's.\n"
        "With --sink kafka each event is a message with the user as its key; the run ends when "
        "the brokers have acknowledged all, and says which they did not take. Events that are too "
        "large for the topic become dead letters of DATA.\n"
        "With --out - the account of --json goes to stderr, not among the events.",
    .options = options,
    .options_size = sizeof(produce_options_t),
    .run = run,
};
