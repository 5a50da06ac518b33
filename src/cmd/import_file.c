#include "cmd/import_file.h"

#include "base/host.h"
#include "enrich/url_parts.h"
#include "pipeline/pipeline.h"
#include "source/readahead.h"
#include "store/load.h"

enum {
    COMMIT_NS = 1000000000,
    COMMIT_REGIONS =
        2, /* 64 MiB of text; more would save little, since other threads parse meanwhile */
};

/* ---- plain JSONL: several threads ---- */

typedef struct loading {
    cm_store_t *store;
    cm_account_t *account;
    cm_account_t uncommitted;
    unsigned regions; /* not yet committed */
    int64_t committed_ns;
    cm_progress_t progress;
} loading_t;

static int resolve(void *context, cm_builder_t *builder, cm_err_t *err)
{
    return cm_store_resolve(((loading_t *)context)->store, builder, err);
}

static int commit(loading_t *loading, cm_err_t *err)
{
    int rc = cm_sink_commit(&loading->store->sink, err);

    if (rc < 0)
        return rc;
    cm_account_add(loading->account, &loading->uncommitted);
    loading->uncommitted = (cm_account_t){0};
    loading->regions = 0;
    loading->committed_ns = cm_clock_ticks_ns();
    return 0;
}

static int append(void *context, cm_builder_t *builder, const cm_batch_t *rest, cm_err_t *err)
{
    loading_t *loading = context;

    int rc = cm_store_append(loading->store, builder, rest, err);
    if (rc < 0 || rest->position_count == 0) /* not the last block of a region */
        return rc;
    cm_account_add(&loading->uncommitted, &rest->account);
    if (++loading->regions < COMMIT_REGIONS &&
        cm_clock_ticks_ns() - loading->committed_ns < COMMIT_NS)
        return 0;
    return commit(loading, err);
}

static void show(void *context, uint64_t done, uint64_t total)
{
    loading_t *loading = context;
    cm_progress_show(&loading->progress, (double)done / (double)total,
                     loading->account->read + loading->uncommitted.read);
}

static int load_jsonl(cm_app_t *app, const cm_import_into_t *into, const char *path,
                      const char *identity, int64_t position, cm_account_t *account)
{
    loading_t loading = {
        .store = into->store, .account = account, .committed_ns = cm_clock_ticks_ns()};
    const cm_load_options_t options = {.path = path,
                                       .source = identity,
                                       .position = position,
                                       .threads = into->threads,
                                       .times = into->times,
                                       .map = into->map,
                                       .enrichment = into->enriching.enrichment,
                                       .stop = app->stop,
                                       .progress = show,
                                       .progress_context = &loading};
    const cm_load_target_t target = {.context = &loading,
                                     .resolve = resolve,
                                     .append = append,
                                     .answers_only = into->store->answers_only,
                                     .frugal = into->store->frugal};
    cm_err_t commit_err;

    cm_progress_start(&loading.progress, app->messages, app->terminal, path, "lines");
    int rc = cm_load_jsonl(&options, &target, &app->err);
    cm_progress_end(&loading.progress);
    /* What came before a failure of the file is complete; a failure of the store has taken it back.
     */
    if (rc < 0 && rc != CM_EINPUT)
        return rc;
    int committed = commit(&loading, &commit_err);
    if (committed < 0 && rc == 0) {
        app->err = commit_err;
        rc = committed;
    }
    return rc;
}

/* ---- all other files: one thread reads, this one stores ---- */

static int load_source(cm_app_t *app, const cm_import_into_t *into, cm_source_t *source,
                       const char *path, cm_account_t *account)
{
    cm_sink_t *sink = into->store != NULL ? &into->store->sink : into->sink;
    cm_source_t *ahead = NULL;
    const cm_pipeline_env_t env = cm_app_env(app);
    cm_pipeline_t pipeline;
    cm_progress_t progress;

    if (into->threads != 1 && cm_readahead_open(source, &ahead, &app->err) < 0)
        return app->err.code;
    cm_progress_start(&progress, app->messages, app->terminal, path, "lines");
    cm_pipeline_start(&pipeline, &env, ahead != NULL ? ahead : source, sink);
    pipeline.progress = &progress;
    if (sink == into->sink) {
        pipeline.commit_ms = 0;
        pipeline.commit_events = 0;
    }
    int rc = cm_pipeline_run(&pipeline, &app->err);
    const cm_account_t all = sink == into->sink ? cm_pipeline_all(&pipeline) : pipeline.account;
    cm_account_add(account, &all); /* the sink itself reports what became of it */
    cm_pipeline_free(&pipeline);
    cm_source_close(ahead);
    return rc;
}

/* Finds the position up to which an interrupted import has read the same file. */
static int find_position(cm_app_t *app, const cm_import_into_t *into, const char *identity,
                         const char *path, int64_t *position)
{
    *position = 0;
    if (into->store == NULL || !cm_store_is_directory(into->store) || identity[0] == '\0')
        return 0;
    int rc = cm_store_position(into->store, identity, position, &app->err);
    if (rc == 0 && *position > 0)
        fprintf(app->messages, "%s: an earlier import was interrupted, going on at byte %lld\n",
                path, (long long)*position);
    return rc;
}

/* Says once that a directory of an earlier edition keeps row keys without sites. */
static int explain_older_keys(cm_app_t *app, const cm_import_into_t *into)
{
    bool explained;

    int rc = cm_store_older_keys_told(into->store, &explained, &app->err);
    if (rc < 0 || explained)
        return rc;
    fprintf(app->messages,
            "%s was filled by an earlier edition and keeps its row keys, so that logs which "
            "overlap count once: equal lines of two sites (one visitor, second and request) count "
            "once too; to count both, import all logs into a new directory (--data DIR)\n",
            app->global.data_dir);
    return cm_store_tell_older_keys(into->store, &app->err);
}

/* Records the host of --site in the store. */
static int record_site(cm_app_t *app, const cm_import_into_t *into, const char *site)
{
    cm_buf_t url = CM_BUF_INIT, host = CM_BUF_INIT;

    cm_buf_printf(&url, "%s%s", strstr(site, "://") != NULL ? "" : "//", site);
    cm_host_add(&host, cm_url_host(cm_str_trim((cm_str_t){url.data, url.len})));
    int rc = host.len > 0 ? cm_store_add_site(into->store, host.data, &app->err) : 0;
    cm_buf_free(&url);
    cm_buf_free(&host);
    return rc;
}

int cm_import_file(cm_app_t *app, const cm_file_given_t *import, const cm_import_into_t *into,
                   const char *path, cm_account_t *account)
{
    const cm_file_options_t file = {.path = path,
                                    .format = (cm_file_format_t)import->format,
                                    .all = import->all,
                                    .times = into->times,
                                    .map = into->map,
                                    .site = import->site,
                                    .older_keys = into->older_keys,
                                    .visitor_key = into->visitor_key,
                                    .enrich = cm_enricher_visit,
                                    .enrich_context = into->enriching.enricher,
                                    .fill = cm_enricher_fill,
                                    .fill_context = into->enriching.enricher,
                                    .variant = into->enriching.variant,
                                    .message_variant = into->enriching.message_variant,
                                    .stop = app->stop,
                                    .log = &app->log};
    cm_source_t *source = NULL;
    int64_t position;

    int rc = cm_file_open(&file, &source, &app->err);
    if (rc < 0)
        return rc;
    const char *identity = cm_file_identity(source);
    if (import->site != NULL && cm_file_is_access_log(source) && into->store != NULL &&
        cm_store_is_directory(into->store))
        rc = record_site(app, into, import->site);
    if (rc == 0)
        rc = find_position(app, into, identity, path, &position);
    if (rc == 0 && cm_file_is_access_log(source))
        rc = cm_enrichment_start(into->enriching.enrichment, &app->err);
    if (rc == 0 && into->older_keys && into->store != NULL && cm_store_is_directory(into->store) &&
        cm_file_has_site(source))
        rc = explain_older_keys(app, into);
    bool by_regions =
        into->store != NULL && cm_store_takes_blocks(into->store) && cm_file_seekable(source);
    if (rc == 0 && by_regions && cm_file_format(source) == CM_FILE_JSONL) {
        rc = load_jsonl(app, into, path, identity, position, account);
    } else if (rc == 0) {
        rc = cm_file_resume(source, position, &app->err);
        if (rc == 0)
            rc = load_source(app, into, source, path, account);
    }
    cm_source_close(source);
    return rc;
}
