/* Reads events from the body of an HTTP request: one JSON object, an array of objects, or one
 * object per line.
 *
 * Fields that an event lacks are filled in: the time is that of arrival, the user is the visitor,
 * and the enrichment makes country, browser and so on of address and agent (docs/collect.md). A
 * cm_poster_t belongs to one thread at a time; what posters share is in cm_posted_shared_t. */
#ifndef CM_SOURCE_HTTP_POSTED_H
#define CM_SOURCE_HTTP_POSTED_H

#include "base/clock.h"
#include "enrich/enricher.h"
#include "event/batch.h"
#include "event/json.h"
#include "source/http/daily_key.h"
#include "source/http/posted_image.h"
#include "source/http/resent.h"

#include <stdatomic.h>

typedef enum cm_visitor_choice {
    CM_VISITOR_DAILY,
    CM_VISITOR_COOKIE,
    CM_VISITOR_ADDRESS_HASH,
} cm_visitor_choice_t;

/* Borrowed until the last poster is freed; posters write only daily_given. */
typedef struct cm_posted_shared {
    cm_enrichment_t *enrichment; /* started */
    const cm_clock_t *clock;     /* NULL: the real one */
    cm_visitor_choice_t visitor;
    cm_daily_key_t *daily;               /* with CM_VISITOR_DAILY */
    atomic_bool daily_given;             /* an accepted event has got a daily id */
    uint8_t address_key[CM_VISITOR_KEY]; /* with CM_VISITOR_ADDRESS_HASH */
    cm_resent_t *copies; /* recognises events that pages send again; NULL: not used */
} cm_posted_shared_t;

/* The sender of a body. */
typedef struct cm_posted_sender {
    bool page;               /* a browser, whose address and agent are the visitor's own */
    cm_str_t address, agent; /* of a page */
    cm_str_t cookie;         /* of a page, with CM_VISITOR_COOKIE: the visitor's id */
    /* Whether events of a host ("shop.example:8443") are accepted; NULL: of all hosts. */
    bool (*takes_host)(const void *context, cm_str_t host);
    const void *context;
    cm_str_t
        origin; /* of a page: put in front of URLs without a host; empty: they stay unchanged */
} cm_posted_sender_t;

enum { CM_POSTED_ERRORS = 20 }; /* at most, in the list of a result */

/* The result of reading a body. */
typedef struct cm_posted_result {
    uint64_t accepted, skipped, rejected;
    cm_buf_t
        errors; /* the first of them: {"position":2,"reason":"..."},... ; the caller frees it */
} cm_posted_result_t;

typedef struct cm_poster cm_poster_t;

/* Never NULL. */
cm_poster_t *cm_poster_new(cm_posted_shared_t *shared);
void cm_poster_free(cm_poster_t *poster);

/* Adds the events of a body to the batch; invalid events are left out, and reported in the result.
 * `lines`: the body is read as one event per line, whatever it looks like. The body needs
 * CM_EVENT_JSON_PADDING readable bytes behind it, and the events may point into it. CM_EIO when
 * visitors have no key, CM_EREJECT when the body holds no event at all. */
int cm_posted_read(cm_poster_t *poster, cm_str_t body, bool lines, const cm_posted_sender_t *sender,
                   cm_batch_t *batch, cm_posted_result_t *result, cm_err_t *err);

/* The same in turns, for a long body: other bodies may use the poster between the turns. Everything
 * is borrowed until the end. begin: CM_EIO. turn: reads at least one event, and goes on until a
 * time of the monotonic clock; 1: there is more, 0: the body is read, CM_EREJECT as above. */
typedef struct cm_posting cm_posting_t;

int cm_posting_begin(cm_poster_t *poster, cm_str_t body, bool lines,
                     const cm_posted_sender_t *sender, cm_batch_t *batch,
                     cm_posted_result_t *result, cm_posting_t **posting, cm_err_t *err);
int cm_posting_turn(cm_posting_t *posting, int64_t until_ns, cm_err_t *err);

/* NULL is allowed. */
void cm_posting_free(cm_posting_t *posting);

/* Adds the event of a page that can only request an image. The props are sorted in place. */
int cm_posted_pixel(cm_poster_t *poster, const cm_posted_image_t *image,
                    const cm_posted_sender_t *sender, cm_batch_t *batch, cm_posted_result_t *result,
                    cm_err_t *err);

/* The host of a URL, as written; empty: it has none. */
cm_str_t cm_posted_host(cm_str_t url);

#endif
