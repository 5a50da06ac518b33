/* A batch: what flows between the rooms. Events, the dead letters among them, and the account.
 *
 * The batch owns its arrays and its arena; events and dead letters are slices of the arena or of
 * memory that the source keeps until its next call. One thread at a time. */
#ifndef CM_EVENT_BATCH_H
#define CM_EVENT_BATCH_H

#include "event/event.h"

/* A message that breaks a rule: its bytes unchanged, why, and where it came from. */
typedef struct cm_dead {
    cm_str_t payload;
    cm_str_t reason;
    cm_str_t origin; /* "access.log:17", "clickstream[3]@42" */
    cm_str_t key;    /* of a Kafka message; else empty */
    bool personal;   /* may hold the address of a person: not to be kept in the clear */
} cm_dead_t;

/* Where a source stands. `position` is -1 when the source is complete and its entry shall be
 * forgotten; a source that cannot be resumed has an empty name or none of these. */
typedef struct cm_position {
    cm_str_t source; /* lives as long as the batch */
    int64_t position;
} cm_position_t;

/* read = accepted + rejected + skipped, at every stage. */
typedef struct cm_account {
    uint64_t read, accepted, rejected, skipped;
    uint64_t bots;    /* of those skipped: visits of programs */
    uint64_t told;    /* of those rejected: their senders know it, and nothing is kept */
    uint64_t refused; /* requests that were not read at all, beside the sum */
    uint64_t gone;    /* messages that Kafka deleted before they were read, beside the sum */
    /* Of a collector's way to Kafka, beside the sum: collected + resumed = sent + dead + spooled.
     */
    uint64_t collected;      /* events that came over HTTP and were accepted */
    uint64_t resumed;        /* events that an earlier process had left in the spool */
    uint64_t sent;           /* acknowledged by the brokers */
    uint64_t dead;           /* refused by them for good: dead letters now */
    uint64_t spooled;        /* left in the spool */
    uint64_t unknown_fields; /* fields of accepted events that the contract does not know */
} cm_account_t;

typedef struct cm_batch {
    cm_event_t *events;
    size_t count, cap;
    cm_dead_t *dead;
    size_t dead_count, dead_cap;
    cm_account_t account; /* of this batch alone */
    /* Where the source, or each part of it, stands after this batch; stored in the batch's own
     * transaction. */
    cm_position_t *positions;
    size_t position_count, position_cap;
    cm_arena_t arena;
} cm_batch_t;

#define CM_BATCH_INIT ((cm_batch_t){.count = 0})

/* Events a source should put into one batch: enough to hide the cost of a call, small enough to
 * stay in the cache. */
enum { CM_BATCH_EVENTS = 4096 };

/* A slot for one more event, uninitialised; counted by cm_batch_accept. Valid until the next
 * call. */
cm_event_t *cm_batch_slot(cm_batch_t *batch);

/* Takes the event of the last cm_batch_slot() into the batch: one read, one accepted. */
void cm_batch_accept(cm_batch_t *batch);

/* Adds a dead letter, copying all three texts: one read, one rejected. */
void cm_batch_reject(cm_batch_t *batch, cm_str_t payload, const char *reason, const char *origin);

/* Says where `source` stands after this batch; the name is copied. Once a source and batch. */
void cm_batch_mark(cm_batch_t *batch, cm_str_t source, int64_t position);

/* One read, one skipped. */
void cm_batch_skip(cm_batch_t *batch);

/* Adds `more` to `sum`. */
void cm_account_add(cm_account_t *sum, const cm_account_t *more);

/* Adds all of `from` to `to`, which then needs nothing of `from` any more. No source may have its
 * position in both. */
void cm_batch_copy(cm_batch_t *to, const cm_batch_t *from);

/* About how many bytes the events take. */
size_t cm_batch_size(const cm_batch_t *batch);

/* Empties the batch, keeps its memory. */
void cm_batch_clear(cm_batch_t *batch);

void cm_batch_free(cm_batch_t *batch);

#endif
