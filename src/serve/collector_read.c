/* The collector reads bodies here: short ones at once, on the thread of their connection, long ones
 * in turns on threads that have nothing else to do, while the connections of others are served. */
#include "base/clock.h"
#include "serve/collector_inside.h"

#include <stdlib.h>

enum {
    SHORT = 16 * 1024,  /* bytes that are read at once, unpacked */
    SHORT_PACKED = 512, /* bytes that are unpacked at once, to a thousand times as many */
    ROOM_MS = 10000,    /* that many events wait at most for room to be stored */
    REST_MS = 5,
};

/* ---- readers ---- */

static void free_reader(cm_collector_reader_t *reader)
{
    cm_poster_free(reader->poster);
    cm_batch_free(&reader->batch);
    free(reader);
}

void cm_collector_forget(cm_collector_t *collector)
{
    pthread_mutex_lock(&collector->lock);
    while (collector->kept_count > 0)
        free_reader(collector->kept[--collector->kept_count]);
    pthread_mutex_unlock(&collector->lock);
}

static cm_collector_reader_t *take_reader(cm_collector_t *collector)
{
    cm_collector_reader_t *reader = NULL;

    pthread_mutex_lock(&collector->lock);
    if (collector->kept_count > 0)
        reader = collector->kept[--collector->kept_count];
    pthread_mutex_unlock(&collector->lock);
    if (reader == NULL) {
        reader = cm_alloc_zero(1, sizeof *reader);
        reader->poster = cm_poster_new(collector->options.shared);
    }
    return reader;
}

static void give_reader(cm_collector_t *collector, cm_collector_reader_t *reader)
{
    if (reader->batch.cap > CM_BATCH_EVENTS)
        cm_batch_free(&reader->batch);
    cm_batch_clear(&reader->batch);
    pthread_mutex_lock(&collector->lock);
    if (collector->kept_count < CM_COLLECTOR_KEPT) {
        collector->kept[collector->kept_count++] = reader;
        reader = NULL;
    }
    pthread_mutex_unlock(&collector->lock);
    if (reader != NULL)
        free_reader(reader);
}

void cm_collector_release(cm_collector_t *collector, cm_collector_held_t *held)
{
    cm_posting_free(held->posting);
    held->posting = NULL;
    free(held->posted);
    held->posted = NULL;
    if (held->reader != NULL)
        give_reader(collector, held->reader);
    held->reader = NULL;
    cm_body_free(&held->body);
    if (held->is_coming)
        cm_uploads_end(collector->bodies, &held->coming);
    held->is_coming = false;
}

/* ---- what a sender may send ---- */

static bool takes_host(const void *context, cm_str_t host)
{
    const cm_collector_request_t *request = context;

    return cm_sender_takes_host(&request->collector->rules, &request->sender, host);
}

static void set_sender(cm_collector_request_t *request, cm_str_t origin)
{
    const cm_sites_t *list = request->collector->rules.sites;
    const bool sites = cm_sites_any(list);

    request->held.posted = cm_alloc(sizeof *request->held.posted);
    *request->held.posted = (cm_posted_sender_t){
        .page = request->sender.page,
        .address = cm_str(request->sender.address),
        .agent = cm_str(cm_sender_header(request->connection, "User-Agent")),
        .cookie = cm_str(request->sender.visitor),
        .takes_host = sites && !cm_sites_all(list) ? takes_host : NULL,
        .context = request,
        .origin = sites && request->sender.page ? cm_sites_origin(origin) : CM_STR(""),
    };
}

/* Whether all events may come from the sender. */
static bool takes_all(const cm_collector_request_t *request, const cm_batch_t *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (!cm_sender_takes(&request->collector->rules, &request->sender, batch->events[i].url))
            return false;
    }
    return true;
}

/* Counts what the request has brought. False: before that its address had brought too much. */
static bool charge(cm_collector_request_t *request, uint64_t events, size_t bytes)
{
    cm_rate_t *rate = request->collector->rules.rate;
    const cm_str_t who = cm_sender_limit_key(&request->sender);
    const int64_t now_ns = cm_clock_ticks_ns();

    if (!cm_sender_limited(&request->sender))
        return true;
    request->seconds = bytes > 0 ? cm_rate_owes(rate, who, now_ns) : 0;
    if (request->seconds == 0)
        cm_rate_charge(rate, who, (int64_t)events, (int64_t)bytes, now_ns);
    return request->seconds == 0;
}

/* ---- reading ---- */

/* Few bodies are none, and an error takes much room: so its sentence is kept elsewhere. */
static cm_collector_outcome_t no_body(cm_collector_request_t *request, const cm_err_t *err)
{
    request->why = cm_strdup(err->text);
    return CM_COLLECTOR_OUTCOME_NO_BODY;
}

/* What a result says, once all is read. */
static cm_collector_outcome_t outcome_of(cm_collector_request_t *request, int rc,
                                         const cm_err_t *err)
{
    const cm_posted_result_t *result = &request->result;

    charge(request, result->accepted + result->skipped + result->rejected, 0);
    if (rc == CM_EREJECT)
        return no_body(request, err);
    if (rc < 0)
        return CM_COLLECTOR_OUTCOME_LOST;
    if (!takes_all(request, &request->held.reader->batch))
        return CM_COLLECTOR_OUTCOME_FOREIGN;
    return request->held.reader->batch.count > 0 ? CM_COLLECTOR_OUTCOME_EVENTS
                                                 : CM_COLLECTOR_OUTCOME_NO_EVENTS;
}

/* Unpacks the body, once. False: it is not to be read, and the outcome is there. */
static bool unpack(cm_collector_request_t *request)
{
    cm_body_t *body = &request->held.body;
    cm_err_t err;

    if (request->unpacked)
        return true;
    request->unpacked = true;
    const int rc = cm_body_end(body, request->gzip, CM_EVENT_JSON_PADDING, &err);
    if (body->too_large)
        request->outcome = CM_COLLECTOR_OUTCOME_TOO_LARGE;
    else if (rc < 0)
        request->outcome = no_body(request, &err);
    else if (body->bytes.len > 0 && !charge(request, 0, body->bytes.len))
        request->outcome = CM_COLLECTOR_OUTCOME_OWES;
    else
        return true;
    return false;
}

static void read_at_once(cm_collector_request_t *request)
{
    cm_err_t err;
    const cm_str_t text = {request->held.body.bytes.data, request->held.body.bytes.len};
    cm_collector_reader_t *reader = request->held.reader = take_reader(request->collector);

    const int rc = cm_posted_read(reader->poster, text, request->lines, request->held.posted,
                                  &reader->batch, &request->result, &err);
    request->outcome = outcome_of(request, rc, &err);
}

/* False: it cannot be read. */
static bool begin_turns(cm_collector_request_t *request)
{
    cm_err_t err;
    const cm_str_t text = {request->held.body.bytes.data, request->held.body.bytes.len};
    cm_collector_reader_t *reader = request->held.reader = take_reader(request->collector);

    const int rc = cm_posting_begin(reader->poster, text, request->lines, request->held.posted,
                                    &reader->batch, &request->result, &request->held.posting, &err);
    if (rc < 0)
        request->outcome = CM_COLLECTOR_OUTCOME_LOST;
    return rc == 0;
}

/* Lets the connection on, whose request may be gone then. */
static void let_on(cm_collector_request_t *request, cm_collector_stage_t stage)
{
    struct MHD_Connection *connection = request->connection;
    cm_loop_t *loop = request->loop;

    atomic_store(&request->stage, stage);
    cm_loop_resume(loop, connection);
}

void cm_collector_done(void *ticket, bool durable)
{
    let_on(ticket, durable ? CM_COLLECTOR_STAGE_DURABLE : CM_COLLECTOR_STAGE_LOST);
}

/* Puts the events of a request, whose connection rests, into the inbox. Then the request may be
 * gone. */
static void put(cm_collector_request_t *request, cm_collector_reader_t *reader)
{
    cm_inbox_t *inbox = request->collector->options.inbox;

    if (cm_inbox_put(inbox, &reader->batch, cm_batch_size(&reader->batch), request) !=
        CM_INBOX_TAKEN)
        cm_collector_done(request, false);
}

/* Nothing more is to be done for a long body: what is to be said of it is there. */
static bool end_turns(cm_collector_request_t *request)
{
    cm_collector_release(request->collector, &request->held);
    let_on(request, CM_COLLECTOR_STAGE_READ);
    return true;
}

/* The events of a long body, which wait a while when much is stored: those who bring few come
 * first. */
static bool store_many(cm_collector_request_t *request)
{
    cm_collector_t *collector = request->collector;
    const int64_t now_ns = cm_clock_ticks_ns();
    cm_collector_held_t held = request->held;
    const cm_batch_t *batch = &held.reader->batch;

    /* Once its events are taken the request may be gone, and with it what it holds. */
    request->held = (cm_collector_held_t){.reader = NULL};
    const cm_inbox_result_t put =
        cm_inbox_put_many(collector->options.inbox, batch, cm_batch_size(batch), request);
    if (put == CM_INBOX_TAKEN) {
        cm_inbox_ring(collector->options.inbox);
        cm_collector_release(collector, &held);
        return true;
    }
    request->held = held;
    if (request->waits_ns == 0)
        request->waits_ns = now_ns;
    if (put == CM_INBOX_FULL && now_ns - request->waits_ns < ROOM_MS * INT64_C(1000000)) {
        cm_sleep_ms(REST_MS);
        return false;
    }
    request->outcome = CM_COLLECTOR_OUTCOME_LOST;
    return end_turns(request);
}

bool cm_collector_job(cm_fair_job_t *turn, int64_t until_ns)
{
    cm_collector_request_t *request = (cm_collector_request_t *)turn;
    cm_err_t err;

    if (request->waits_ns > 0)
        return store_many(request);
    if (request->held.posting == NULL && (!unpack(request) || !begin_turns(request)))
        return end_turns(request);
    const int rc = cm_posting_turn(request->held.posting, until_ns, &err);
    if (rc > 0)
        return false;
    request->outcome = outcome_of(request, rc, &err);
    if (request->outcome == CM_COLLECTOR_OUTCOME_EVENTS)
        return store_many(request);
    if (request->outcome == CM_COLLECTOR_OUTCOME_NO_EVENTS) /* for its account */
        cm_inbox_put(request->collector->options.inbox, &request->held.reader->batch, 0, NULL);
    return end_turns(request);
}

void cm_collector_drop(cm_fair_job_t *turn)
{
    cm_collector_request_t *request = (cm_collector_request_t *)turn;

    request->outcome = CM_COLLECTOR_OUTCOME_LOST;
    cm_collector_release(request->collector, &request->held);
    let_on(request, CM_COLLECTOR_STAGE_READ);
}

/* First it rests: another thread may be done with it before this one goes on. */
static void rest(cm_collector_request_t *request)
{
    MHD_suspend_connection(request->connection);
    atomic_store(&request->stage, CM_COLLECTOR_STAGE_RESTING);
}

void cm_collector_read(cm_collector_request_t *request)
{
    const cm_buf_t *bytes = &request->held.body.bytes;

    set_sender(request, cm_str(request->sender.origin));
    if ((!request->gzip || bytes->len <= SHORT_PACKED) && !unpack(request))
        return;
    if (!request->unpacked || bytes->len > SHORT) {
        rest(request);
        cm_fair_queue_add(request->collector->turns, &request->turn,
                          cm_sender_hash(&request->sender));
    } else {
        read_at_once(request);
    }
}

void cm_collector_read_pixel(cm_collector_request_t *request, cm_str_t url, cm_str_t user_id)
{
    cm_err_t err;
    cm_collector_reader_t *reader = request->held.reader = take_reader(request->collector);
    const cm_str_t referrer = cm_str(cm_sender_header(request->connection, "Referer"));

    set_sender(request, referrer);
    if (!charge(request, 0, url.len)) {
        request->outcome = CM_COLLECTOR_OUTCOME_OWES;
        return;
    }
    const int rc = cm_posted_pixel(reader->poster, url, user_id, request->held.posted,
                                   &reader->batch, &request->result, &err);
    request->outcome = outcome_of(request, rc, &err);
}

void cm_collector_store(cm_collector_request_t *request)
{
    cm_collector_t *collector = request->collector;

    if (request->outcome == CM_COLLECTOR_OUTCOME_NO_EVENTS) { /* for its account */
        cm_inbox_put(collector->options.inbox, &request->held.reader->batch, 0, NULL);
        return;
    }
    rest(request);
    put(request, request->held.reader);
    atomic_store_explicit(&collector->ring, true, memory_order_relaxed);
}
