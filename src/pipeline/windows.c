#include "pipeline/windows.h"

#include "index/embedded/embedded.h"

const cm_option_t cm_windows_option[] = {
    {.name = "window",
     .type = CM_OPT_TEXT,
     .arg = "all|day|hour",
     .key = "process.window",
     .help = "answers over all time, per day or per hour (UTC); several with commas. Where it "
             "is not given: " CM_WINDOWS_HERE " and what is there already; of Cassandra's "
             "events, and into Elasticsearch, " CM_WINDOWS_ELSEWHERE},
    {.name = NULL},
};

int cm_windows_parse(const char *text, unsigned *windows, cm_err_t *err)
{
    char name[16];

    *windows = 0;
    while (true) {
        size_t len = strcspn(text, ",");
        cm_window_t window;
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), text);
        if (!cm_index_window_parse(name, &window))
            return cm_fail(err, CM_EUSAGE, "--window takes all, day or hour, not \"%.40s\"", text);
        *windows |= 1u << window;
        if (text[len] == '\0')
            return 0;
        text += len + 1;
    }
}

void cm_refresh_options(const cm_app_t *app, unsigned windows, cm_index_refresh_options_t *options)
{
    *options = (cm_index_refresh_options_t){.windows = windows,
                                            .session_timeout = app->global.session_timeout,
                                            .memory = app->global.memory,
                                            .clock = app->clock};
}

int cm_windows_add_kept(cm_store_t *store, bool rebuild, unsigned *windows, bool *foreign,
                        cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(store);

    *foreign = false;
    int rc = cm_index_embedded_prepare(database, err);
    const bool damaged = rebuild && rc == CM_ECORRUPT;
    for (int window = 0; (rc == 0 || damaged) && window < CM_WINDOW_COUNT; window++) {
        cm_index_coverage_t covered;
        rc = cm_index_embedded_coverage(database, (cm_window_t)window, &covered, err);
        *foreign |= rc == 0 && covered.session_timeout < 0;
        if (rc == 0 && covered.session_timeout > 0)
            *windows |= 1u << window;
    }
    /* What can still be read of it is enough: all is made anew. */
    return damaged || (rebuild && rc == CM_ECORRUPT) ? cm_index_embedded_forget(database, err) : rc;
}

void cm_refresh_progress(void *context, double share)
{
    cm_progress_show(context, share, 0);
}

int cm_refresh_shown(cm_app_t *app, cm_store_t *store, cm_store_t *other,
                     cm_index_refresh_options_t *options, cm_index_refreshed_t *done,
                     double *seconds, cm_err_t *err)
{
    const int64_t started = cm_clock_ticks_ns();
    cm_progress_t progress;

    cm_progress_start(&progress, app->terminal ? app->messages : NULL, app->terminal, "processing",
                      "events");
    options->stop = app->stop;
    options->progress = cm_refresh_progress;
    options->progress_context = &progress;
    int rc = other != NULL ? cm_index_refresh_from(other, store, options, done, err)
                           : cm_index_refresh(store, options, done, err);
    *seconds = (double)(cm_clock_ticks_ns() - started) / 1e9;
    cm_progress_end(&progress);
    return rc;
}

void cm_refreshed_add_json(cm_buf_t *buf, const cm_index_refreshed_t *done, double seconds)
{
    cm_buf_printf(buf,
                  "{\"accepted\":%lld,\"events\":%lld,\"duplicates\":%lld,\"cells\":%lld,"
                  "\"seconds\":%.6f}",
                  (long long)done->accepted, (long long)done->events, (long long)done->duplicates,
                  (long long)done->cells, seconds);
}

void cm_refreshed_print(cm_app_t *app, const cm_index_refreshed_t *done, double seconds)
{
    cm_buf_t line = CM_BUF_INIT;

    if (app->global.json) {
        cm_refreshed_add_json(&line, done, seconds);
        fprintf(app->out, "%s\n", line.data);
        cm_buf_free(&line);
        fflush(app->out);
        return;
    }
    cm_buf_add_text(&line, "accepted ");
    cm_buf_add_grouped(&line, done->accepted);
    cm_buf_add_text(&line, " = events ");
    cm_buf_add_grouped(&line, done->events);
    cm_buf_add_text(&line, " + duplicates ");
    cm_buf_add_grouped(&line, done->duplicates);
    cm_buf_add_text(&line, "; ");
    cm_buf_add_grouped(&line, done->cells);
    cm_buf_printf(&line, " cells in %.3f s%s", seconds, done->changed ? "" : " (nothing new)");
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
}
