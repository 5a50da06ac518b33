#include "pipeline/upkeep.h"

#include "base/process.h"
#include "base/progress.h"

enum {
    FIRST_MOST = 30000, /* events whose answers are written at a time, until it is known how long */
    LEAST_MOST = 10000, /* that takes; and never fewer */
};

#define WRITING_SECONDS 0.15 /* that it shall take */

static double seconds_since(int64_t ns)
{
    return (double)(cm_clock_ticks_ns() - ns) / 1e9;
}

void cm_upkeep_open(cm_upkeep_t *self, cm_store_t *store, const cm_index_refresh_options_t *options,
                    const cm_log_t *log)
{
    self->store = store;
    self->log = log;
    self->most = FIRST_MOST;
    self->options = *options;
}

static void *mill(void *context)
{
    cm_upkeep_t *self = context;
    const int64_t started = cm_clock_ticks_ns();

    cm_process_step_back(CM_STEP_BACK); /* and so do the threads that it starts */
    self->rc = cm_index_refresh_mill(self->refreshing, &self->err);
    self->milled_seconds = seconds_since(started);
    atomic_store(&self->ended, true);
    return NULL;
}

bool cm_upkeep_busy(const cm_upkeep_t *self)
{
    return self->refreshing != NULL;
}

bool cm_upkeep_ready(const cm_upkeep_t *self)
{
    return self->refreshing != NULL && atomic_load(&self->ended);
}

/* Damaged answers hold no sender up: they are made anew, once. Damaged events would fail again. */
static bool make_anew(cm_upkeep_t *self, int rc, const cm_err_t *err)
{
    if (rc != CM_ECORRUPT || self->options.rebuild)
        return false;
    cm_log(self->log, CM_LOG_WARN, "answers are made anew", "reason=\"%s\"", err->text);
    self->options.rebuild = true;
    return true;
}

int cm_upkeep_begin(cm_upkeep_t *self, bool whole, cm_err_t *err)
{
    const int64_t started = cm_clock_ticks_ns();

    self->options.most = whole ? 0 : self->most;
    int rc = cm_index_refresh_begin(self->store, &self->options, &self->refreshing, err);
    if (make_anew(self, rc, err))
        rc = cm_index_refresh_begin(self->store, &self->options, &self->refreshing, err);
    if (rc < 0)
        return rc;
    self->begun_seconds = seconds_since(started);
    atomic_store(&self->ended, false);
    if (pthread_create(&self->thread, NULL, mill, self) == 0)
        return 0;
    cm_index_refresh_free(self->refreshing);
    self->refreshing = NULL;
    return cm_fail_thread(err);
}

/* Where as many events as there may be were covered: how many there may be the next time. */
static void learn(cm_upkeep_t *self, double seconds)
{
    const double right = (double)self->most * WRITING_SECONDS / (seconds > 0 ? seconds : 1e-9);
    const double most = 2.0 * (double)self->most;

    if (self->more)
        self->most = (int64_t)(right < LEAST_MOST ? LEAST_MOST : right < most ? right : most);
}

int cm_upkeep_end(cm_upkeep_t *self, cm_err_t *err)
{
    pthread_join(self->thread, NULL);
    const int64_t started = cm_clock_ticks_ns();
    int rc = self->rc;
    self->more = cm_index_refresh_leaves(self->refreshing);
    if (rc < 0)
        *err = self->err;
    else
        rc = cm_index_refresh_end(self->refreshing, &self->answers, err);
    if (rc == 0)
        self->options.rebuild = false;
    if (self->rc == 0 && make_anew(self, rc, err)) {
        self->more = true;
        rc = 0;
    }
    if (rc == 0)
        learn(self, seconds_since(started));
    cm_index_refresh_free(self->refreshing);
    self->refreshing = NULL;
    if (rc == 0 && self->answers.changed)
        self->seconds = self->begun_seconds + self->milled_seconds + seconds_since(started);
    return rc;
}

void cm_upkeep_close(cm_upkeep_t *self)
{
    if (self->refreshing == NULL)
        return;
    pthread_join(self->thread, NULL);
    cm_index_refresh_free(self->refreshing);
    self->refreshing = NULL;
}

void cm_upkeep_progress(void *context, double share)
{
    cm_progress_show(context, share, 0);
}

int cm_upkeep_once(const cm_pipeline_env_t *env, cm_store_t *store, cm_store_t *other,
                   const cm_index_refresh_options_t *options, cm_index_refreshed_t *done,
                   double *seconds, cm_err_t *err)
{
    const int64_t started = cm_pipeline_ticks_ns(env);
    cm_index_refresh_options_t shown = *options;
    cm_progress_t progress;

    cm_progress_start(&progress, env->terminal ? env->messages : NULL, env->terminal, "processing",
                      "events");
    shown.stop = env->stop;
    shown.progress = cm_upkeep_progress;
    shown.progress_context = &progress;
    int rc = other != NULL ? cm_index_refresh_from(other, store, &shown, done, err)
                           : cm_index_refresh(store, &shown, done, err);
    *seconds = (double)(cm_pipeline_ticks_ns(env) - started) / 1e9;
    cm_progress_end(&progress);
    return rc;
}
