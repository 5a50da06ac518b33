/* clickmill import: files of events and access logs into the store, into Kafka, or into answers. */
#include "cmd/import.h"

#include "cmd/commands.h"
#include "pipeline/windows.h"
#include "sink/options.h"

static const cm_option_t options[] = {
    {.name = "files",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_import_options_t, import),
     .rows = cm_file_option_rows},
    {.name = "to-answers",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_import_options_t, to_answers),
     .help = "store nothing; print the answers as CSV when all files are read"},
    {.name = "process",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_import_options_t, process),
     .def = "true",
     .key = "import.process",
     .help = "compute the answers when all files are read, as `process` does; --no-process turns "
             "this off"},
    {.name = "window",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_import_options_t, windows),
     .rows = cm_windows_option},
    {.name = "threads",
     .type = CM_OPT_INT,
     .offset = offsetof(cm_import_options_t, threads),
     .arg = "N",
     .min = 0,
     .max = 64,
     .key = "import.threads",
     .help = "threads that read a plain JSONL file; 0 means one more than processors"},
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_import_options_t, sink),
     .rows = cm_sink_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_import_options_t, sink),
     .rows = cm_sink_server_option_rows},
    {.name = NULL},
};

/* Says that the URLs do not tell which referrers are pages of the site itself. */
static void explain_hostless(const cm_import_t *import)
{
    if (import->account.hostless > 0)
        fprintf(import->app->messages,
                "%llu events have a referrer and a url without a host, so that none of these "
                "referrers is internal; for access logs --site gives the host\n",
                (unsigned long long)import->account.hostless);
}

int cm_import_files(cm_import_t *import, const cm_import_into_t *into)
{
    cm_app_t *app = import->app;
    const int count = import->count;
    cm_err_t first = {0};
    int failed = 0;

    for (int i = 0; i < count && !atomic_load(app->stop); i++) {
        int rc =
            cm_import_file(app, &import->asked->import, into, import->paths[i], &import->account);
        if (rc == CM_EINPUT) {
            failed++;
            if (count > 1)
                fprintf(app->messages, "clickmill: %s\n", app->err.text);
            if (first.code == 0)
                first = app->err;
        } else if (rc < 0) {
            return rc; /* the store fails: the other files would fail too */
        }
    }
    explain_hostless(import);
    if (first.code == 0)
        return cm_enrichment_check(into->enriching.enrichment, &app->err);
    app->err = first;
    if (failed == count && count > 1)
        return cm_fail(&app->err, first.code, "none of the %d inputs could be read, see above",
                       count);
    if (count > 1)
        return cm_fail(&app->err, first.code,
                       "not all of the %d inputs could be read, see above; the others are imported",
                       count);
    return first.code;
}

static int import_all(cm_import_t *import, const cm_import_into_t *into)
{
    const cm_import_options_t *asked = import->asked;
    int rc = 0;

    /* A database that the options name must be usable before anything is read. */
    if (asked->import.enrich.geoip != NULL)
        rc = cm_enrichment_start(into->enriching.enrichment, &import->app->err);
    if (rc < 0)
        return rc;
    if (asked->to_answers)
        return cm_import_to_answers(import, *into);
    return cm_sink_is_topic(&asked->sink) ? cm_import_to_topic(import, *into)
                                          : cm_import_to_store(import, *into);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const cm_import_options_t *asked = given;
    cm_import_t import = {.app = app, .asked = asked, .count = argc, .paths = argv};
    cm_import_into_t into = {.threads = (int)asked->threads};
    unsigned windows;

    if (argc == 0)
        return cm_fail(&app->err, CM_EUSAGE,
                       "no input is given: name files, or - for standard input; see `clickmill "
                       "help import`");
    int rc = asked->windows != NULL ? cm_windows_parse(asked->windows, &windows, &app->err) : 0;
    if (rc == 0)
        rc = cm_timestamp_format_open(&asked->import.times, &into.times, &app->err);
    if (rc == 0)
        rc = cm_event_map_new(&asked->import.map, &into.map, &app->err);
    if (rc < 0) {
        cm_timestamp_format_close(&into.times);
        return rc;
    }
    cm_enrich_thread_open(&into.enriching, &asked->import.enrich, asked->import.all, &app->log);
    rc = import_all(&import, &into);
    cm_enrich_thread_close(&into.enriching);
    cm_event_map_free(into.map);
    cm_timestamp_format_close(&into.times);
    return rc;
}

const cm_command_t cm_cmd_import = {
    .name = "import",
    .arguments = "FILE...|-",
    .summary = "read files of events (JSONL, JSON, CSV) and access logs into the store",
    .details =
        "For Apache and nginx logs in the combined and common format, page views are counted: "
        "GET requests answered 2xx (but not 206) or 304 that are not images, styles, scripts, "
        "feeds, robots.txt and similar. A virtual host in the line (vhost_combined) becomes the "
        "site. Files that are compressed with gzip or zstd are read directly.\n"
        "In access logs, addresses give countries (and cities, with --geoip) and user agents "
        "give browsers, operating systems and devices; visits of bots are left out and counted. "
        "The same is done for JSON that has the fields ip and user_agent, but its bots count "
        "unless "
        "--bots is given.\n"
        "A record that breaks a rule becomes a dead letter and the import continues; a file of a "
        "format that is not supported (JSON access logs, IIS, CloudFront, load balancers of AWS, "
        "HAProxy) is refused as a whole. An import that was interrupted continues at the same "
        "place when it is run again (the file is recognised by its path, its first 64 KiB and "
        "the options; changes before that place are not read). Importing a file twice changes no "
        "answer.\n"
        "When all files are read the answers are computed, as by `clickmill process`; "
        "--no-process turns that off.\n"
        "When a running `run` or `collect` holds the data directory, that process stores the "
        "events.\n"
        " clickmill import --site https://www.example.com /var/log/nginx/access.log*\n"
        "With --sink kafka events go to Kafka's topic and dead letters to theirs; a file that "
        "was interrupted is then sent from its beginning again. Events that Kafka refuses "
        "permanently become dead letters of DATA.\n"
        "With --to-answers nothing is stored, not even dead letters; the answers are printed as "
        "by `query --format csv`.",
    .options = options,
    .options_size = sizeof(cm_import_options_t),
    .run = run,
};
