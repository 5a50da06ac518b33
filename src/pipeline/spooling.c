#include "pipeline/spooling.h"

#include "base/progress.h"

#include <stdio.h>

enum {
    START_MS = 2000, /* then events are accepted although Kafka has not answered */
};

/* Events that cannot be stored as dead letters stay in the spool, with those that follow them. */
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
    const cm_sink_kafka_options_t options = {.settings = &spooling->kafka,
                                             .patient = true,
                                             .waiter = waiter,
                                             .clock = spooling->env.clock,
                                             .refused = keep_refused,
                                             .refused_context = spooling,
                                             .refused_at_commit = true,
                                             .ends = spooling->ends};

    return cm_sink_kafka_open(&options, sink, err);
}

int cm_spooling_open(cm_spooling_t *spooling, const cm_pipeline_env_t *env, const char *data_dir,
                     const cm_kafka_options_t *kafka, int64_t max_bytes, cm_kafka_ends_t *ends,
                     cm_letters_t *letters, cm_err_t *err)
{
    cm_buf_t directory = CM_BUF_INIT;

    cm_buf_printf(&directory, "%s/spool", data_dir);
    const cm_spool_options_t options = {.data_dir = directory.data,
                                        .clock = env->clock,
                                        .max_bytes = max_bytes,
                                        .open = open_kafka,
                                        .context = spooling,
                                        .start_ms = START_MS};
    spooling->env = *env;
    spooling->ends = ends;
    spooling->letters = letters;
    spooling->kafka = cm_kafka_settings_of(kafka, env->log, env->stop);
    /* The wait for Kafka begins with the stop of the program, so that one must not end it. */
    spooling->kafka.stop = &spooling->leave;
    /* Not only in the drain: the second signal may come while the last events are stored. */
    cm_pipeline_set_hurries(env, true);
    int rc = cm_spool_open(&options, &spooling->spool, err);
    cm_buf_free(&directory);
    return rc;
}

bool cm_spooling_describe(const cm_spooling_t *spooling, char *text, size_t size)
{
    text[0] = '\0';
    if (spooling->spool == NULL)
        return false;
    uint64_t kept = cm_spool_kept(spooling->spool);
    const char *reason = cm_spool_reason(spooling->spool);
    if (kept > 0 || reason[0] != '\0')
        snprintf(text, size, "%llu events are kept until Kafka has them%s%s",
                 (unsigned long long)kept, reason[0] != '\0' ? ": " : "", reason);
    return true;
}

static void show_drain(cm_spooling_t *spooling, int64_t now_ns)
{
    const cm_pipeline_env_t *env = &spooling->env;
    const char *reason = cm_spool_reason(spooling->spool);
    cm_buf_t line = CM_BUF_INIT;

    if (!cm_pipeline_line_due(env, &spooling->shown_ns))
        return;
    cm_buf_printf(&line, "waiting up to %.0f s for Kafka to take ",
                  (double)(spooling->until_ns - now_ns) / 1e9);
    cm_buf_add_grouped(&line, (int64_t)cm_spool_kept(spooling->spool));
    cm_buf_printf(&line, " events from the spool%s%s; Ctrl-C leaves them for the next start",
                  reason[0] != '\0' ? ": " : "", reason);
    cm_progress_status(env->messages, env->terminal, &line);
    cm_buf_free(&line);
}

static bool may_drain(void *context)
{
    cm_spooling_t *spooling = context;
    const cm_pipeline_env_t *env = &spooling->env;
    const int64_t now = cm_pipeline_ticks_ns(env);

    if (now >= spooling->until_ns || cm_pipeline_hurries(env))
        return false;
    show_drain(spooling, now);
    return true;
}

int cm_spooling_drain(cm_spooling_t *spooling, int64_t ms, cm_err_t *err)
{
    const cm_pipeline_env_t *env = &spooling->env;
    int rc = 0;

    if (spooling->spool == NULL)
        return 0;
    spooling->until_ns = cm_pipeline_ticks_ns(env) + ms * INT64_C(1000000);
    rc = cm_spool_drain(spooling->spool, may_drain, spooling, err);
    cm_pipeline_set_hurries(env, false);
    if (spooling->shown_ns != 0)
        cm_pipeline_end_line(env);
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
