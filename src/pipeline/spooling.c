#include "pipeline/spooling.h"

#include "base/progress.h"

#include <stdio.h>

enum {
    START_MS = 2000, /* until events are taken though Kafka has not answered */
    LINE_MS = 5000,  /* between status lines where there is no terminal */
    TERMINAL_MS = 500,
};

/* While they cannot be stored as dead letters, they and what is behind them stay in the spool. */
static int keep_refused(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    cm_spooling_t *spooling = context;
    cm_err_t why;

    int rc = cm_letters_take(spooling->letters, batch, &why);
    if (rc == 0) {
        atomic_fetch_add(&spooling->dead, batch->dead_count);
        return 0;
    }
    if (rc == CM_EDISK) {
        *err = why;
        return rc;
    }
    return cm_fail(err, CM_EAWAY, "%zu events that Kafka refuses cannot become dead letters: %s",
                   batch->dead_count, why.text);
}

static int open_kafka(void *context, const cm_waiter_t *waiter, cm_sink_t **sink, cm_err_t *err)
{
    cm_spooling_t *spooling = context;
    const cm_kafka_sink_options_t options = {.settings = &spooling->kafka,
                                             .patient = true,
                                             .waiter = waiter,
                                             .clock = spooling->app->clock,
                                             .refused = keep_refused,
                                             .refused_context = spooling,
                                             .refused_at_commit = true,
                                             .ends = spooling->ends};

    return cm_kafka_sink_open(&options, sink, err);
}

int cm_spooling_open(cm_spooling_t *spooling, const cm_app_t *app, const cm_kafka_options_t *kafka,
                     int64_t max_bytes, cm_kafka_ends_t *ends, cm_letters_t *letters, cm_err_t *err)
{
    cm_buf_t directory = CM_BUF_INIT;

    cm_buf_printf(&directory, "%s/spool", app->global.data_dir);
    const cm_spool_options_t options = {.data_dir = directory.data,
                                        .clock = app->clock,
                                        .max_bytes = max_bytes,
                                        .open = open_kafka,
                                        .context = spooling,
                                        .start_ms = START_MS};
    spooling->app = app;
    spooling->ends = ends;
    spooling->letters = letters;
    spooling->kafka = cm_kafka_settings_of(kafka, &app->log, app->stop);
    /* The program's stop is where the wait for Kafka to take what is kept begins. */
    spooling->kafka.stop = &spooling->leave;
    /* From now on: the second signal may come while the last events are stored. */
    if (app->hurries != NULL)
        atomic_store(app->hurries, true);
    int rc = cm_spool_open(&options, &spooling->spool, err);
    cm_buf_free(&directory);
    return rc;
}

void cm_spooling_note(cm_spooling_t *spooling, cm_collecting_t *collecting)
{
    char text[400] = "";

    if (spooling->spool == NULL)
        return;
    uint64_t kept = cm_spool_kept(spooling->spool);
    const char *reason = cm_spool_reason(spooling->spool);
    if (kept > 0 || reason[0] != '\0')
        snprintf(text, sizeof text, "%llu events are kept until Kafka has them%s%s",
                 (unsigned long long)kept, reason[0] != '\0' ? ": " : "", reason);
    cm_collecting_notice(collecting, text);
}

static void show_drain(cm_spooling_t *spooling, int64_t now_ns)
{
    const cm_app_t *app = spooling->app;
    const int64_t show_ms = app->terminal ? TERMINAL_MS : LINE_MS;
    const char *reason = cm_spool_reason(spooling->spool);
    cm_buf_t line = CM_BUF_INIT;

    if (spooling->shown_ns != 0 && now_ns - spooling->shown_ns < show_ms * INT64_C(1000000))
        return;
    cm_buf_printf(&line, "waiting up to %.0f s for Kafka to take ",
                  (double)(spooling->until_ns - now_ns) / 1e9);
    cm_buf_add_grouped(&line, (int64_t)cm_spool_kept(spooling->spool));
    cm_buf_printf(&line, " events from the spool%s%s; Ctrl-C leaves them for the next start",
                  reason[0] != '\0' ? ": " : "", reason);
    cm_progress_tell(app->messages, app->terminal, &line);
    cm_buf_free(&line);
    spooling->shown_ns = now_ns;
}

static bool may_drain(void *context)
{
    cm_spooling_t *spooling = context;
    const cm_app_t *app = spooling->app;
    const int64_t now = cm_clock_ticks_ns();

    if (now >= spooling->until_ns || (app->hurry != NULL && atomic_load(app->hurry)))
        return false;
    show_drain(spooling, now);
    return true;
}

int cm_spooling_drain(cm_spooling_t *spooling, int64_t ms, cm_err_t *err)
{
    const cm_app_t *app = spooling->app;
    int rc = 0;

    if (spooling->spool == NULL)
        return 0;
    spooling->until_ns = cm_clock_ticks_ns() + ms * INT64_C(1000000);
    rc = cm_spool_drain(spooling->spool, may_drain, spooling, err);
    if (app->hurries != NULL)
        atomic_store(app->hurries, false);
    if (spooling->shown_ns != 0 && app->terminal)
        cm_progress_line(app->messages, (cm_str_t){"", 0});
    atomic_store(&spooling->leave, true);
    return rc;
}

void cm_spooling_count(const cm_spooling_t *spooling, uint64_t collected, cm_account_t *account)
{
    if (spooling->spool == NULL)
        return;
    const cm_spool_counts_t counts = cm_spool_counts(spooling->spool);
    account->collected = collected;
    account->resumed = counts.found;
    account->dead = atomic_load(&spooling->dead);
    account->sent = counts.sent - account->dead;
    account->spooled = counts.kept;
}

void cm_spooling_close(cm_spooling_t *spooling)
{
    atomic_store(&spooling->leave, true);
    if (spooling->spool != NULL)
        cm_sink_close(cm_spool_sink(spooling->spool));
    spooling->spool = NULL;
}
