/* clickmill import: files of events and access logs -> store, or straight to answers. */
#include "source/file/options.h"

#include "cmd/app.h"
#include "cmd/commands.h"
#include "cmd/import_held.h"
#include "cmd/load.h"
#include "cmd/next.h"
#include "cmd/print.h"
#include "index/store_query.h"
#include "kafka/options.h"
#include "kafka/waiter.h"
#include "pipeline/letters.h"
#include "pipeline/pipeline.h"
#include "pipeline/upkeep.h"
#include "pipeline/windows.h"
#include "sink/kafka/sink.h"
#include "sink/options.h"
#include "store/memory.h"
#include "store/open.h"

#include <sys/random.h>

typedef struct import_command_options {
    cm_file_given_t import;
    bool to_answers;
    bool process; /* in the end */
    const char *windows;
    int64_t threads;
    int sink; /* cm_sink_choice_t */
    cm_kafka_options_t kafka;
} import_command_options_t;

static const cm_option_t options[] = {
    {.name = "files",
     .type = CM_OPT_ROWS,
     .offset = offsetof(import_command_options_t, import),
     .rows = cm_file_option_rows},
    {.name = "to-answers",
     .type = CM_OPT_FLAG,
     .offset = offsetof(import_command_options_t, to_answers),
     .help = "keep nothing: print the answers as CSV when all is read"},
    {.name = "process",
     .type = CM_OPT_FLAG,
     .offset = offsetof(import_command_options_t, process),
     .def = "true",
     .key = "import.process",
     .help = "compute the answers when all is read, as `process` does; --no-process leaves it out"},
    {.name = "window",
     .type = CM_OPT_ROWS,
     .offset = offsetof(import_command_options_t, windows),
     .rows = cm_windows_option},
    {.name = "threads",
     .type = CM_OPT_INT,
     .offset = offsetof(import_command_options_t, threads),
     .arg = "N",
     .min = 0,
     .max = 64,
     .key = "import.threads",
     .help = "threads that read a plain JSONL file; 0 means one more than processors"},
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(import_command_options_t, sink),
     .rows = cm_sink_option},
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(import_command_options_t, kafka),
     .rows = cm_kafka_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(import_command_options_t, kafka),
     .rows = cm_kafka_option_rows},
    {.name = NULL},
};

/* All files; one that fails does not keep the others out. The first failure is returned. */
static int import_files(cm_app_t *app, const cm_file_given_t *import, const cm_load_into_t *into,
                        int argc, char **argv, cm_account_t *account)
{
    cm_err_t first = {0};
    int failed = 0;

    for (int i = 0; i < argc && !atomic_load(app->stop); i++) {
        int rc = cm_load_file(app, import, into, argv[i], account);
        if (rc == CM_EINPUT) {
            failed++;
            if (argc > 1)
                fprintf(app->messages, "clickmill: %s\n", app->err.text);
            if (first.code == 0)
                first = app->err;
        } else if (rc < 0) {
            return rc; /* the store fails: no use to go on */
        }
    }
    if (first.code == 0)
        return cm_enrichment_check(into->enriching.enrichment, &app->err);
    app->err = first;
    if (failed == argc && argc > 1)
        return cm_fail(&app->err, first.code, "none of the %d inputs could be read, see above",
                       argc);
    if (argc > 1)
        return cm_fail(&app->err, first.code,
                       "not all of the %d inputs could be read, see above; the others are imported",
                       argc);
    return first.code;
}

/* What processing in the end has come to. */
typedef struct processed {
    bool done;
    cm_index_refreshed_t answers;
    double seconds;
} processed_t;

/* The events are stored, whatever happens here. */
static int process_imported(cm_app_t *app, const import_command_options_t *asked, cm_store_t *store,
                            processed_t *processed, cm_err_t *err)
{
    bool foreign = false;
    unsigned windows, kept = 0;

    int rc =
        cm_windows_parse(asked->windows != NULL ? asked->windows : CM_WINDOWS_HERE, &windows, err);
    if (rc == 0)
        rc = cm_windows_add_kept(store, false, &kept, &foreign, err);
    if (rc == 0 && foreign) {
        fprintf(app->messages, "not processed: the answers here are of Cassandra's events; "
                               "`clickmill process` replaces them\n");
        return 0;
    }
    if (rc == 0) {
        const cm_index_refresh_options_t refresh =
            cm_app_refresh_options(app, asked->windows != NULL ? windows : windows | kept);
        const cm_pipeline_env_t env = cm_app_env(app);
        rc = cm_upkeep_once(&env, store, NULL, &refresh, &processed->answers, &processed->seconds,
                            err);
    }
    processed->done = rc == 0;
    return rc;
}

/* The next command to type, in one line. */
static void say_next(cm_app_t *app, const cm_account_t *account, const processed_t *processed)
{
    cm_buf_t next = CM_BUF_INIT;

    if (account->accepted == 0 && account->rejected > 0)
        cm_next_add(&next, app, "dead list");
    else
        cm_next_add(&next, app, processed->done ? "query pages" : "process");
    fprintf(app->messages, "next: %s\n", next.data);
    cm_buf_free(&next);
}

static void print_json(cm_app_t *app, const cm_account_t *account, const processed_t *processed)
{
    cm_buf_t json = CM_BUF_INIT;

    cm_buf_add_char(&json, '{');
    cm_accounts_add_json(&json, account);
    if (processed->done) {
        cm_buf_add_text(&json, ",\"answers\":");
        cm_accounts_add_answers_json(&json, &processed->answers, processed->seconds);
    }
    fprintf(app->out, "%s}\n", json.data);
    cm_buf_free(&json);
}

/* Processing has failed, with the reason in `err`; `rc` is what reading has come to. */
static int fail_processing(cm_app_t *app, int rc, const cm_err_t *err)
{
    static const char stored[] = "the events are stored, but not processed";

    if (err->code == CM_ESTOP) {
        fprintf(app->messages, "stopped; %s: run `clickmill process`\n", stored);
        return rc < 0 ? rc : CM_ESTOP;
    }
    if (rc == 0)
        return cm_fail(&app->err, err->code, "%s: %s; `clickmill process` tries again", stored,
                       err->text);
    fprintf(app->messages, "%s: %s\n", stored, err->text);
    return rc;
}

/* Once for all files, and not where a part is missing that another run brings: that one processes
 * it. Returns `rc`, what reading has come to, or a failure of its own. */
static int finish_import(cm_app_t *app, const import_command_options_t *asked, cm_store_t *store,
                         const cm_account_t *account, int rc)
{
    const bool stopped = atomic_load(app->stop), whole = rc == 0 || rc == CM_EINPUT;
    processed_t processed = {0};
    cm_err_t err = {0};
    int failed = 0;

    if (!app->global.json && (rc == 0 || account->read > 0)) /* else the failure says it all */
        cm_app_print_account(app, account, app->out);
    if (asked->process && whole && !stopped && (rc == 0 || account->accepted > 0))
        failed = process_imported(app, asked, store, &processed, &err);
    if (app->global.json)
        print_json(app, account, &processed);
    else if (processed.done && (processed.answers.changed || account->accepted > 0))
        cm_app_print_answers(app, &processed.answers, processed.seconds);
    if (failed < 0)
        return fail_processing(app, rc, &err);
    if (stopped && (rc == 0 || rc == CM_ESTOP))
        fprintf(app->messages, "stopped before the end; run it again to go on from there\n");
    else if (!app->global.json && account->read > 0)
        say_next(app, account, &processed);
    return rc;
}

static int import_to_store(cm_app_t *app, const import_command_options_t *asked,
                           cm_load_into_t into, int argc, char **argv, cm_account_t *account)
{
    int rc = cm_import_open(app, &into);
    if (rc == 0) {
        rc = import_files(app, &asked->import, &into, argc, argv, account);
        rc = cm_store_holder(into.store) != 0
                 ? cm_import_end_held(app, &into, account, asked->process, rc)
                 : finish_import(app, asked, into.store, account, rc);
    }
    cm_store_close(into.store);
    return rc;
}

static int import_to_kafka(cm_app_t *app, const import_command_options_t *asked,
                           cm_load_into_t into, int argc, char **argv, cm_account_t *account)
{
    const cm_kafka_settings_t settings = cm_kafka_settings_of(&asked->kafka, &app->log, app->stop);
    const cm_pipeline_env_t env = cm_app_env(app);
    cm_kafka_waiter_t waiter;
    cm_letters_t letters;
    const cm_sink_kafka_options_t kafka = {.settings = &settings,
                                           .waiter = &waiter.waiter,
                                           .clock = app->clock,
                                           .refused = cm_letters_take,
                                           .refused_context = &letters,
                                           .seal = cm_store_seal,
                                           .seal_context = into.visitor_key};

    cm_kafka_waiter_start(&waiter, app->stop);
    cm_letters_open(&letters, &env, app->global.data_dir, NULL);
    /* The key of the data directory, so that visitors are the same users wherever events go. */
    int rc = cm_store_older_keys_of(app->global.data_dir, &into.older_keys, &app->err);
    if (rc == 0)
        rc = cm_store_secret_of(app->global.data_dir, into.visitor_key, &app->err);
    if (rc == 0)
        rc = cm_sink_kafka_open(&kafka, &into.sink, &app->err);
    if (rc == 0) {
        rc = import_files(app, &asked->import, &into, argc, argv, account);
        cm_app_print_kafka_account(app, account, into.sink);
        if (rc == 0 && atomic_load(app->stop))
            fprintf(app->messages, "stopped before the end\n");
    }
    cm_sink_close(into.sink);
    cm_letters_close(&letters);
    return rc;
}

static int import_to_answers(cm_app_t *app, const import_command_options_t *asked,
                             cm_load_into_t into, int argc, char **argv, cm_account_t *account)
{
    const cm_index_store_query_t once = {.session_timeout = app->global.session_timeout,
                                         .memory = app->global.memory,
                                         .threads = (int)asked->threads};
    cm_printer_t printer;

    into.store = cm_memory_new();
    /* Visitors' hashes last as long as the run. */
    int rc = getrandom(into.visitor_key, sizeof into.visitor_key, 0) == sizeof into.visitor_key
                 ? 0
                 : cm_fail(&app->err, CM_EINTERNAL, "the kernel gives no random bytes");
    if (rc == 0)
        rc = import_files(app, &asked->import, &into, argc, argv, account);
    if (rc == 0 && atomic_load(app->stop))
        rc = cm_fail(&app->err, CM_EINPUT, "stopped before the end: answers of a part are none");
    if (rc == 0) {
        const cm_index_query_t all = {.dimension = CM_PER_CELL, .window = CM_WINDOW_ALL};
        cm_printer_start(&printer, app, CM_PRINT_CSV, &all, false);
        rc = cm_index_query_store(into.store, &once, cm_printer_row, &printer, &app->err);
        rc = cm_printer_end(&printer, rc);
    }
    cm_app_print_account(app, account, app->messages);
    cm_store_close(into.store);
    return rc;
}

static int import_all(cm_app_t *app, const import_command_options_t *asked, cm_load_into_t into,
                      int argc, char **argv)
{
    cm_account_t account = {0};
    int rc = 0;

    /* A database that is named shall be there before anything is read. */
    if (asked->import.enrich.geoip != NULL)
        rc = cm_enrichment_start(into.enriching.enrichment, &app->err);
    if (rc < 0)
        return rc;
    if (asked->to_answers)
        return import_to_answers(app, asked, into, argc, argv, &account);
    return asked->sink == CM_SINK_KAFKA ? import_to_kafka(app, asked, into, argc, argv, &account)
                                        : import_to_store(app, asked, into, argc, argv, &account);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const import_command_options_t *asked = given;
    cm_load_into_t into = {.threads = (int)asked->threads};
    unsigned windows;

    if (argc == 0)
        return cm_fail(&app->err, CM_EUSAGE,
                       "import what? Name files, or - for standard input; see `clickmill help "
                       "import`");
    int rc = asked->windows != NULL ? cm_windows_parse(asked->windows, &windows, &app->err) : 0;
    if (rc == 0)
        rc = cm_timestamp_format_open(&asked->import.times, &into.times, &app->err);
    if (rc < 0)
        return rc;
    cm_enrich_thread_open(&into.enriching, &asked->import.enrich, asked->import.all, &app->log);
    rc = import_all(app, asked, into, argc, argv);
    cm_enrich_thread_close(&into.enriching);
    cm_timestamp_format_close(&into.times);
    return rc;
}

const cm_command_t cm_cmd_import = {
    .name = "import",
    .arguments = "FILE...|-",
    .summary = "read files of events (JSONL, JSON, CSV) and access logs into the store",
    .details =
        "Apache and nginx logs in the combined and common format count page views: GET requests "
        "answered 2xx (but not 206) or 304 that are not images, styles, scripts, feeds, robots.txt "
        "and the like. A virtual host in the line (vhost_combined) becomes the site. Files packed "
        "with gzip or zstd are read as they are.\n"
        "Of access logs, addresses give countries (and cities, with --geoip) and user agents give "
        "browsers, operating systems and devices; visits of bots are left out and counted.\n"
        "What breaks a rule becomes a dead letter and the import goes on; a file of a format that "
        "is not read (JSON access logs, IIS, CloudFront, load balancers of AWS, HAProxy) is "
        "refused "
        "whole. An import that was "
        "interrupted goes on where it was when it is run again (the file is known by its path, its "
        "first 64 KiB and the options; what was edited before that place is not read again). "
        "Importing a file twice changes no answer.\n"
        "When all files are read the answers are computed, as `clickmill process` does; "
        "--no-process leaves that out.\n"
        "Where `run` or `collect` holds the data directory, that process stores the events.\n"
        " clickmill import --site https://www.example.com /var/log/nginx/access.log*\n"
        "With --sink kafka events go to Kafka's topic and dead letters to theirs; a file that was "
        "interrupted is then sent from its beginning again. Events that Kafka refuses for good "
        "become dead letters of DATA.\n"
        "With --to-answers nothing is kept, dead letters neither: the answers are printed as "
        "`query "
        "--format csv` prints them.",
    .options = options,
    .options_size = sizeof(import_command_options_t),
    .run = run,
};
