/* clickmill produce: synthetic traffic. */
#include "cmd/commands.h"
#include "pipeline/outlet.h"
#include "pipeline/pipeline.h"
#include "sink/combined.h"
#include "sink/jsonl.h"
#include "source/synthetic/traffic.h"
#include "store/open.h"

typedef struct produce_options {
    cm_traffic_options_t traffic;
    int64_t over; /* ms; 0: one event a second */
    const char *out;
    int format;
    cm_sink_options_t sink;
} produce_options_t;

enum { FORMAT_JSONL, FORMAT_COMBINED };

static const cm_option_t options[] = {
    {.name = "traffic",
     .type = CM_OPT_ROWS,
     .offset = offsetof(produce_options_t, traffic),
     .rows = cm_traffic_option_rows},
    {.name = "over",
     .type = CM_OPT_DURATION,
     .offset = offsetof(produce_options_t, over),
     .arg = "TIME",
     .max = 1e13,
     .help = "with --count and without --rate: the time of the simulation that the events are "
             "spread over, such as 30d, instead of one event per second"},
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
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(produce_options_t, sink),
     .rows = cm_sink_server_option_rows},
    {.name = NULL},
};

typedef struct produce {
    cm_app_t *app;
    const produce_options_t *asked;
    cm_pipeline_env_t env;
    bool to_topic;
    cm_outlet_t outlet; /* then */
    cm_source_t *source;
    cm_sink_t *sink;
} produce_t;

static int open_sink(produce_t *self)
{
    const produce_options_t *asked = self->asked;
    cm_app_t *app = self->app;
    cm_store_t *store = NULL;

    if (asked->out != NULL && asked->format == FORMAT_COMBINED)
        return cm_combined_open(asked->out, self->source, &self->sink, &app->err);
    if (asked->out != NULL)
        return cm_jsonl_open(asked->out, &self->sink, &app->err);
    if (self->to_topic) {
        int rc = cm_outlet_open(&self->outlet, &self->env, app->global.data_dir, &asked->sink, NULL,
                                &app->err);
        self->sink = self->outlet.sink;
        return rc;
    }
    int rc = cm_store_open_directory(app->global.data_dir, app->clock, &store, &app->err);
    if (rc == 0)
        store->log = &app->log;
    self->sink = store != NULL ? &store->sink : NULL;
    return rc;
}

static int open_source(produce_t *self)
{
    cm_traffic_options_t traffic = self->asked->traffic;
    cm_app_t *app = self->app;
    const bool paced = traffic.count == 0 ||
                       cm_options_given(app->values, offsetof(produce_options_t, traffic.rate));
    const bool seeded = cm_options_given(app->values, offsetof(produce_options_t, traffic.seed));

    if (self->asked->over > 0 && paced)
        return cm_fail(&app->err, CM_EUSAGE, "--over needs --count, and no --rate");
    if (self->asked->over > 0)
        traffic.rate = (double)traffic.count * 1000 / (double)self->asked->over;
    traffic.views_only = self->asked->out != NULL && self->asked->format == FORMAT_COMBINED;
    return cm_traffic_open(&traffic, paced ? CM_TRAFFIC_PACED : CM_TRAFFIC_AT_ONCE,
                           traffic.count == 0 && !seeded, app->clock, app->stop, &self->source,
                           &app->err);
}

static void print_account(const produce_t *self, const cm_pipeline_t *pipeline)
{
    const char *out = self->asked->out;
    const bool stdout_taken = out != NULL && strcmp(out, "-") == 0;
    const cm_account_t all = cm_pipeline_all(pipeline);
    cm_app_t *app = self->app;

    if (self->to_topic)
        cm_outlet_print(&self->outlet, &all, app->global.json ? app->out : NULL);
    else
        cm_app_print_account(app, &pipeline->account, stdout_taken ? app->messages : app->out);
}

static int move_events(produce_t *self)
{
    cm_app_t *app = self->app;
    cm_pipeline_t pipeline;
    cm_progress_t progress;

    cm_progress_start(&progress, app->messages, app->terminal, "producing", "events");
    cm_pipeline_start(&pipeline, &self->env, self->source, self->sink);
    pipeline.progress = &progress;
    if (self->to_topic) { /* its queue empties by itself, and is best never empty */
        pipeline.commit_ms = 0;
        pipeline.commit_events = 0;
    }
    int rc = cm_pipeline_run(&pipeline, &app->err);
    /* The reader of a pipe has closed it (`| head`): an account of what it did not read is of no
     * use. */
    const bool left = rc == CM_ESTOP && !atomic_load(app->stop);
    if (!left)
        print_account(self, &pipeline);
    cm_pipeline_free(&pipeline);
    return rc;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const produce_options_t *asked = given;
    produce_t self = {.app = app,
                      .asked = asked,
                      .env = cm_app_env(app),
                      .to_topic = asked->out == NULL && cm_sink_is_topic(&asked->sink)};

    (void)argc;
    (void)argv;
    if (asked->format == FORMAT_COMBINED && asked->out == NULL)
        return cm_fail(&app->err, CM_EUSAGE,
                       "--format combined needs --out: the store takes events, not log lines");
    int rc = open_source(&self);
    if (rc == 0)
        rc = open_sink(&self);
    if (rc == 0)
        rc = move_events(&self);
    if (self.to_topic)
        cm_outlet_close(&self.outlet);
    else
        cm_sink_close(self.sink);
    cm_source_close(self.source);
    return rc;
}

const cm_command_t cm_cmd_produce = {
    .name = "produce",
    .arguments = "",
    .summary = "generate synthetic traffic",
    .details =
        "Users have a home country and city, a browser, os and device that belong together; they "
        "visit in sessions with think times. The popularity of pages and the activity of users "
        "follow Zipf's law.\n"
        "With --count and without --rate, events are generated as fast as they can be stored; "
        "their timestamps begin at 2026-01-01, with one event per second on average. With "
        "--rate, or without --count, events are generated in real time. Without --seed or "
        "--count, the first event has the current time.\n"
        "With --fields contract, the default, events are page views with the nine fields of the "
        "first edition. With --fields all they have the optional fields too: visits come from "
        "referrers and campaigns, and there are add_to_cart, purchase (with props.value) and "
        "engagement beside page views; an access log has the page views alone.\n"
        "They are stored with the other events of DATA; use --data to keep them separate from "
        "the events of a real site.\n"
        "With --sink kafka each event is a message with the user as its key; the run ends when "
        "the brokers have acknowledged all events, and reports the ones that they did not "
        "accept. Events that are too large for the topic become dead letters of DATA.\n"
        "With --out - the account of --json goes to stderr, so that it does not mix with the "
        "events.",
    .options = options,
    .options_size = sizeof(produce_options_t),
    .run = run,
};
