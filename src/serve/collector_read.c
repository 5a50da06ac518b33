/* Reads bodies: short ones at once, on the thread of their connection; long ones in slices of time,
 * on the threads of the fair queue, so that other connections do not have to wait. */
#include "base/clock.h"
#include "serve/collector_inside.h"

#include <stdlib.h>

enum {
    SHORT = 16 * 1024,  /* bytes of an unpacked body that is read at once */
    SHORT_PACKED = 512, /* bytes that are unpacked at once, to at most a thousand times as many */
    ROOM_MS = 10000,    /* how long the events of a long body wait for room in the inbox */
    PAUSE_MS = 5,       /* between two attempts of that */
};

/* ---- parsers ---- */

static void free_parser(cm_collector_parser_t *parser)
{
    cm_poster_free(parser->poster);
    cm_batch_free(&parser->batch);
    free(parser);
}

void cm_collector_forget(cm_collector_t *collector)
{
    pthread_mutex_lock(&collector->lock);
    while (collector->kept_count > 0)
        free_parser(collector->kept[--collector->kept_count]);
    pthread_mutex_unlock(&collector->lock);
}

static cm_collector_parser_t *take_parser(cm_collector_t *collector)
{
    cm_collector_parser_t *parser = NULL;

    pthread_mutex_lock(&collector->lock);
    if (collector->kept_count > 0)
        parser = collector->kept[--collector->kept_count];
    pthread_mutex_unlock(&collector->lock);
    if (parser == NULL) {
        parser = cm_alloc_zero(1, sizeof *parser);
        parser->poster = cm_poster_new(collector->options.shared);
    }
    return parser;
}

static void give_parser(cm_collector_t *collector, cm_collector_parser_t *parser)
{
    if (parser->batch.cap > CM_BATCH_EVENTS)
        cm_batch_free(&parser->batch);
    cm_batch_clear(&parser->batch);
    pthread_mutex_lock(&collector->lock);
    if (collector->kept_count < CM_COLLECTOR_KEPT) {
        collector->kept[collector->kept_count++] = parser;
        parser = NULL;
    }
    pthread_mutex_unlock(&collector->lock);
    if (parser != NULL)
        free_parser(parser);
}

void cm_collector_release(cm_collector_t *collector, cm_collector_held_t *held)
{
    cm_posting_free(held->posting);
    held->posting = NULL;
    free(held->posted);
    held->posted = NULL;
    if (held->parser != NULL)
        give_parser(collector, held->parser);
    held->parser = NULL;
    cm_body_free(&held->body);
    if (held->is_uploading)
        cm_uploads_end(collector->uploads, &held->upload);
    held->is_uploading = false;
}

/* ---- limits of the sender ---- */

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

/* Whether the sender may send all the events. */
static bool takes_all(const cm_collector_request_t *request, const cm_batch_t *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (!cm_sender_takes(&request->collector->rules, &request->sender, batch->events[i].url))
            return false;
    }
    return true;
}

/* Counts events and bytes for the sender's address. False: the address has sent too much before. */
static bool charge(cm_collector_request_t *request, uint64_t events, size_t bytes)
{
    cm_rate_t *rate = request->collector->rules.rate;
    const cm_str_t who = cm_sender_limit_key(&request->sender);
    const int64_t now_ns = cm_clock_ticks_ns();

    if (!cm_sender_limited(&request->sender))
        return true;
    request->seconds = bytes > 0 ? cm_rate_debt(rate, who, now_ns) : 0;
    if (request->seconds == 0)
        cm_rate_charge(rate, who, (int64_t)events, (int64_t)bytes, now_ns);
    return request->seconds == 0;
}

/* ---- reading ---- */

/* An error is large and rare in bodies, so that its sentence is kept apart from the request. */
static cm_collector_outcome_t bad_body(cm_collector_request_t *request, const cm_err_t *err)
{
    request->why = cm_strdup(err->text);
    return CM_COLLECTOR_OUTCOME_BAD_BODY;
}

/* The outcome, when all is read. */
static cm_collector_outcome_t outcome_of(cm_collector_request_t *request, int rc,
                                         const cm_err_t *err)
{
    const cm_posted_result_t *result = &request->result;

    charge(request, result->accepted + result->skipped + result->rejected, 0);
    if (rc == CM_EREJECT)
        return bad_body(request, err);
    if (rc < 0)
        return CM_COLLECTOR_OUTCOME_LOST;
    if (!takes_all(request, &request->held.parser->batch))
        return CM_COLLECTOR_OUTCOME_WRONG_URL;
    return request->held.parser->batch.count > 0 ? CM_COLLECTOR_OUTCOME_EVENTS
                                                 : CM_COLLECTOR_OUTCOME_NO_EVENTS;
}

/* Unpacks the body, once. False: it must not be read, and the outcome is set. */
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
        request->outcome = bad_body(request, &err);
    else if (body->bytes.len > 0 && !charge(request, 0, body->bytes.len))
        request->outcome = CM_COLLECTOR_OUTCOME_RATE;
    else
        return true;
    return false;
}

static void read_now(cm_collector_request_t *request)
{
    cm_err_t err;
    const cm_str_t text = {request->held.body.bytes.data, request->held.body.bytes.len};
    cm_collector_parser_t *parser = request->held.parser = take_parser(request->collector);

    const int rc = cm_posted_read(parser->poster, text, request->lines, request->held.posted,
                                  &parser->batch, &request->result, &err);
    request->outcome = outcome_of(request, rc, &err);
}

/* False: it cannot be read, and the outcome is set. */
static bool begin_job(cm_collector_request_t *request)
{
    cm_err_t err;
    const cm_str_t text = {request->held.body.bytes.data, request->held.body.bytes.len};
    cm_collector_parser_t *parser = request->held.parser = take_parser(request->collector);

    const int rc = cm_posting_begin(parser->poster, text, request->lines, request->held.posted,
                                    &parser->batch, &request->result, &request->held.posting, &err);
    if (rc < 0)
        request->outcome = CM_COLLECTOR_OUTCOME_LOST;
    return rc == 0;
}

/* Resumes the connection; after that the request may be freed. */
static void resume(cm_collector_request_t *request, cm_collector_stage_t stage)
{
    struct MHD_Connection *connection = request->connection;
    cm_loop_t *loop = request->loop;

    atomic_store(&request->stage, stage);
    cm_loop_resume(loop, connection);
}

void cm_collector_done(void *ticket, bool durable)
{
    resume(ticket, durable ? CM_COLLECTOR_STAGE_DURABLE : CM_COLLECTOR_STAGE_LOST);
}

/* Puts the events of a request with a suspended connection into the inbox. After that the request
 * may be freed. */
static void put(cm_collector_request_t *request, cm_collector_parser_t *parser)
{
    cm_inbox_t *inbox = request->collector->options.inbox;

    if (cm_inbox_put(inbox, &parser->batch, cm_batch_size(&parser->batch), request) !=
        CM_INBOX_TAKEN)
        cm_collector_done(request, false);
}

/* A long body is done, and its outcome is set. */
static bool end_job(cm_collector_request_t *request)
{
    cm_collector_release(request->collector, &request->held);
    resume(request, CM_COLLECTOR_STAGE_READ);
    return true;
}

/* Puts the events of a long body into the inbox. When that is full they wait for a while, because
 * requests with few events go first. */
static bool store_many(cm_collector_request_t *request)
{
    cm_collector_t *collector = request->collector;
    const int64_t now_ns = cm_clock_ticks_ns();
    cm_collector_held_t held = request->held;
    const cm_batch_t *batch = &held.parser->batch;

    /* As soon as its events are taken, the request may be freed with all that it holds. */
    request->held = (cm_collector_held_t){.parser = NULL};
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
        cm_sleep_ms(PAUSE_MS);
        return false;
    }
    request->outcome = CM_COLLECTOR_OUTCOME_LOST;
    return end_job(request);
}

bool cm_collector_job(cm_fair_job_t *job, int64_t until_ns)
{
    cm_collector_request_t *request = (cm_collector_request_t *)job;
    cm_err_t err;

    if (request->waits_ns > 0)
        return store_many(request);
    if (request->held.posting == NULL && (!unpack(request) || !begin_job(request)))
        return end_job(request);
    const int rc = cm_posting_turn(request->held.posting, until_ns, &err);
    if (rc > 0)
        return false;
    request->outcome = outcome_of(request, rc, &err);
    if (request->outcome == CM_COLLECTOR_OUTCOME_EVENTS)
        return store_many(request);
    if (request->outcome == CM_COLLECTOR_OUTCOME_NO_EVENTS) /* its counts are for the account */
        cm_inbox_put(request->collector->options.inbox, &request->held.parser->batch, 0, NULL);
    return end_job(request);
}

void cm_collector_drop(cm_fair_job_t *job)
{
    cm_collector_request_t *request = (cm_collector_request_t *)job;

    request->outcome = CM_COLLECTOR_OUTCOME_LOST;
    cm_collector_release(request->collector, &request->held);
    resume(request, CM_COLLECTOR_STAGE_READ);
}

/* Suspends before another thread can know the request: it may resume it before this thread goes on.
 */
static void suspend(cm_collector_request_t *request)
{
    MHD_suspend_connection(request->connection);
    atomic_store(&request->stage, CM_COLLECTOR_STAGE_SUSPENDED);
}

void cm_collector_read(cm_collector_request_t *request)
{
    const cm_buf_t *bytes = &request->held.body.bytes;

    set_sender(request, cm_str(request->sender.origin));
    if ((!request->gzip || bytes->len <= SHORT_PACKED) && !unpack(request))
        return;
    if (!request->unpacked || bytes->len > SHORT) {
        suspend(request);
        cm_fair_queue_add(request->collector->queue, &request->job,
                          cm_sender_hash(&request->sender));
    } else {
        read_now(request);
    }
}

void cm_collector_read_pixel(cm_collector_request_t *request, const cm_posted_image_t *image)
{
    cm_err_t err;
    cm_collector_parser_t *parser = request->held.parser = take_parser(request->collector);
    const cm_str_t referrer = cm_str(cm_sender_header(request->connection, "Referer"));

    set_sender(request, referrer);
    if (!charge(request, 0, image->url.len)) {
        request->outcome = CM_COLLECTOR_OUTCOME_RATE;
        return;
    }
    const int rc = cm_posted_pixel(parser->poster, image, request->held.posted, &parser->batch,
                                   &request->result, &err);
    request->outcome = outcome_of(request, rc, &err);
}

void cm_collector_store(cm_collector_request_t *request)
{
    cm_collector_t *collector = request->collector;

    if (request->outcome == CM_COLLECTOR_OUTCOME_NO_EVENTS) { /* its counts are for the account */
        cm_inbox_put(collector->options.inbox, &request->held.parser->batch, 0, NULL);
        return;
    }
    suspend(request);
    put(request, request->held.parser);
    atomic_store_explicit(&collector->ring, true, memory_order_relaxed);
}
