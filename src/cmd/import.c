/* clickmill import: files of events and access logs -> store. */
#include "cmd/import.h"

#include "cmd/commands.h"
#include "cmd/pipeline.h"
#include "store/embedded.h"

typedef struct import_command_options {
    cm_import_options_t import;
} import_command_options_t;

static const cm_option_t options[] = {
    CM_IMPORT_ROWS(import_command_options_t, import),
    {.name = NULL},
};

/* Goes on where an import of the same file was interrupted. */
static int resume(cm_app_t *app, cm_store_t *store, cm_source_t *source, const char *path)
{
    const char *identity = cm_file_identity(source);
    int64_t position = 0;

    if (identity[0] == '\0')
        return 0;
    int rc = cm_embedded_position(store, identity, &position, &app->err);
    if (rc < 0 || position <= 0)
        return rc;
    fprintf(app->messages, "%s: an earlier import was interrupted, going on at byte %lld\n", path,
            (long long)position);
    return cm_file_resume(source, position, &app->err);
}

static int import_file(cm_app_t *app, const cm_import_options_t *import, cm_store_t *store,
                       const uint8_t *visitor_key, const char *path, cm_account_t *account)
{
    const cm_file_options_t file = {.path = path,
                                    .format = (cm_file_format_t)import->format,
                                    .all = import->all,
                                    .site = import->site,
                                    .visitor_key = visitor_key,
                                    .stop = app->stop};
    cm_source_t *source = NULL;
    cm_pipeline_t pipeline;
    cm_progress_t progress;

    int rc = cm_file_open(&file, &source, &app->err);
    if (rc < 0)
        return rc;
    cm_progress_start(&progress, app->messages, app->terminal, path, "lines");
    cm_pipeline_start(&pipeline, app, source, &store->sink);
    pipeline.progress = &progress;
    rc = resume(app, store, source, path);
    if (rc == 0)
        rc = cm_pipeline_run(&pipeline, &app->err);
    cm_account_add(account, &pipeline.account);
    cm_pipeline_free(&pipeline);
    cm_source_close(source);
    return rc;
}

/* All files; one that fails does not keep the others out. The first failure is returned. */
static int import_files(cm_app_t *app, const cm_import_options_t *import, cm_store_t *store,
                        int argc, char **argv, cm_account_t *account)
{
    uint8_t visitor_key[CM_VISITOR_KEY];
    cm_err_t first = {0};

    int rc = cm_embedded_secret(store, visitor_key, &app->err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < argc && !atomic_load(app->stop); i++) {
        rc = import_file(app, import, store, visitor_key, argv[i], account);
        if (rc == CM_EINPUT) {
            if (argc > 1) /* of one alone, main() says it */
                fprintf(app->messages, "clickmill: %s\n", app->err.text);
            if (first.code == 0)
                first = app->err;
        } else if (rc < 0) {
            return rc; /* the store fails: no use to go on */
        }
    }
    if (first.code == 0)
        return 0;
    app->err = first;
    if (argc > 1)
        return cm_fail(&app->err, first.code,
                       "not all of the %d inputs could be read, see above; the others are imported",
                       argc);
    return first.code;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const import_command_options_t *asked = given;
    cm_account_t account = {0};
    cm_store_t *store = NULL;

    if (argc == 0)
        return cm_fail(&app->err, CM_EUSAGE,
                       "import what? Name files, or - for standard input; see `clickmill help "
                       "import`");
    int rc = cm_embedded_open(app->global.data_dir, app->clock, &store, &app->err);
    if (rc < 0)
        return rc;
    rc = import_files(app, &asked->import, store, argc, argv, &account);
    cm_account_print(app, &account, app->out);
    cm_sink_close(&store->sink);
    return rc;
}

const cm_command_t cm_command_import = {
    .name = "import",
    .arguments = "FILE...|-",
    .summary = "read files of events (JSONL, CSV) and access logs into the store",
    .details =
        "Apache and nginx logs in the combined and common format count page views: GET requests "
        "answered 2xx or 304 that are not images, styles, scripts and the like. Files packed with "
        "gzip or zstd are read as they are.\n"
        "What breaks a rule becomes a dead letter and the import goes on. An import that was "
        "interrupted goes on where it was when it is run again; importing a file twice changes no "
        "answer.\n"
        " clickmill import --site https://www.example.com /var/log/nginx/access.log*",
    .options = options,
    .options_size = sizeof(import_command_options_t),
    .run = run,
};
