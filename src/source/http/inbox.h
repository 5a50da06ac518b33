/* A source whose events come from other threads: it hands the events of HTTP requests to the thread
 * that stores them.
 *
 * Any thread may call put(), which never waits. Its caller gives a ticket, which comes back through
 * `done` when the events are durable, or when it is known that they are not. The source's side
 * (next, acknowledge, close, and every function below except put) belongs to one thread. */
#ifndef CM_SOURCE_HTTP_INBOX_H
#define CM_SOURCE_HTTP_INBOX_H

#include "source/source.h"

typedef struct cm_inbox cm_inbox_t;

/* Called by the source's thread, without a lock held. */
typedef void (*cm_inbox_done_fn)(void *ticket, bool durable);

typedef enum cm_inbox_result {
    CM_INBOX_TAKEN,
    CM_INBOX_FULL,
    CM_INBOX_CLOSED,
} cm_inbox_result_t;

/* `max_bytes` limits the events that are not durable yet; when there are none, a put of any size is
 * accepted. Never NULL. */
cm_inbox_t *cm_inbox_new(size_t max_bytes, cm_inbox_done_fn done);

/* Copies the batch's events, and adds its account. `bytes` is what the events count against the
 * limit. A batch without events needs no wait: its ticket is not taken, and the result is always
 * CM_INBOX_TAKEN. */
cm_inbox_result_t cm_inbox_put(cm_inbox_t *inbox, const cm_batch_t *batch, size_t bytes,
                               void *ticket);

/* The same for many events at once, which may use only half of the limit: the other half is kept
 * for requests with few events. */
cm_inbox_result_t cm_inbox_put_many(cm_inbox_t *inbox, const cm_batch_t *batch, size_t bytes,
                                    void *ticket);

/* From now on put() does not wake the source's thread; ring() does, for everything that was put
 * before: so the events of one round are stored together. To be called before the first put. */
void cm_inbox_defer(cm_inbox_t *inbox);
void cm_inbox_ring(cm_inbox_t *inbox);

/* The source. Its next() waits for the first event as long as cm_inbox_set_wait() says. It ends
 * when the inbox is closed and empty. Closing the source frees the inbox. */
cm_source_t *cm_inbox_source(cm_inbox_t *inbox);

/* How long next() waits for events, ms. */
void cm_inbox_set_wait(cm_inbox_t *inbox, int ms);

/* From now on put() accepts nothing. For any thread. */
void cm_inbox_close(cm_inbox_t *inbox);

/* The events that next() has returned and acknowledge() has not confirmed are lost: their tickets
 * come back as not durable. Of a closed inbox, all tickets do. */
void cm_inbox_fail(cm_inbox_t *inbox);

#endif
