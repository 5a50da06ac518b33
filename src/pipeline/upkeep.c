#include "pipeline/upkeep.h"

#include "base/process.h"
#include "base/progress.h"

enum {
    FIRST_MOST = 30000, /* events that are covered at a time, until it is known how long that */
    LEAST_MOST = 10000, /* takes; and never fewer than these */
    SOON_MS = 250,      /* after the last refresh, where a person has clicked and looks at them */
};

#define WRITING_SECONDS 0.15 /* that writing the answers of one refresh is to take */

static double seconds_since(const cm_upkeep_t *self, int64_t ns)
{
    return (double)(cm_pipeline_ticks_ns(&self->env) - ns) / 1e9;
}

void cm_upkeep_open(cm_upkeep_t *self, const cm_pipeline_env_t *env, cm_store_t *store,
                    const cm_index_refresh_options_t *options, int64_t every_ms)
{
    *self = (cm_upkeep_t){
        .env = *env, .store = store, .options = *options, .every_ms = every_ms, .most = FIRST_MOST};
}

/* ---- the thread ---- */

static void *mill(void *context)
{
    cm_upkeep_t *self = context;
    const int64_t started = cm_pipeline_ticks_ns(&self->env);

    cm_process_lower_priority(CM_LOWER_PRIORITY); /* the threads that it starts inherit that */
    self->rc = cm_index_refresh_mill(self->refreshing, &self->err);
    self->milled_seconds = seconds_since(self, started);
    atomic_store(&self->ended, true);
    return NULL;
}

/* Damaged answers must not stop the collector: they are computed again from all events, once.
 * Damaged events would fail again. */
static bool repair(cm_upkeep_t *self, int rc, const cm_err_t *err)
{
    if (rc != CM_ECORRUPT || self->options.rebuild)
        return false;
    cm_log(self->env.log, CM_LOG_WARN, "the answers are computed again from all events",
           "reason=\"%s\"", err->text);
    self->options.rebuild = true;
    return true;
}

/* `whole`: all new events are covered; else as many as can be written without making clients
 * wait. */
static int begin(cm_upkeep_t *self, bool whole, cm_err_t *err)
{
    const int64_t started = cm_pipeline_ticks_ns(&self->env);

    self->clicked = false;
    self->options.most = whole ? 0 : self->most;
    int rc = cm_index_refresh_begin(self->store, &self->options, &self->refreshing, err);
    if (repair(self, rc, err))
        rc = cm_index_refresh_begin(self->store, &self->options, &self->refreshing, err);
    if (rc < 0)
        return rc;
    self->begun_seconds = seconds_since(self, started);
    atomic_store(&self->ended, false);
    if (pthread_create(&self->thread, NULL, mill, self) == 0)
        return 0;
    cm_index_refresh_free(self->refreshing);
    self->refreshing = NULL;
    return cm_fail_thread(err);
}

/* Adapts `most`, where as many events as it allows were covered. */
static void learn(cm_upkeep_t *self, double seconds)
{
    const double right = (double)self->most * WRITING_SECONDS / (seconds > 0 ? seconds : 1e-9);
    const double most = 2.0 * (double)self->most;

    if (self->more)
        self->most = (int64_t)(right < LEAST_MOST ? LEAST_MOST : right < most ? right : most);
}

static int write_answers(cm_upkeep_t *self, cm_err_t *err)
{
    pthread_join(self->thread, NULL);
    const int64_t started = cm_pipeline_ticks_ns(&self->env);
    int rc = self->rc;
    self->more = cm_index_refresh_leaves(self->refreshing);
    if (rc < 0)
        *err = self->err;
    else
        rc = cm_index_refresh_end(self->refreshing, &self->answers, err);
    if (rc == 0)
        self->options.rebuild = false;
    if (self->rc == 0 && repair(self, rc, err)) {
        self->more = true;
        rc = 0;
    }
    if (rc == 0)
        learn(self, seconds_since(self, started));
    cm_index_refresh_free(self->refreshing);
    self->refreshing = NULL;
    if (rc == 0 && self->answers.changed)
        self->seconds = self->begun_seconds + self->milled_seconds + seconds_since(self, started);
    return rc;
}

static void wake_mirror(const cm_upkeep_t *self)
{
    if (self->mirror != NULL)
        cm_index_mirror_wake(self->mirror);
}

static int end(cm_upkeep_t *self, cm_err_t *err)
{
    int rc = write_answers(self, err);

    self->refreshed_ns = cm_pipeline_ticks_ns(&self->env);
    if (rc == 0)
        wake_mirror(self);
    return rc;
}

/* ---- without a thread ---- */

static int refresh_here(cm_upkeep_t *self, cm_err_t *err)
{
    self->refreshed_ns = cm_pipeline_ticks_ns(&self->env);
    int rc = cm_index_refresh(self->store, &self->options, &self->answers, err);
    if (rc < 0)
        return rc;
    self->options.rebuild = false;
    if (self->answers.changed)
        self->seconds = seconds_since(self, self->refreshed_ns);
    wake_mirror(self);
    return 0;
}

/* ---- what is due ---- */

bool cm_upkeep_due(const cm_upkeep_t *self, int64_t now_ns)
{
    const bool soon = self->clicked && self->every_ms > SOON_MS;

    if (self->refreshing != NULL)
        return atomic_load(&self->ended);
    return self->more ||
           now_ns - self->refreshed_ns >= (soon ? SOON_MS : self->every_ms) * INT64_C(1000000);
}

static int refresh(cm_upkeep_t *self, cm_err_t *err)
{
    if (self->refreshing != NULL)
        return end(self, err);
    int rc = self->mirror != NULL ? cm_index_mirror_collect(self->mirror, err) : 0;
    if (rc < 0)
        return rc;
    return self->beside ? begin(self, false, err) : refresh_here(self, err);
}

int cm_upkeep_step(cm_upkeep_t *self, cm_err_t *err)
{
    int rc = refresh(self, err);

    if (rc < 0) /* not at once again */
        self->refreshed_ns = cm_pipeline_ticks_ns(&self->env);
    return rc;
}

int cm_upkeep_whole(cm_upkeep_t *self, cm_err_t *err)
{
    if (!self->beside)
        return refresh_here(self, err);
    int rc = self->refreshing != NULL ? end(self, err) : 0;
    if (rc == 0)
        rc = begin(self, true, err);
    return rc == 0 ? end(self, err) : rc;
}

void cm_upkeep_close(cm_upkeep_t *self)
{
    if (self->refreshing == NULL)
        return;
    pthread_join(self->thread, NULL);
    cm_index_refresh_free(self->refreshing);
    self->refreshing = NULL;
}

/* ---- once ---- */

/* A progress callback whose context is a cm_progress_t. */
static void show_share(void *context, double share)
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
    shown.progress = show_share;
    shown.progress_context = &progress;
    int rc = other != NULL ? cm_index_refresh_from(other, store, &shown, done, err)
                           : cm_index_refresh(store, &shown, done, err);
    *seconds = (double)(cm_pipeline_ticks_ns(env) - started) / 1e9;
    cm_progress_end(&progress);
    return rc;
}
