#include "store/embedded/spool.h"

#include "store/embedded/store.h"
#include "store/event_at.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CHUNK = 8192,     /* at most this many events are forwarded together */
    FORWARD_MS = 100, /* time that a commit spends on forwarding */
    RETRY_MS = 1000,  /* time between attempts to reach a server */
    WAIT_STEP_MS = 20,
};

/* The name of the position in the store's table of sources: events before it are forwarded. */
static const char forwarded[] = "spool";

struct cm_spool {
    cm_sink_t sink; /* first */
    cm_spool_options_t options;
    char *data_dir;
    cm_store_t *store; /* NULL: it could not be opened again after it was emptied */
    cm_waiter_t waiter;
    bool no_wait;           /* the waiter must not wait */
    bool given_up;          /* the waiter has ended a wait */
    cm_sink_t *remote;      /* NULL: not open */
    cm_batch_t pending;     /* events that were put to the remote and are not acknowledged */
    bool keeping;           /* events go to the store */
    int64_t position;       /* ordinal of the first event in the store that is not forwarded */
    int64_t unacknowledged; /* events from `position` on that the remote has taken so far */
    uint64_t found;         /* events that were in the store when it was opened */
    uint64_t sent;          /* events that the remote has acknowledged since then */
    bool (*go_on)(void *context); /* of a drain; NULL: there is none */
    void *go_on_context;
    size_t chunk;        /* events to forward together: fewer after a refusal */
    bool torn;           /* for some events it is not known whether the server has taken them */
    atomic_bool running; /* the sink is open and in use: an error of the remote may be temporary */
    int64_t tried_ns;
    char reason[300];
    /* The thread that opens the remote. */
    pthread_t thread;
    bool started;
    atomic_bool stop, opened; /* opened: the thread has ended, and these are its results: */
    cm_sink_t *opened_sink;
    int opened_rc;
    cm_err_t opened_err;
    pthread_mutex_t lock; /* guards: */
    char last_error[300]; /* message of the last attempt */
};

/* ---- the server ---- */

/* The waiter of the server's sink. */
static int wait_for_remote(void *context, uint64_t retries, const char *reason)
{
    cm_spool_t *spool = context;
    (void)retries;

    if (reason != NULL)
        snprintf(spool->reason, sizeof spool->reason, "%s", reason);
    spool->given_up = (spool->go_on != NULL && !spool->go_on(spool->go_on_context)) ||
                      reason != NULL || spool->no_wait;
    return spool->given_up ? CM_EAWAY : 0;
}

static void *open_remote(void *context)
{
    cm_spool_t *spool = context;
    cm_err_t *err = &spool->opened_err;
    int rc;

    while ((rc = spool->options.open(spool->options.context, &spool->waiter, &spool->opened_sink,
                                     err)) < 0 &&
           (rc == CM_EAWAY || atomic_load(&spool->running)) && !atomic_load(&spool->stop)) {
        pthread_mutex_lock(&spool->lock);
        snprintf(spool->last_error, sizeof spool->last_error, "%s", err->text);
        pthread_mutex_unlock(&spool->lock);
        for (int ms = 0; ms < RETRY_MS && !atomic_load(&spool->stop); ms += WAIT_STEP_MS)
            cm_sleep_ms(WAIT_STEP_MS);
    }
    spool->opened_rc = rc;
    atomic_store(&spool->opened, true);
    return NULL;
}

static int start_opening(cm_spool_t *spool, cm_err_t *err)
{
    atomic_store(&spool->opened, false);
    spool->opened_sink = NULL;
    if (pthread_create(&spool->thread, NULL, open_remote, spool) != 0)
        return cm_fail_thread(err);
    spool->started = true;
    return 0;
}

/* Takes the remote that the thread has opened. CM_EAWAY while the thread is still trying. */
static int take_remote(cm_spool_t *spool, cm_err_t *err)
{
    if (!atomic_load(&spool->opened)) {
        pthread_mutex_lock(&spool->lock);
        snprintf(spool->reason, sizeof spool->reason, "%s", spool->last_error);
        pthread_mutex_unlock(&spool->lock);
        return CM_EAWAY;
    }
    if (spool->started)
        pthread_join(spool->thread, NULL);
    spool->started = false;
    if (spool->opened_rc < 0) {
        *err = spool->opened_err;
        return spool->opened_rc;
    }
    spool->remote = spool->opened_sink;
    spool->opened_sink = NULL;
    spool->torn = false;
    return 0;
}

/* Closes a sink that cannot be used any more: a new one sends its unacknowledged events again. */
static int give_up_remote(cm_spool_t *spool, const cm_err_t *why, cm_err_t *err)
{
    snprintf(spool->reason, sizeof spool->reason, "%s", why->text);
    cm_sink_close(spool->remote);
    spool->remote = NULL;
    spool->unacknowledged = 0;
    return start_opening(spool, err);
}

/* ---- storing ---- */

static int check_room(const cm_spool_t *spool, cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(spool->store);
    int64_t bytes;

    /* The size of the file tells less: the latest writes are in the log. */
    int rc = cm_database_int(
        database, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", 0,
        &bytes, err);
    if (rc < 0 || bytes < spool->options.max_bytes)
        return rc;
    return cm_fail(
        err, CM_EIO,
        "the spool in %s is full (%lld MB are kept); it empties when the server is back, "
        "collect.spool says how large it may be",
        spool->data_dir, (long long)(bytes >> 20));
}

static int keep(cm_spool_t *spool, const cm_batch_t *batch, cm_err_t *err)
{
    int rc = 0;

    if (spool->store == NULL)
        rc = cm_store_embedded_open(spool->data_dir, spool->options.clock, &spool->store, err);
    if (rc == 0)
        rc = check_room(spool, err);
    return rc < 0 ? rc : cm_sink_put(&spool->store->sink, batch, err);
}

/* The server does not answer. Its unacknowledged events are stored, although it may have them. */
static int begin_keeping(cm_spool_t *spool, const cm_err_t *why, cm_err_t *err)
{
    const int64_t count = (int64_t)spool->pending.count;

    if (spool->reason[0] == '\0')
        snprintf(spool->reason, sizeof spool->reason, "%s", why->text);
    int rc = keep(spool, &spool->pending, err);
    if (rc == 0)
        rc = cm_sink_commit(&spool->store->sink, err);
    /* If storing fails, the senders are told, and send them again. */
    cm_batch_clear(&spool->pending);
    if (rc < 0)
        return rc;
    spool->keeping = true;
    spool->unacknowledged = count;
    spool->tried_ns = cm_clock_ticks_ns();
    return why->code == CM_EAWAY && !spool->torn ? 0 : give_up_remote(spool, why, err);
}

/* ---- forwarding ---- */

static int advance(cm_spool_t *spool, int64_t count, cm_err_t *err)
{
    cm_batch_t mark = CM_BATCH_INIT;

    assert(count >= 0 && count <= spool->unacknowledged);
    cm_batch_mark(&mark, cm_str(forwarded), spool->position + count);
    int rc = cm_sink_put(&spool->store->sink, &mark, err);
    if (rc == 0)
        rc = cm_sink_commit(&spool->store->sink, err);
    cm_batch_free(&mark);
    if (rc < 0 && rc != CM_EIO && rc != CM_EBUSY)
        return rc;
    /* The server has these events, even if there is no space to record it. */
    spool->position += count;
    spool->sent += (uint64_t)count;
    spool->unacknowledged = 0;
    return 0;
}

/* Fills the batch with the block's events from the position on. */
static int take_rows(const cm_spool_t *spool, cm_reader_t *reader, const cm_columns_t *columns,
                     cm_batch_t *batch, cm_err_t *err)
{
    assert(spool->position >= columns->first);
    uint32_t row = (uint32_t)(spool->position - columns->first);
    cm_store_room_t room;
    int rc = 0;

    for (; rc == 0 && row < columns->count && batch->count < spool->chunk; row++) {
        cm_event_t *event = cm_batch_slot(batch);
        rc = cm_store_event_at(reader, columns, row, event, &room, err);
        event->row_key = cm_arena_copy(&batch->arena, event->row_key);
        event->extra = cm_event_extra_keep(event->extra, &batch->arena);
        cm_batch_accept(batch);
    }
    return rc;
}

/* Puts the next events, all of one block: their strings live as long as its columns. */
static int put_chunk(cm_spool_t *spool, cm_reader_t *reader, cm_err_t *err)
{
    const cm_block_ref_t *block;
    cm_columns_t columns = {0};
    cm_batch_t batch = CM_BATCH_INIT;
    size_t count;

    int rc = cm_reader_blocks(reader, &block, &count, err);
    if (rc < 0)
        return rc;
    /* There are events from the position on, so such a block exists. */
    assert(count > 0 && cm_block_end(&block[count - 1]) > spool->position);
    while (cm_block_end(block) <= spool->position)
        block++;
    rc = cm_reader_read(reader, block, CM_READ_ALL, &columns, err);
    if (rc == 0)
        rc = take_rows(spool, reader, &columns, &batch, err);
    if (rc == 0) {
        rc = cm_sink_put(spool->remote, &batch, err);
        spool->torn = rc < 0;
        spool->unacknowledged = (int64_t)batch.count;
    }
    cm_batch_free(&batch);
    cm_columns_free(&columns);
    return rc;
}

/* Removes the database and its log, which may remain when another process reads it. */
static void unlink_all(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    cm_buf_t name = CM_BUF_INIT;

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        cm_buf_clear(&name);
        cm_buf_printf(&name, "%s%s", path, endings[i]);
        unlink(name.data);
    }
    cm_buf_free(&name);
}

/* All events are forwarded: the store is emptied, so that it does not grow without end. */
static int empty(cm_spool_t *spool, cm_err_t *err)
{
    char *path = cm_strdup(cm_store_embedded_database(spool->store)->path);

    cm_sink_close(&spool->store->sink);
    spool->store = NULL;
    unlink_all(path);
    free(path);
    int rc = cm_store_embedded_open(spool->data_dir, spool->options.clock, &spool->store, err);
    spool->position = spool->unacknowledged = 0;
    spool->keeping = false;
    spool->reason[0] = '\0';
    return rc;
}

/* Waits until the server has acknowledged the events in hand; with `check_only` it does not wait.
 */
static int settle(cm_spool_t *spool, bool check_only, cm_err_t *err)
{
    spool->no_wait = check_only;
    int rc = cm_sink_commit(spool->remote, err);
    spool->no_wait = false;
    return rc < 0 ? rc : advance(spool, spool->unacknowledged, err);
}

static int forward_chunk(cm_spool_t *spool, cm_err_t *err)
{
    cm_reader_t *reader = NULL;

    int rc = cm_store_reader(spool->store, &reader, err);
    if (rc == 0)
        rc = put_chunk(spool, reader, err);
    cm_reader_close(reader);
    if (rc == 0)
        rc = settle(spool, false, err);
    if (rc == 0 && spool->chunk < CHUNK)
        spool->chunk *= 2;
    return rc;
}

/* The server has refused some of the events, and it is not known which. The others have arrived,
 * and are sent once more. So the next request has one event, and each request that succeeds doubles
 * the number. In the end a refused event is alone, and only that one is tried again and again. */
static int refused(cm_spool_t *spool, const cm_err_t *why, cm_err_t *err)
{
    spool->chunk = 1;
    return give_up_remote(spool, why, err);
}

/* Forwards for a limited time. A server that does not answer is not an error: new events are
 * stored. */
static int forward(cm_spool_t *spool, cm_err_t *err)
{
    int64_t started = cm_clock_ticks_ns();
    cm_err_t why;
    int rc = 0;

    if (spool->reason[0] != '\0' && started - spool->tried_ns < RETRY_MS * INT64_C(1000000))
        return 0;
    spool->tried_ns = started;
    spool->given_up = false;
    if (spool->remote == NULL && (rc = take_remote(spool, err)) < 0)
        return rc == CM_EAWAY ? 0 : rc;
    if (spool->unacknowledged > 0)
        rc = settle(spool, true, &why);
    while (rc == 0 && spool->position < cm_store_embedded_events(spool->store) &&
           cm_clock_ticks_ns() - started < FORWARD_MS * INT64_C(1000000))
        rc = forward_chunk(spool, &why);
    if (rc == CM_EDISK) {
        *err = why;
        return rc;
    }
    if (rc == CM_EAWAY && !spool->given_up) /* it answers, but reports an error of its own */
        snprintf(spool->reason, sizeof spool->reason, "%s", why.text);
    if (rc < 0)
        return rc != CM_EAWAY ? refused(spool, &why, err)
               : spool->torn  ? give_up_remote(spool, &why, err)
                              : 0;
    spool->reason[0] = '\0';
    return spool->position < cm_store_embedded_events(spool->store) ? 0 : empty(spool, err);
}

/* ---- the sink ---- */

/* Stored events are durable even if forwarding fails, so an error of forwarding is only reported.
 * An error of the disk is returned, because the next events would fail too. */
static int forward_some(cm_spool_t *spool, cm_err_t *err)
{
    cm_err_t why;

    int rc = forward(spool, &why);
    if (rc == 0)
        return 0;
    snprintf(spool->reason, sizeof spool->reason, "%s", why.text);
    if (rc == CM_EDISK) {
        *err = why;
        return rc;
    }
    if (spool->remote == NULL && !spool->started)
        start_opening(spool, &why);
    return 0;
}

static int spool_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    cm_spool_t *spool = (cm_spool_t *)sink;
    cm_err_t why;
    int rc;

    if (spool->keeping) {
        rc = keep(spool, batch, err);
        /* The store must become empty although no new events come. */
        return rc < 0 && rc != CM_EDISK && forward_some(spool, err) < 0 ? CM_EDISK : rc;
    }
    cm_batch_copy(&spool->pending, batch);
    rc = cm_sink_put(spool->remote, batch, &why);
    spool->torn = rc < 0;
    return rc < 0 ? begin_keeping(spool, &why, err) : 0;
}

static int spool_commit(cm_sink_t *sink, cm_err_t *err)
{
    cm_spool_t *spool = (cm_spool_t *)sink;
    cm_err_t why;
    int rc = 0;

    if (!spool->keeping && spool->pending.count > 0) {
        rc = cm_sink_commit(spool->remote, &why);
        if (rc < 0)
            return begin_keeping(spool, &why, err);
        spool->sent += spool->pending.count;
        cm_batch_clear(&spool->pending);
    }
    if (!spool->keeping)
        return 0;
    if (spool->store != NULL)
        rc = cm_sink_commit(&spool->store->sink, err);
    return rc < 0 ? rc : forward_some(spool, err);
}

static void spool_close(cm_sink_t *sink)
{
    cm_spool_t *spool = (cm_spool_t *)sink;

    atomic_store(&spool->stop, true);
    if (spool->started)
        pthread_join(spool->thread, NULL);
    cm_sink_close(spool->opened_sink);
    cm_sink_close(spool->remote);
    if (spool->store != NULL)
        cm_sink_close(&spool->store->sink);
    cm_batch_free(&spool->pending);
    pthread_mutex_destroy(&spool->lock);
    free(spool->data_dir);
    free(spool);
}

int cm_spool_open(const cm_spool_options_t *options, cm_spool_t **out, cm_err_t *err)
{
    static const cm_sink_ops_t ops = {spool_put, spool_commit, spool_close, NULL};
    cm_spool_t *spool = cm_alloc_zero(1, sizeof *spool);

    spool->sink.ops = &ops;
    spool->options = *options;
    spool->data_dir = cm_strdup(options->data_dir);
    spool->waiter = (cm_waiter_t){wait_for_remote, spool};
    spool->chunk = CHUNK;
    spool->keeping = true; /* until the server answers and has the stored events */
    pthread_mutex_init(&spool->lock, NULL);
    int rc = cm_store_embedded_open(options->data_dir, options->clock, &spool->store, err);
    if (rc == 0)
        rc = cm_store_position(spool->store, forwarded, &spool->position, err);
    if (rc == 0) {
        spool->found = cm_spool_kept(spool);
        rc = start_opening(spool, err);
    }
    for (int ms = 0; rc == 0 && ms < options->start_ms && !atomic_load(&spool->opened);
         ms += WAIT_STEP_MS)
        cm_sleep_ms(WAIT_STEP_MS);
    atomic_store(&spool->running, true);
    if (rc == 0)
        rc = forward(spool, err); /* if the server refuses at once, a setting is wrong */
    if (rc < 0)
        spool_close(&spool->sink);
    else
        *out = spool;
    return rc;
}

cm_sink_t *cm_spool_sink(cm_spool_t *spool)
{
    return &spool->sink;
}

uint64_t cm_spool_kept(const cm_spool_t *spool)
{
    return spool->keeping ? (uint64_t)(cm_store_embedded_events(spool->store) - spool->position)
                          : 0;
}

cm_spool_counts_t cm_spool_counts(const cm_spool_t *spool)
{
    return (cm_spool_counts_t){spool->found, spool->sent, cm_spool_kept(spool)};
}

int cm_spool_drain(cm_spool_t *spool, bool (*go_on)(void *context), void *context, cm_err_t *err)
{
    int rc = 0;

    spool->go_on = go_on;
    spool->go_on_context = context;
    while (rc == 0 && cm_spool_kept(spool) > 0 && go_on(context)) {
        rc = cm_sink_commit(&spool->sink, err);
        if (spool->remote == NULL || spool->reason[0] != '\0')
            cm_sleep_ms(WAIT_STEP_MS);
    }
    spool->go_on = NULL;
    return rc;
}

const char *cm_spool_reason(const cm_spool_t *spool)
{
    return spool->keeping ? spool->reason : "";
}
