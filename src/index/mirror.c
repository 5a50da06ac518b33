#include "index/mirror.h"

#include "base/clock.h"
#include "base/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    GIVE_UP_MS =
        5000,       /* wait for a target that does not answer, after the program was told to stop */
    AGAIN_MS = 500, /* before a push after one that failed, then doubled up to: */
    AGAIN_MOST_MS = 30000,
    FAILURES = 5, /* in a row, before a mirror that is not endless ends */
    POLL_MS = 20,
};

struct cm_index_mirror {
    cm_index_mirror_options_t options;
    cm_index_t *target; /* the thread's */
    cm_index_t *source; /* the owner's, for checkpoints */
    cm_batch_t refused; /* the thread's */
    cm_batch_t taken;   /* the owner's: dead letters that the store does not have yet */
    cm_waiter_t waiter;
    pthread_t thread;
    atomic_bool leave; /* ends the thread and its requests */
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool wanted, working, rebuild, collectable;
    int failures; /* pushes in a row that failed and are repeated */
    int rc;       /* of the push that ended the thread */
    cm_err_t err;
    cm_index_checkpoint_t checkpoint; /* of the last push that succeeded */
    cm_batch_t letters;
    cm_index_applied_t applied;
    double share;
    uint64_t rows;            /* of the push at work */
    char reason[CM_ERR_TEXT]; /* why the target is waited for; empty: it is not */
};

/* ---- the thread ---- */

static int wait_for_target(void *context, uint64_t retries, const char *reason)
{
    cm_index_mirror_t *self = context;

    (void)retries;
    pthread_mutex_lock(&self->lock);
    snprintf(self->reason, sizeof self->reason, "%s", reason != NULL ? reason : "");
    pthread_mutex_unlock(&self->lock);
    return atomic_load(&self->leave) ? CM_EAWAY : 0;
}

static void note_progress(void *context, double share, uint64_t rows)
{
    cm_index_mirror_t *self = context;

    pthread_mutex_lock(&self->lock);
    self->share = share;
    self->rows = rows;
    self->reason[0] = '\0';
    pthread_mutex_unlock(&self->lock);
}

/* Whether a further push may succeed where this one failed. */
static bool passes(const cm_index_mirror_t *self, int rc)
{
    return !atomic_load(&self->leave) && (rc == CM_EAWAY || rc == CM_EINPUT || rc == CM_EBUSY) &&
           (self->options.endless || self->failures < FAILURES);
}

static int push_unlocked(cm_index_mirror_t *self, bool rebuild, cm_index_checkpoint_t *checkpoint,
                         cm_index_applied_t *applied, cm_err_t *err)
{
    const cm_index_apply_t options = {.rebuild = rebuild,
                                      .waiter = &self->waiter,
                                      .progress = note_progress,
                                      .context = self,
                                      .refused = &self->refused};
    cm_index_t *source;

    int rc = cm_index_open(&self->options.source, &source, err);
    if (rc < 0)
        return rc;
    rc = cm_index_apply(self->target, source, &options, checkpoint, applied, err);
    cm_index_close(source);
    return rc;
}

/* One push, with the lock held before and after, but not meanwhile. */
static void push(cm_index_mirror_t *self)
{
    cm_index_checkpoint_t checkpoint = self->checkpoint;
    cm_index_applied_t applied = self->applied;
    bool rebuild = self->rebuild;
    cm_err_t err = {0};

    self->wanted = false;
    self->working = true;
    self->share = 0;
    pthread_mutex_unlock(&self->lock);
    int rc = push_unlocked(self, rebuild, &checkpoint, &applied, &err);
    pthread_mutex_lock(&self->lock);
    self->working = false;
    self->reason[0] = '\0';
    self->applied = applied;
    self->collectable = true;
    cm_batch_copy(&self->letters, &self->refused);
    cm_batch_clear(&self->refused);
    if (rc == 0) {
        self->checkpoint = checkpoint;
        self->rebuild = false;
        self->failures = 0;
    } else if (passes(self, rc)) {
        self->failures++;
        self->wanted = true;
        snprintf(self->reason, sizeof self->reason, "%s", err.text);
    } else {
        self->rc = rc;
        self->err = err;
    }
}

/* With the lock held before and after: waits a while before the next push, when the last failed. */
static void rest(cm_index_mirror_t *self)
{
    int64_t wait = AGAIN_MS;
    struct timespec until;

    for (int i = 1; i < self->failures && wait < AGAIN_MOST_MS; i++)
        wait *= 2;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait / 1000;
    until.tv_nsec += wait % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!atomic_load(&self->leave) &&
           pthread_cond_timedwait(&self->woken, &self->lock, &until) == 0)
        ;
}

static void *work(void *context)
{
    cm_index_mirror_t *self = context;

    pthread_mutex_lock(&self->lock);
    while (!atomic_load(&self->leave) && self->rc == 0) {
        if (self->failures > 0)
            rest(self);
        if (self->wanted && !atomic_load(&self->leave))
            push(self);
        else if (!atomic_load(&self->leave))
            pthread_cond_wait(&self->woken, &self->lock);
    }
    if (self->rc == 0 && self->wanted) /* so that finish() does not wait */
        self->rc = cm_fail(&self->err, CM_ESTOP, "stopped");
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* ---- the owner's side ---- */

static int start(cm_index_mirror_t *self, cm_err_t *err)
{
    cm_index_settings_t target = self->options.target;

    target.stop = &self->leave;
    int rc = cm_index_open_writer(&self->options.source, self->options.store, &self->source, err);
    if (rc == 0)
        rc = cm_index_open_writer(&target, NULL, &self->target, err);
    if (rc == 0)
        rc = cm_index_checkpoint(self->source, self->target->name, &self->checkpoint, err);
    if (rc == 0 && pthread_create(&self->thread, NULL, work, self) != 0)
        rc = cm_fail_thread(err);
    return rc;
}

static void free_all(cm_index_mirror_t *self)
{
    cm_index_close(self->target);
    cm_index_close(self->source);
    pthread_cond_destroy(&self->woken);
    pthread_mutex_destroy(&self->lock);
    cm_batch_free(&self->refused);
    cm_batch_free(&self->letters);
    cm_batch_free(&self->taken);
    free(self);
}

int cm_index_mirror_start(const cm_index_mirror_options_t *options, cm_index_mirror_t **mirror,
                          cm_err_t *err)
{
    cm_index_mirror_t *self = cm_alloc_zero(1, sizeof *self);

    self->options = *options;
    self->waiter = (cm_waiter_t){wait_for_target, self};
    self->rebuild = options->rebuild;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->woken, NULL);
    int rc = start(self, err);
    if (rc < 0)
        free_all(self);
    else
        *mirror = self;
    return rc;
}

void cm_index_mirror_wake(cm_index_mirror_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->wanted = true;
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
}

/* Whether all that cm_index_mirror_wake() was called for has been pushed and collected, or the
 * mirror has failed. */
static bool is_idle(cm_index_mirror_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool idle = self->rc != 0 || (!self->wanted && !self->working && !self->collectable);
    pthread_mutex_unlock(&self->lock);
    return idle;
}

/* Takes what the thread has left for the store. */
static bool take_results(cm_index_mirror_t *self, cm_index_checkpoint_t *checkpoint)
{
    pthread_mutex_lock(&self->lock);
    bool some = self->collectable;
    self->collectable = false;
    *checkpoint = self->checkpoint;
    cm_batch_copy(&self->taken, &self->letters);
    cm_batch_clear(&self->letters);
    pthread_mutex_unlock(&self->lock);
    return some;
}

/* The letters come first: a row that was refused is not sent again after the checkpoint. */
static int write_results(cm_index_mirror_t *self, const cm_index_checkpoint_t *checkpoint,
                         cm_err_t *err)
{
    cm_sink_t *sink = &self->options.store->sink;
    const char *name = self->target->name;
    cm_index_checkpoint_t before;

    int rc = cm_index_checkpoint(self->source, name, &before, err);
    const bool moved =
        checkpoint->watermark != before.watermark || strcmp(checkpoint->epoch, before.epoch) != 0;
    if (rc == 0 && self->taken.dead_count > 0) {
        rc = cm_sink_put(sink, &self->taken, err);
        if (rc == 0)
            rc = cm_sink_commit(sink, err);
        if (rc == 0)
            cm_batch_clear(&self->taken);
    }
    return rc == 0 && moved ? cm_index_set_checkpoint(self->source, name, checkpoint, err) : rc;
}

int cm_index_mirror_collect(cm_index_mirror_t *self, cm_err_t *err)
{
    cm_index_checkpoint_t checkpoint;
    int rc = 0;

    if (take_results(self, &checkpoint))
        rc = write_results(self, &checkpoint, err);
    pthread_mutex_lock(&self->lock);
    if (rc < 0) {
        self->collectable = true;
    } else if (self->rc < 0) {
        rc = self->rc;
        *err = self->err;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static void show(cm_index_mirror_t *self, cm_progress_t *progress)
{
    pthread_mutex_lock(&self->lock);
    double share = self->share;
    uint64_t rows = self->rows;
    pthread_mutex_unlock(&self->lock);
    cm_progress_show(progress, share, rows);
}

/* Why the target is being waited for, into `reason` of `size` bytes; false when it is not. */
static bool get_trouble(const cm_index_mirror_t *mirror, char *reason, size_t size)
{
    cm_index_mirror_t *self = (cm_index_mirror_t *)mirror;

    pthread_mutex_lock(&self->lock);
    snprintf(reason, size, "%s", self->reason);
    pthread_mutex_unlock(&self->lock);
    return reason[0] != '\0';
}

/* Prints once that the target does not answer, and again when the reason changes. */
static void tell_trouble(cm_index_mirror_t *self, char *told, size_t size)
{
    char reason[CM_ERR_TEXT];

    if (get_trouble(self, reason, sizeof reason) && strcmp(reason, told) != 0) {
        fprintf(self->options.messages, "waiting for %s: %s\n", self->target->engine, reason);
        snprintf(told, size, "%s", reason);
    }
}

static void leave(cm_index_mirror_t *self)
{
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->leave, true);
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
}

int cm_index_mirror_finish(cm_index_mirror_t *self, bool bar, cm_err_t *err)
{
    const cm_index_mirror_options_t *options = &self->options;
    char told[CM_ERR_TEXT] = "";
    cm_progress_t progress;
    int64_t stop_ns = 0;
    int rc = 0;

    cm_progress_start(&progress, bar && options->terminal ? options->messages : NULL,
                      options->terminal, "indexing", "documents");
    while (rc == 0 && !is_idle(self)) {
        show(self, &progress);
        if (bar)
            tell_trouble(self, told, sizeof told);
        cm_sleep_ms(POLL_MS);
        rc = cm_index_mirror_collect(self, err);
        int64_t now = cm_clock_ticks_ns();
        if (atomic_load(options->stop) && stop_ns == 0)
            stop_ns = now;
        if (stop_ns != 0 && now - stop_ns > GIVE_UP_MS * INT64_C(1000000))
            leave(self);
    }
    cm_progress_end(&progress);
    if (rc == 0)
        rc = cm_index_mirror_collect(self, err);
    if (rc == CM_ESTOP)
        fprintf(options->messages, "stopped; what %s lacks is sent next time\n",
                self->target->engine);
    return rc;
}

cm_index_applied_t cm_index_mirror_applied(const cm_index_mirror_t *mirror)
{
    cm_index_mirror_t *self = (cm_index_mirror_t *)mirror;

    pthread_mutex_lock(&self->lock);
    cm_index_applied_t applied = self->applied;
    pthread_mutex_unlock(&self->lock);
    return applied;
}

void cm_index_mirror_add_status(const cm_index_mirror_t *self, cm_buf_t *line)
{
    const cm_index_applied_t applied = cm_index_mirror_applied(self);
    char reason[CM_ERR_TEXT];

    cm_buf_add_text(line, ", ");
    cm_buf_add_grouped(line, (int64_t)applied.sent);
    cm_buf_add_text(line, " documents sent");
    if (applied.refused > 0)
        cm_buf_printf(line, ", %llu refused", (unsigned long long)applied.refused);
    if (get_trouble(self, reason, sizeof reason))
        cm_buf_printf(line, "; waiting for %s: %s", self->target->engine, reason);
}

const char *cm_index_mirror_engine(const cm_index_mirror_t *mirror)
{
    return mirror->target->engine;
}

const char *cm_index_mirror_place(const cm_index_mirror_t *mirror)
{
    return cm_index_place(&mirror->options.target);
}

void cm_index_mirror_stop(cm_index_mirror_t *self)
{
    if (self == NULL)
        return;
    leave(self);
    pthread_join(self->thread, NULL);
    free_all(self);
}
