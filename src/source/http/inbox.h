/* A source whose events other threads bring: what HTTP takes in goes through here to the thread
 * that stores.
 *
 * put() is for any thread and never waits. Whoever puts gives a ticket, which comes back through
 * `done` when the events are durable, or are known not to be. The source's side (next, acknowledge,
 * close, and all below but put) belongs to one thread. */
#ifndef CM_SOURCE_HTTP_INBOX_H
#define CM_SOURCE_HTTP_INBOX_H

#include "source/source.h"

typedef struct cm_inbox cm_inbox_t;

/* Called by the source's thread, without locks. */
typedef void (*cm_inbox_done_fn)(void *ticket, bool durable);

typedef enum cm_inbox_result {
    CM_INBOX_TAKEN,
    CM_INBOX_FULL,
    CM_INBOX_CLOSED,
} cm_inbox_result_t;

/* `max_bytes`: of events that are not durable yet; a put is taken alone, whatever it counts. Never
 * NULL. */
cm_inbox_t *cm_inbox_new(size_t max_bytes, cm_inbox_done_fn done);

/* Takes a copy of the batch's events, and counts its account. Without an event nothing is there to
 * wait for: the ticket is not taken then, and the result always CM_INBOX_TAKEN. `bytes` is what
 * they count against the limit. */
cm_inbox_result_t cm_inbox_put(cm_inbox_t *inbox, const cm_batch_t *batch, size_t bytes,
                               void *ticket);

/* The same for many events at once, which have half of the limit only: the other half is for those
 * who bring few. */
cm_inbox_result_t cm_inbox_put_many(cm_inbox_t *inbox, const cm_batch_t *batch, size_t bytes,
                                    void *ticket);

/* From now on a put does not wake the source's thread, but ring() does, and takes all that was put
 * before: the events of a round become one group. Before the first put. */
void cm_inbox_defer(cm_inbox_t *inbox);
void cm_inbox_ring(cm_inbox_t *inbox);

/* The source: next() waits up to the time below for the first event. It ends when the inbox is
 * closed and empty. The inbox stays; closing the source frees it. */
cm_source_t *cm_inbox_source(cm_inbox_t *inbox);

/* How long next() waits for events, ms. */
void cm_inbox_set_wait(cm_inbox_t *inbox, int ms);

/* From now on put() takes nothing more. For any thread. */
void cm_inbox_close(cm_inbox_t *inbox);

/* What next() has given and acknowledge() has not reached is lost: its tickets come back so. Of a
 * closed inbox, all tickets do. */
void cm_inbox_fail(cm_inbox_t *inbox);

#endif
