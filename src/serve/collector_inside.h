/* What the parts of the collector share: collector.c, which speaks HTTP, and collector_read.c,
 * which reads bodies. A request is used by one of the server's threads at a time; what all threads
 * use has a lock, or is atomic or constant. */
#ifndef CM_SERVE_COLLECTOR_INSIDE_H
#define CM_SERVE_COLLECTOR_INSIDE_H

#include "serve/body.h"
#include "serve/collector.h"
#include "serve/fair_queue.h"
#include "serve/uploads.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CM_COLLECTOR_KEPT = 8 /* parsers that are kept for the next request */ };

/* Reads one body at a time; as many are in use as bodies are read at once. */
typedef struct cm_collector_parser {
    cm_poster_t *poster;
    cm_batch_t batch;
} cm_collector_parser_t;

struct cm_collector {
    cm_collector_options_t options;
    cm_sender_rules_t rules;
    cm_own_paths_t *paths;
    cm_refused_requests_t *refused;
    atomic_bool ring; /* the inbox has events, and the thread that stores is not woken yet */
    cm_uploads_t *uploads;
    cm_fair_queue_t *queue; /* of long bodies */
    pthread_mutex_t lock;   /* guards: */
    cm_collector_parser_t *kept[CM_COLLECTOR_KEPT];
    int kept_count;
};

typedef enum cm_collector_stage {
    CM_COLLECTOR_STAGE_UPLOAD,    /* the body is received, or there is nothing to wait for */
    CM_COLLECTOR_STAGE_SUSPENDED, /* another thread reads it, or its events are not yet durable */
    CM_COLLECTOR_STAGE_READ,      /* it was read, and `outcome` says what to answer */
    CM_COLLECTOR_STAGE_DURABLE,   /* its events are durable */
    CM_COLLECTOR_STAGE_LOST,      /* its events could not be stored */
} cm_collector_stage_t;

/* The result of reading a body. */
typedef enum cm_collector_outcome {
    CM_COLLECTOR_OUTCOME_EVENTS,    /* they are in the parser's batch */
    CM_COLLECTOR_OUTCOME_NO_EVENTS, /* no event is to be stored */
    CM_COLLECTOR_OUTCOME_TOO_LARGE,
    CM_COLLECTOR_OUTCOME_BAD_BODY,  /* `why` says what is wrong with it */
    CM_COLLECTOR_OUTCOME_RATE,      /* the address has sent too much, and has to wait `seconds` */
    CM_COLLECTOR_OUTCOME_WRONG_URL, /* an event has a URL that this sender may not send */
    CM_COLLECTOR_OUTCOME_LOST,      /* it cannot be read now */
} cm_collector_outcome_t;

/* What a body needs until its events are stored or it is refused. */
typedef struct cm_collector_held {
    cm_body_t body;
    cm_upload_t upload;
    bool is_uploading;             /* `upload` is in use */
    cm_posted_sender_t *posted;    /* allocated when the body is complete: many bodies are not */
    cm_collector_parser_t *parser; /* while the body is read */
    cm_posting_t *posting;         /* while a long body is read, in several slices */
} cm_collector_held_t;

struct cm_collector_request {
    cm_fair_job_t job; /* first */
    cm_collector_t *collector;
    const cm_collector_endpoint_t *endpoint;
    struct MHD_Connection *connection;
    cm_loop_t *loop; /* of the connection */
    _Atomic(cm_collector_stage_t) stage;
    cm_sender_t sender;
    size_t memory; /* that libmicrohttpd has for the heads of the request and of the answer */
    bool pixel, gzip, lines;
    bool unpacked;  /* the body is unpacked, and it is known whether its address may send */
    int64_t length; /* of the body, as its head says; -1: the head does not say */
    cm_collector_held_t held;
    cm_upload_room_t room; /* for the body */
    int64_t waits_ns;      /* since when its events wait for room in the inbox; 0: they do not */
    cm_posted_result_t result;
    cm_collector_outcome_t outcome;
    int seconds;
    char *why; /* a sentence; NULL: there is none */
};

/* ---- collector_read.c ---- */

/* Reads the complete body of a request, and frees it. A long one is queued for another thread: then
 * the connection is suspended, and the stage is CM_COLLECTOR_STAGE_SUSPENDED. Otherwise the outcome
 * is known, and cm_collector_store() passes the events on. */
void cm_collector_read(cm_collector_request_t *request);

/* The same for the event of an image. */
void cm_collector_read_pixel(cm_collector_request_t *request, const cm_posted_image_t *image);

/* Passes the parser's events to the inbox and suspends the connection until they are durable. */
void cm_collector_store(cm_collector_request_t *request);

/* Frees what a body has needed. */
void cm_collector_release(cm_collector_t *collector, cm_collector_held_t *held);

/* The callbacks of the fair queue: a cm_fair_job_fn and a cm_fair_drop_fn. */
bool cm_collector_job(cm_fair_job_t *job, int64_t until_ns);
void cm_collector_drop(cm_fair_job_t *job);

/* ---- collector_admit.c ---- */

/* Finds the sender, and whether it may send now. False when it may not: then `*result` is that of
 * the reply. */
bool cm_collector_admit(cm_collector_request_t *request, enum MHD_Result *result);

/* The same for the limits of the sender's address alone, and for the size of the store. */
bool cm_collector_within_rate(cm_collector_request_t *request, enum MHD_Result *result);
bool cm_collector_has_room(cm_collector_request_t *request, enum MHD_Result *result);

/* Each replies, and counts the request as refused. */
enum MHD_Result cm_collector_refuse_site(cm_collector_request_t *request, cm_str_t origin);
enum MHD_Result cm_collector_refuse_for_demo(cm_collector_request_t *request, cm_str_t origin);
enum MHD_Result cm_collector_refuse_rate(cm_collector_request_t *request, int seconds);

/* ---- collector_settle.c ---- */

/* Replies to a request that was suspended and has reached the stage. */
enum MHD_Result cm_collector_settle(cm_collector_request_t *request, cm_collector_stage_t stage);

/* The same for one that was read on this thread: hands its events over, or replies. */
enum MHD_Result cm_collector_settle_at_once(cm_collector_request_t *request);

/* 503: the events are not stored, and are to be sent again. */
enum MHD_Result cm_collector_refuse_lost(cm_collector_request_t *request);

/* 413. */
enum MHD_Result cm_collector_refuse_size(cm_collector_request_t *request);

/* ---- collector_reply.c ---- */

/* Queues the response, with the headers that all replies have, and gives it back. NULL: MHD_NO. */
enum MHD_Result cm_collector_send(cm_collector_request_t *request, unsigned status,
                                  struct MHD_Response *response);

/* A response of JSON; takes the buffer's memory. NULL when there is none. */
struct MHD_Response *cm_collector_json(cm_buf_t *body);

/* Sets the visitor's cookie where it is new. */
void cm_collector_add_cookie(const cm_collector_request_t *request, struct MHD_Response *response);

/* What became of the events, which are durable. */
enum MHD_Result cm_collector_reply_result(cm_collector_request_t *request);

/* Replies {"error": sentence}, with one more header unless its name is NULL. */
enum MHD_Result cm_collector_refuse(cm_collector_request_t *request, unsigned status,
                                    const char *sentence, const char *name, const char *value);

/* The same with Retry-After. */
enum MHD_Result cm_collector_refuse_later(cm_collector_request_t *request, unsigned status,
                                          int seconds, const char *sentence);

/* ---- collector_pixel.c and collector_cors.c ---- */

/* Replies with the image. */
enum MHD_Result cm_collector_reply_pixel(cm_collector_request_t *request);

/* Lets a page of the sender's origin read the answer. */
void cm_collector_add_cors(const cm_collector_request_t *request, struct MHD_Response *response);

/* Replies to OPTIONS. */
enum MHD_Result cm_collector_reply_preflight(cm_collector_request_t *request);

#endif
