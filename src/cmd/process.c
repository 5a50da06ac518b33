/* clickmill process: raw events -> answers. */
#include "cmd/commands.h"
#include "cmd/follow.h"
#include "cmd/process_spark.h"
#include "cmd/publishing.h"
#include "enrich/options.h"
#include "pipeline/upkeep.h"
#include "pipeline/windows.h"
#include "store/open.h"

typedef struct process_options {
    int64_t every; /* ms; 0: once */
    const char *windows;
    bool rebuild;
    int64_t threads;
    bool follow, until_end;
    cm_store_options_t store;
    int index; /* cm_index_choice_t */
    cm_elastic_options_t elastic;
    cm_kafka_options_t kafka;
    int engine;
    const char *geoip;
    cm_timestamp_options_t times;
    cm_spark_options_t spark;
} process_options_t;

enum { ENGINE_MILL, ENGINE_SPARK };

enum { FOLLOW_EVERY_MS = 1000 };

static const cm_option_t options[] = {
    {.name = "every",
     .type = CM_OPT_DURATION,
     .offset = offsetof(process_options_t, every),
     .arg = "TIME",
     .min = 100,
     .max = CM_DAY_MS,
     .key = "process.every",
     .help = "process again and again, that long after the last time, until stopped"},
    {.name = "window",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, windows),
     .rows = cm_windows_option},
    {.name = "rebuild",
     .type = CM_OPT_FLAG,
     .offset = offsetof(process_options_t, rebuild),
     .help = "forget the answers and compute them from every event"},
    {.name = "threads",
     .type = CM_OPT_INT,
     .offset = offsetof(process_options_t, threads),
     .arg = "N",
     .min = 0,
     .max = 64,
     .key = "process.threads",
     .help = "threads of the mill; 0 means one per processor"},
    {.name = "follow",
     .type = CM_OPT_FLAG,
     .offset = offsetof(process_options_t, follow),
     .key = "process.follow",
     .help = "follow Kafka's topic into the embedded store and refresh the answers --every 1s"},
    {.name = "until-end",
     .type = CM_OPT_FLAG,
     .offset = offsetof(process_options_t, until_end),
     .help = "with --follow: end when the whole group has come to where the topic ended when this "
             "began"},
    {.name = "engine",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(process_options_t, engine),
     .arg = "ENGINE",
     .def = "mill",
     .choices = "mill|spark",
     .key = "process.engine",
     .help = "what computes: this process, or Spark, from Cassandra into Elasticsearch"},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, store),
     .rows = cm_store_option},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, index),
     .rows = cm_index_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, elastic),
     .rows = cm_elastic_option_rows},
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, kafka),
     .rows = cm_kafka_follow_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, kafka),
     .rows = cm_kafka_option_rows},
    {.name = "tombstones",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, kafka),
     .rows = cm_kafka_tombstones_option},
    {.name = "times",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, times),
     .rows = cm_timestamp_ingest_options},
    {.name = "geoip",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, geoip),
     .rows = cm_enrich_geoip_option},
    {.name = "spark",
     .type = CM_OPT_ROWS,
     .offset = offsetof(process_options_t, spark),
     .rows = cm_spark_option_rows},
    {.name = NULL},
};

/* Sends what changed, and says in the end what was sent. */
static int publish(cm_app_t *app, cm_store_t *store, const process_options_t *process, bool rebuild,
                   cm_index_applied_t *pushed)
{
    const cm_index_settings_t target =
        cm_app_index_settings(app, process->index, &process->elastic);
    cm_index_mirror_t *mirror;

    int rc = cm_publishing_start(app, &target, store, rebuild, false, &mirror);
    if (rc < 0)
        return rc;
    cm_index_mirror_wake(mirror);
    rc = cm_index_mirror_finish(mirror, true, &app->err);
    *pushed = cm_index_mirror_applied(mirror);
    cm_index_mirror_stop(mirror);
    return rc;
}

static void print_reading(cm_app_t *app, const cm_store_reading_t *read)
{
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_add_text(&line, read->full ? "read all " : "read ");
    cm_buf_add_grouped(&line, read->rows);
    if (read->full) {
        cm_buf_printf(&line, " rows of Cassandra: %s", read->why);
    } else {
        cm_buf_add_text(&line,
                        " rows of Cassandra that were written since the last time, of which ");
        cm_buf_add_grouped(&line, read->changed);
        cm_buf_add_text(&line, " were new or other ones");
    }
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
}

static void add_reading_json(cm_buf_t *json, const cm_store_reading_t *read)
{
    cm_buf_printf(json, "\"cassandra\":{\"full\":%s,\"rows\":%lld", read->full ? "true" : "false",
                  (long long)read->rows);
    if (read->full)
        cm_buf_printf(json, ",\"why\":\"%s\"}", read->why);
    else
        cm_buf_printf(json, ",\"changed\":%lld}", (long long)read->changed);
}

/* `pushed` is NULL where there is only the embedded index, `read` where events are here. */
static void print_account(cm_app_t *app, const process_options_t *process,
                          const cm_index_refreshed_t *done, double seconds,
                          const cm_index_applied_t *pushed, const cm_store_reading_t *read)
{
    cm_buf_t json = CM_BUF_INIT;

    if (!app->global.json) {
        if (read != NULL)
            print_reading(app, read);
        cm_app_print_answers(app, done, seconds);
        if (pushed != NULL)
            cm_publishing_print(app, pushed, process->elastic.index);
        return;
    }
    cm_accounts_add_answers_json(&json, done, seconds);
    if (pushed != NULL) {
        json.data[json.len - 1] = ','; /* into the object */
        cm_publishing_add_json(&json, pushed);
        cm_buf_add_char(&json, '}');
    }
    if (read != NULL) {
        json.data[json.len - 1] = ',';
        add_reading_json(&json, read);
        cm_buf_add_char(&json, '}');
    }
    fprintf(app->out, "%s\n", json.data);
    fflush(app->out);
    cm_buf_free(&json);
}

/* `other`: the store that the events are in, and how it was read; NULL: the embedded one. */
static int refresh(cm_app_t *app, cm_store_t *store, cm_store_t *other,
                   const cm_store_reading_t *read, const process_options_t *process,
                   unsigned windows, bool first)
{
    const bool copied = process->index == CM_INDEX_ELASTICSEARCH;
    const cm_pipeline_env_t env = cm_app_env(app);
    const bool rebuild = process->rebuild && first;
    cm_index_applied_t pushed = {0};
    cm_index_refreshed_t done;
    bool foreign;
    double seconds;

    int rc = process->windows == NULL && other == NULL
                 ? cm_windows_add_kept(store, rebuild, &windows, &foreign, &app->err)
                 : 0;
    if (rc < 0)
        return rc;
    cm_index_refresh_options_t refresh = cm_app_refresh_options(app, windows);
    refresh.rebuild = rebuild;
    refresh.threads = (int)process->threads;
    rc = cm_upkeep_once(&env, store, other, &refresh, &done, &seconds, &app->err);
    if (rc == CM_ESTOP)
        fprintf(app->messages, "stopped; the answers are as they were\n");
    if (rc < 0)
        return rc;
    if (copied && (rc = publish(app, store, process, rebuild, &pushed)) == CM_ESTOP)
        return rc;
    if (first || done.changed || pushed.sent + pushed.removed + pushed.refused > 0)
        print_account(app, process, &done, seconds, copied ? &pushed : NULL, read);
    if (rc == 0 && pushed.refused > 0 && process->every == 0)
        return cm_fail(&app->err, CM_EIO,
                       "Elasticsearch refused %llu documents; `clickmill dead list` says why",
                       (unsigned long long)pushed.refused);
    return rc;
}

static int process_by_spark(cm_app_t *app, const process_options_t *process, unsigned windows,
                            bool first)
{
    const cm_store_settings_t store = cm_app_store_settings(app, &process->store);
    const cm_elastic_settings_t elastic =
        cm_elastic_settings_of(&process->elastic, app->values, &app->log, app->stop);
    const cm_spark_job_t job = {.options = &process->spark,
                                .cassandra = &store.cassandra,
                                .elastic = &elastic,
                                .windows = windows,
                                .session_timeout_ms = app->global.session_timeout,
                                .rebuild = process->rebuild && first};
    return cm_command_process_by_spark(app, &job);
}

/* The store is open, and its lock held, only while there is something to do: what `--every` waits
 * for is that others write. */
static int process_once(cm_app_t *app, const process_options_t *process, unsigned windows,
                        bool first)
{
    const cm_store_settings_t settings = cm_app_store_settings(app, &process->store);
    const bool rebuild = process->rebuild && first;
    cm_store_t *store = NULL, *other = NULL;
    cm_store_reading_t read = {.rejected = 0};
    int rc = 0;

    if (process->engine == ENGINE_SPARK)
        return process_by_spark(app, process, windows, first);
    if (cm_store_keeps_copy(&settings))
        rc = cm_store_open_directory(app->global.data_dir, app->clock, &store, &app->err);
    if (rc == 0)
        rc = cm_store_open_events(&settings, rebuild, &other, &read, &app->err);
    if (rc == 0)
        cm_app_print_left_out(app, read.rejected);
    if (rc == 0 && store == NULL)
        rc = cm_store_open_directory(app->global.data_dir, app->clock, &store, &app->err);
    if (rc == 0)
        rc = refresh(app, store, other, other != NULL ? &read : NULL, process, windows, first);
    cm_store_close(store);
    cm_store_close(other);
    return rc;
}

static void wait_for_next(const cm_app_t *app, int64_t every)
{
    for (int64_t waited = 0; waited < every && !atomic_load(app->stop); waited += 50)
        cm_sleep_ms(every - waited < 50 ? every - waited : 50);
}

static int run_follow(cm_app_t *app, const process_options_t *process, unsigned windows)
{
    const cm_follow_options_t follow = {
        .windows = windows,
        .every = process->every > 0 ? process->every : FOLLOW_EVERY_MS,
        .threads = (int)process->threads,
        .rebuild = process->rebuild,
        .until_end = process->until_end,
        .index = cm_app_index_settings(app, process->index, &process->elastic),
        .kafka = &process->kafka,
        .times = &process->times,
        .geoip = process->geoip};
    return cm_follow(app, &follow);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const process_options_t *process = given;
    unsigned windows;
    bool first = true, told = false;

    (void)argc;
    (void)argv;
    const bool here =
        process->store.engine == CM_STORE_EMBEDDED && process->index == CM_INDEX_EMBEDDED;
    const char *asked = process->windows != NULL ? process->windows
                        : here                   ? CM_WINDOWS_HERE
                                                 : CM_WINDOWS_ELSEWHERE;
    int rc = cm_windows_parse(asked, &windows, &app->err);
    if (rc == 0 && process->follow)
        return run_follow(app, process, windows);
    if (rc == 0 && process->until_end)
        return cm_fail(&app->err, CM_EUSAGE, "--until-end wants --follow");
    if (rc == 0 && process->engine == ENGINE_SPARK &&
        (process->store.engine != CM_STORE_CASSANDRA || process->index != CM_INDEX_ELASTICSEARCH))
        return cm_fail(&app->err, CM_EUSAGE,
                       "--engine spark reads from Cassandra and writes to Elasticsearch: give "
                       "--store cassandra and --index elasticsearch, or take --engine mill");
    while (rc == 0) {
        rc = process_once(app, process, windows, first);
        bool busy = rc == CM_EBUSY && process->every > 0; /* an import: its events come next time */
        if (busy && !told)
            fprintf(app->messages, "waiting: %s\n", app->err.text);
        rc = busy ? 0 : rc;
        told = busy;
        first &= busy;
        if (rc == 0)
            wait_for_next(app, process->every);
        if (process->every == 0 || atomic_load(app->stop))
            break;
    }
    return rc;
}

const cm_command_t cm_cmd_process = {
    .name = "process",
    .arguments = "",
    .summary = "compute the answers from the stored events",
    .details =
        "Brings the answers up to date with the events. Only users with new events are "
        "looked at again; the result is exactly that of computing everything anew, in "
        "whatever order and however often events came.\n"
        "With --every other commands may write in between; while one of them holds the data "
        "directory, processing waits for it.\n"
        "With --store cassandra the whole table is read and milled each time; its answers "
        "take the place of all those in the data directory.\n"
        "With --index elasticsearch the index there is made a copy of these answers: only "
        "what changed is sent; --rebuild fills a new index and moves the alias in one step.\n"
        "With --follow events come from Kafka's topic, through a consumer group of its own, "
        "into the embedded store, each exactly once, and the answers follow every second.\n"
        "With --json the account of the run: events, duplicates, cells, seconds.",
    .options = options,
    .options_size = sizeof(process_options_t),
    .run = run,
};
