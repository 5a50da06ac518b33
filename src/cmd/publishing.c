#include "cmd/publishing.h"

#include "base/progress.h"
#include "store/embedded/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    GIVE_UP_MS = 5000, /* a server that is away keeps us no longer when we shall stop */
    AGAIN_MS = 500,    /* before another push after one that failed, then doubled up to: */
    AGAIN_MOST_MS = 30000,
    FAILURES = 5, /* in a row, of one that is not patient */
    LOOK_MS = 20,
};

struct cm_publishing {
    cm_app_t *app;
    cm_elastic_settings_t settings;
    cm_waiter_t waiter;
    cm_index_mirror_t *publisher;
    cm_buf_t name;
    pthread_t thread;
    atomic_bool leave; /* also what the client's requests look at */
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool wanted, working, rebuild, patient, collectable;
    int failures; /* pushes in a row that failed and are tried again */
    int rc;       /* of the push that ended the thread */
    cm_err_t err;
    cm_index_checkpoint_t published; /* by the last push that succeeded */
    cm_batch_t letters;
    cm_index_mirrored_t pushed;
    double share;
    uint64_t documents;       /* of the push at work */
    char reason[CM_ERR_TEXT]; /* why the server is waited for; empty: it is not */
};

/* ---- the thread ---- */

static int wait_for_server(void *context, uint64_t retries, const char *reason)
{
    cm_publishing_t *self = context;

    (void)retries;
    pthread_mutex_lock(&self->lock);
    snprintf(self->reason, sizeof self->reason, "%s", reason != NULL ? reason : "");
    pthread_mutex_unlock(&self->lock);
    return atomic_load(&self->leave) ? CM_EAWAY : 0;
}

static void note_progress(void *context, double share, uint64_t documents)
{
    cm_publishing_t *self = context;

    pthread_mutex_lock(&self->lock);
    self->share = share;
    self->documents = documents;
    self->reason[0] = '\0';
    pthread_mutex_unlock(&self->lock);
}

/* Whether another push may put right what this one could not. */
static bool passes(const cm_publishing_t *self, int rc)
{
    return !atomic_load(&self->leave) && (rc == CM_EAWAY || rc == CM_EINPUT || rc == CM_EBUSY) &&
           (self->patient || self->failures < FAILURES);
}

/* One push, with the lock held before and after, but not meanwhile. */
static void push(cm_publishing_t *self)
{
    cm_index_checkpoint_t published = self->published;
    cm_index_mirrored_t pushed = self->pushed;
    bool rebuild = self->rebuild;
    cm_err_t err = {0};

    self->wanted = false;
    self->working = true;
    self->share = 0;
    pthread_mutex_unlock(&self->lock);
    int rc = cm_index_mirror_push(self->publisher, rebuild, &published, &pushed, &err);
    pthread_mutex_lock(&self->lock);
    self->working = false;
    self->reason[0] = '\0';
    self->pushed = pushed;
    self->collectable = true;
    cm_index_mirror_letters(self->publisher, &self->letters);
    if (rc == 0) {
        self->published = published;
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
static void rest(cm_publishing_t *self)
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
    cm_publishing_t *self = context;

    pthread_mutex_lock(&self->lock);
    while (!atomic_load(&self->leave) && self->rc == 0) {
        if (self->failures > 0)
            rest(self);
        if (self->wanted && !atomic_load(&self->leave))
            push(self);
        else if (!atomic_load(&self->leave))
            pthread_cond_wait(&self->woken, &self->lock);
    }
    if (self->rc == 0 && self->wanted) /* nobody shall wait for it */
        self->rc = cm_fail(&self->err, CM_ESTOP, "stopped");
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* ---- the owner's side ---- */

static int start(cm_publishing_t *self, cm_store_t *store, cm_err_t *err)
{
    const cm_index_mirror_options_t options = {.data_dir = self->app->global.data_dir,
                                               .settings = &self->settings,
                                               .waiter = &self->waiter,
                                               .progress = note_progress,
                                               .context = self};
    const cm_database_t *database = cm_store_embedded_database(store);

    int rc = cm_index_changes_prepare(database, err);
    if (rc == 0)
        rc = cm_index_changes_checkpoint(database, self->name.data, &self->published, err);
    if (rc == 0)
        rc = cm_index_mirror_open(&options, &self->publisher, err);
    if (rc < 0)
        return rc;
    if (pthread_create(&self->thread, NULL, work, self) == 0)
        return 0;
    cm_index_mirror_close(self->publisher);
    return cm_fail_thread(err);
}

static void free_all(cm_publishing_t *self)
{
    pthread_cond_destroy(&self->woken);
    pthread_mutex_destroy(&self->lock);
    cm_batch_free(&self->letters);
    cm_buf_free(&self->name);
    free(self);
}

int cm_publishing_start(cm_app_t *app, const cm_elastic_options_t *given, cm_store_t *store,
                        bool rebuild, bool patient, cm_publishing_t **publishing, cm_err_t *err)
{
    cm_publishing_t *self = cm_alloc_zero(1, sizeof *self);

    self->app = app;
    self->settings = cm_elastic_settings_of(given, app->values, &app->log, app->stop);
    self->settings.stop = &self->leave;
    self->waiter = (cm_waiter_t){wait_for_server, self};
    self->rebuild = rebuild;
    self->patient = patient;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->woken, NULL);
    cm_index_mirror_name(&self->settings, &self->name);
    int rc = start(self, store, err);
    if (rc < 0)
        free_all(self);
    else
        *publishing = self;
    return rc;
}

void cm_publishing_wake(cm_publishing_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->wanted = true;
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
}

bool cm_publishing_idle(const cm_publishing_t *publishing)
{
    cm_publishing_t *self = (cm_publishing_t *)publishing;

    pthread_mutex_lock(&self->lock);
    bool idle = self->rc != 0 || (!self->wanted && !self->working && !self->collectable);
    pthread_mutex_unlock(&self->lock);
    return idle;
}

/* Takes what the thread has left for the store. */
static bool take_results(cm_publishing_t *self, cm_index_checkpoint_t *published,
                         cm_batch_t *letters)
{
    pthread_mutex_lock(&self->lock);
    bool some = self->collectable;
    self->collectable = false;
    *published = self->published;
    *letters = self->letters;
    self->letters = CM_BATCH_INIT;
    pthread_mutex_unlock(&self->lock);
    return some;
}

int cm_publishing_collect(cm_publishing_t *self, cm_store_t *store, cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(store);
    cm_index_checkpoint_t published, before;
    cm_batch_t letters;
    int rc = 0;

    if (take_results(self, &published, &letters)) {
        rc = cm_index_changes_checkpoint(database, self->name.data, &before, err);
        bool moved =
            published.watermark != before.watermark || strcmp(published.epoch, before.epoch) != 0;
        if (rc == 0 && letters.dead_count > 0 &&
            (rc = cm_sink_put(&store->sink, &letters, err)) == 0)
            rc = cm_sink_commit(&store->sink, err);
        if (rc == 0 && moved)
            rc = cm_index_changes_set_checkpoint(database, self->name.data, &published, err);
    }
    cm_batch_free(&letters);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&self->lock);
    if (self->rc < 0) {
        rc = self->rc;
        *err = self->err;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static void show(cm_publishing_t *self, cm_progress_t *progress)
{
    pthread_mutex_lock(&self->lock);
    double share = self->share;
    uint64_t documents = self->documents;
    pthread_mutex_unlock(&self->lock);
    cm_progress_show(progress, share, documents);
}

/* Says once, in a line, that the server is away; again when the reason is another. */
static void tell_trouble(cm_publishing_t *self, char *told, size_t size)
{
    char reason[CM_ERR_TEXT];

    if (cm_publishing_trouble(self, reason, sizeof reason) && strcmp(reason, told) != 0) {
        fprintf(self->app->messages, "waiting for Elasticsearch: %s\n", reason);
        snprintf(told, size, "%s", reason);
    }
}

static void leave(cm_publishing_t *self)
{
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->leave, true);
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
}

int cm_publishing_finish(cm_publishing_t *self, cm_store_t *store, bool bar, cm_err_t *err)
{
    cm_app_t *app = self->app;
    char told[CM_ERR_TEXT] = "";
    cm_progress_t progress;
    int64_t stop_ns = 0;
    int rc = 0;

    cm_progress_start(&progress, bar && app->terminal ? app->messages : NULL, app->terminal,
                      "indexing", "documents");
    while (rc == 0 && !cm_publishing_idle(self)) {
        show(self, &progress);
        if (bar)
            tell_trouble(self, told, sizeof told);
        cm_sleep_ms(LOOK_MS);
        rc = cm_publishing_collect(self, store, err);
        int64_t now = cm_clock_ticks_ns();
        if (atomic_load(app->stop) && stop_ns == 0)
            stop_ns = now;
        if (stop_ns != 0 && now - stop_ns > GIVE_UP_MS * INT64_C(1000000))
            leave(self);
    }
    cm_progress_end(&progress);
    if (rc == 0)
        rc = cm_publishing_collect(self, store, err);
    if (rc == CM_ESTOP)
        fprintf(app->messages, "stopped; what Elasticsearch lacks is sent next time\n");
    return rc;
}

cm_index_mirrored_t cm_publishing_done(const cm_publishing_t *publishing)
{
    cm_publishing_t *self = (cm_publishing_t *)publishing;

    pthread_mutex_lock(&self->lock);
    cm_index_mirrored_t pushed = self->pushed;
    pthread_mutex_unlock(&self->lock);
    return pushed;
}

bool cm_publishing_trouble(const cm_publishing_t *publishing, char *reason, size_t size)
{
    cm_publishing_t *self = (cm_publishing_t *)publishing;

    pthread_mutex_lock(&self->lock);
    snprintf(reason, size, "%s", self->reason);
    pthread_mutex_unlock(&self->lock);
    return reason[0] != '\0';
}

void cm_publishing_add_status(const cm_publishing_t *self, cm_buf_t *line)
{
    const cm_index_mirrored_t pushed = cm_publishing_done(self);
    char reason[CM_ERR_TEXT];

    cm_buf_add_text(line, ", ");
    cm_buf_add_grouped(line, (int64_t)pushed.sent);
    cm_buf_add_text(line, " documents sent");
    if (pushed.refused > 0)
        cm_buf_printf(line, ", %llu refused", (unsigned long long)pushed.refused);
    if (cm_publishing_trouble(self, reason, sizeof reason))
        cm_buf_printf(line, "; waiting for Elasticsearch: %s", reason);
}

void cm_pushed_add_json(cm_buf_t *buf, const cm_index_mirrored_t *pushed)
{
    cm_buf_printf(buf,
                  "\"index\":{\"sent\":%llu,\"removed\":%llu,\"refused\":%llu,\"retries\":%llu,"
                  "\"compared\":%s,\"bytes\":%llu,\"wire_bytes\":%llu}",
                  (unsigned long long)pushed->sent, (unsigned long long)pushed->removed,
                  (unsigned long long)pushed->refused, (unsigned long long)pushed->retries,
                  pushed->compared ? "true" : "false", (unsigned long long)pushed->bytes,
                  (unsigned long long)pushed->wire_bytes);
}

void cm_pushed_print(cm_app_t *app, const cm_index_mirrored_t *pushed, const char *alias)
{
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_printf(&line, "%s: ", alias);
    cm_buf_add_grouped(&line, (int64_t)pushed->sent);
    cm_buf_add_text(&line, " documents sent, ");
    cm_buf_add_grouped(&line, (int64_t)pushed->removed);
    cm_buf_add_text(&line, " removed, ");
    cm_buf_add_grouped(&line, (int64_t)pushed->refused);
    cm_buf_printf(&line, " refused%s",
                  pushed->refused > 0 ? " (`clickmill dead list` says why)" : "");
    if (pushed->compared)
        cm_buf_add_text(&line, "; all documents were compared, because somebody else had written");
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
}

void cm_publishing_print_accounts(cm_app_t *app, const cm_account_t *taken, const char *dead_list,
                                  const cm_index_refreshed_t *answers, double seconds,
                                  const cm_publishing_t *publishing)
{
    cm_index_mirrored_t pushed = {0};
    cm_buf_t json = CM_BUF_INIT;

    if (publishing != NULL)
        pushed = cm_publishing_done(publishing);
    if (!app->global.json) {
        cm_app_print_account_as(app, taken, app->out, dead_list);
        cm_app_print_answers(app, answers, seconds);
        if (publishing != NULL)
            cm_pushed_print(app, &pushed, publishing->settings.index);
        return;
    }
    cm_buf_add_char(&json, '{');
    cm_accounts_add_json(&json, taken);
    cm_buf_add_text(&json, ",\"answers\":");
    cm_accounts_add_answers_json(&json, answers, seconds);
    if (publishing != NULL) {
        cm_buf_add_char(&json, ',');
        cm_pushed_add_json(&json, &pushed);
    }
    fprintf(app->out, "%s}\n", json.data);
    cm_buf_free(&json);
}

void cm_publishing_stop(cm_publishing_t *self)
{
    if (self == NULL)
        return;
    leave(self);
    pthread_join(self->thread, NULL);
    cm_index_mirror_close(self->publisher);
    free_all(self);
}
