/* clickmill process: answers from the stored events. */
#include "cmd/process.h"

#include "cmd/commands.h"
#include "index/options.h"
#include "pipeline/intake_options.h"
#include "pipeline/windows.h"

static const cm_option_t options[] = {
    {.name = "every",
     .type = CM_OPT_DURATION,
     .offset = offsetof(cm_processing_options_t, every),
     .arg = "TIME",
     .min = 100,
     .max = CM_DAY_MS,
     .key = "process.every",
     .help = "process repeatedly, this long after the last time, until stopped"},
    {.name = "window",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, windows),
     .rows = cm_windows_option},
    {.name = "rebuild",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_processing_options_t, rebuild),
     .help = "forget the answers and compute them from every event"},
    {.name = "threads",
     .type = CM_OPT_INT,
     .offset = offsetof(cm_processing_options_t, threads),
     .arg = "N",
     .min = 0,
     .max = 64,
     .key = "process.threads",
     .help = "threads of the mill; 0 means one per processor"},
    {.name = "follow",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_processing_options_t, follow),
     .key = "process.follow",
     .help = "read Kafka's topic into the embedded store and refresh the answers --every 1s"},
    {.name = "until-end",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_processing_options_t, until_end),
     .help = "with --follow: end when the whole group has read what the topic held at the start"},
    {.name = "engine",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_processing_options_t, engine),
     .arg = "ENGINE",
     .def = "mill",
     .choices = "mill|spark",
     .key = "process.engine",
     .help = "what computes: this process, or Spark, from Cassandra into Elasticsearch"},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, store),
     .rows = cm_store_option},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, index),
     .rows = cm_index_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, index),
     .rows = cm_index_server_option_rows},
    {.name = "topic",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, kafka),
     .rows = cm_intake_follow_option_rows},
    {.name = "times",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, times),
     .rows = cm_timestamp_ingest_options},
    {.name = "enrich",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, enrich),
     .rows = cm_enrich_message_option_rows},
    {.name = "spark",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_processing_options_t, spark),
     .rows = cm_spark_option_rows},
    {.name = NULL},
};

/* The windows that are asked for, or the default ones of the place of events and answers. */
static const char *kept_windows(const cm_app_t *app, const cm_processing_options_t *asked)
{
    const cm_store_settings_t store = cm_app_store_settings(app, &asked->store);
    const cm_index_settings_t index = cm_app_index_settings(app, &asked->index);

    if (asked->windows != NULL)
        return asked->windows;
    return cm_store_in_data_dir(&store) && cm_index_in_data_dir(&index) ? CM_WINDOWS_HERE
                                                                        : CM_WINDOWS_ELSEWHERE;
}

static void wait_for_next(const cm_app_t *app, int64_t every)
{
    for (int64_t waited = 0; waited < every && !atomic_load(app->stop); waited += 50)
        cm_sleep_ms(every - waited < 50 ? every - waited : 50);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const cm_processing_options_t *asked = given;
    unsigned windows;
    bool first = true, reported = false;

    (void)argc;
    (void)argv;
    int rc = cm_windows_parse(kept_windows(app, asked), &windows, &app->err);
    if (rc == 0 && asked->follow)
        return cm_processing_follow(app, asked, windows);
    if (rc == 0 && asked->until_end)
        return cm_fail(&app->err, CM_EUSAGE, "--until-end wants --follow");
    while (rc == 0) {
        rc = cm_processing_once(app, asked, windows, first);
        bool busy = rc == CM_EBUSY &&
                    asked->every > 0; /* by an import: its events are included the next time */
        if (busy && !reported)
            fprintf(app->messages, "waiting: %s\n", app->err.text);
        rc = busy ? 0 : rc;
        reported = busy;
        first &= busy;
        if (rc == 0)
            wait_for_next(app, asked->every);
        if (asked->every == 0 || atomic_load(app->stop))
            break;
    }
    return rc;
}

const cm_command_t cm_cmd_process = {
    .name = "process",
    .arguments = "",
    .summary = "compute the answers from the stored events",
    .details =
        "Brings the answers up to date with the events. Only users with new events are computed "
        "again; the result is exactly the same as computing everything from the beginning, "
        "whatever the order of events and however often they arrived.\n"
        "With --every other commands may write between two refreshes; while one of them holds "
        "the data directory, processing waits for it.\n"
        "With --store cassandra the whole table is read and computed each time; its answers "
        "replace all answers in the data directory.\n"
        "With --index elasticsearch the index there becomes a copy of these answers: only what "
        "has changed is sent; --rebuild fills a new index and moves the alias in one step.\n"
        "With --follow events come from Kafka's topic, through a consumer group of its own, into "
        "the embedded store, each exactly once, and the answers are refreshed every second.\n"
        "With --json it prints the account of the run: events, duplicates, cells, seconds.",
    .options = options,
    .options_size = sizeof(cm_processing_options_t),
    .run = run,
};
