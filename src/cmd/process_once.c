#include "cmd/process.h"
#include "cmd/process_spark.h"
#include "cmd/publishing.h"
#include "pipeline/upkeep.h"
#include "pipeline/windows.h"

/* Sends what has changed to the index elsewhere. `*pushed`: what was sent. */
static int publish(cm_app_t *app, cm_store_t *store, const cm_index_settings_t *target,
                   bool rebuild, cm_index_applied_t *pushed)
{
    cm_index_mirror_t *mirror;

    int rc = cm_publishing_start(app, target, store, rebuild, false, &mirror);
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
        cm_buf_printf(&line, " rows of %s: %s", read->engine, read->why);
    } else {
        cm_buf_printf(&line, " rows of %s that were written since the last time, of which ",
                      read->engine);
        cm_buf_add_grouped(&line, read->changed);
        cm_buf_add_text(&line, " were new or changed");
    }
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
}

static void add_reading_json(cm_buf_t *json, const cm_store_reading_t *read)
{
    cm_buf_printf(json, "\"%s\":{\"full\":%s,\"rows\":%lld", read->choice,
                  read->full ? "true" : "false", (long long)read->rows);
    if (read->full)
        cm_buf_printf(json, ",\"why\":\"%s\"}", read->why);
    else
        cm_buf_printf(json, ",\"changed\":%lld}", (long long)read->changed);
}

/* `pushed` is what `place` got, NULL where there is only the embedded index; `read` is NULL where
 * the events are embedded. */
static void print_account(cm_app_t *app, const cm_index_refreshed_t *done, double seconds,
                          const cm_index_applied_t *pushed, const char *place,
                          const cm_store_reading_t *read)
{
    cm_buf_t json = CM_BUF_INIT;

    if (!app->global.json) {
        if (read != NULL)
            print_reading(app, read);
        cm_app_print_answers(app, done, seconds);
        if (pushed != NULL)
            cm_publishing_print(app, pushed, place);
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
                   const cm_store_reading_t *read, const cm_processing_options_t *asked,
                   unsigned windows, bool first)
{
    const cm_index_settings_t target = cm_app_index_settings(app, &asked->index);
    const bool copied = !cm_index_in_data_dir(&target);
    const cm_pipeline_env_t env = cm_app_env(app);
    const bool rebuild = asked->rebuild && first;
    cm_index_applied_t pushed = {0};
    cm_index_refreshed_t done;
    bool foreign;
    double seconds;

    int rc = asked->windows == NULL && other == NULL
                 ? cm_windows_add_kept(store, rebuild, &windows, &foreign, &app->err)
                 : 0;
    if (rc < 0)
        return rc;
    cm_index_refresh_options_t refresh = cm_app_refresh_options(app, windows);
    refresh.rebuild = rebuild;
    refresh.threads = (int)asked->threads;
    rc = cm_upkeep_once(&env, store, other, &refresh, &done, &seconds, &app->err);
    if (rc == CM_ESTOP)
        fprintf(app->messages, "stopped; the answers are as they were\n");
    if (rc < 0)
        return rc;
    if (copied && (rc = publish(app, store, &target, rebuild, &pushed)) == CM_ESTOP)
        return rc;
    if (first || done.changed || pushed.sent + pushed.removed + pushed.refused > 0)
        print_account(app, &done, seconds, copied ? &pushed : NULL, cm_index_place(&target), read);
    if (rc == 0 && pushed.refused > 0 && asked->every == 0)
        return cm_fail(&app->err, CM_EIO,
                       "%s refused %llu documents; `clickmill dead list` says why",
                       cm_index_engine(&target), (unsigned long long)pushed.refused);
    return rc;
}

static int process_by_spark(cm_app_t *app, const cm_processing_options_t *asked, unsigned windows,
                            bool first)
{
    const cm_store_settings_t store = cm_app_store_settings(app, &asked->store);
    const cm_index_settings_t index = cm_app_index_settings(app, &asked->index);
    const cm_spark_job_t job = {.options = &asked->spark,
                                .cassandra = cm_store_table(&store),
                                .elastic = cm_index_server(&index),
                                .windows = windows,
                                .session_timeout_ms = app->global.session_timeout,
                                .daily = app->global.visitors == CM_VISITORS_DAILY,
                                .rebuild = asked->rebuild && first};
    return cm_processing_by_spark(app, &job);
}

int cm_processing_once(cm_app_t *app, const cm_processing_options_t *asked, unsigned windows,
                       bool first)
{
    const cm_store_settings_t settings = cm_app_store_settings(app, &asked->store);
    const bool rebuild = asked->rebuild && first;
    cm_store_t *store = NULL, *other = NULL;
    cm_store_reading_t read = {.rejected = 0};
    int rc = 0;

    if (asked->engine == CM_PROCESSING_SPARK)
        return process_by_spark(app, asked, windows, first);
    if (cm_store_keeps_copy(&settings))
        rc = cm_store_open_directory(app->global.data_dir, app->clock, &store, &app->err);
    if (rc == 0)
        rc = cm_store_open_events(&settings, rebuild, &other, &read, &app->err);
    if (rc == 0)
        cm_app_print_left_out(app, read.rejected);
    if (rc == 0 && store == NULL)
        rc = cm_store_open_directory(app->global.data_dir, app->clock, &store, &app->err);
    if (rc == 0)
        rc = refresh(app, store, other, other != NULL ? &read : NULL, asked, windows, first);
    cm_store_close(store);
    cm_store_close(other);
    return rc;
}
