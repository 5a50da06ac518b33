/* A batch: events, dead letters and the account of both. It is what sources give and sinks take.
 *
 * The batch owns its arrays and its arena. Strings of events and dead letters are slices of the
 * arena, or of memory that the source keeps until its next call. Used by one thread at a time. */
#ifndef CM_EVENT_BATCH_H
#define CM_EVENT_BATCH_H

#include "event/bot.h"
#include "event/event.h"

/* A message that breaks a rule: its bytes unchanged, the reason, and where it came from. */
typedef struct cm_dead {
    cm_str_t payload;
    cm_str_t reason;
    cm_str_t origin; /* "access.log:17", "clickstream[3]@42" */
    cm_str_t key;    /* of a Kafka message; else empty */
    bool personal;   /* it may hold the address of a person and must be stored encrypted */
} cm_dead_t;

/* How far a source was read. `position` is -1 when the source is complete and its entry is to be
 * removed. A source that cannot be resumed has an empty name, or gives no position. */
typedef struct cm_position {
    cm_str_t source; /* the source's name; lives as long as the batch */
    int64_t position;
} cm_position_t;

/* read = accepted + rejected + skipped, at every stage. */
typedef struct cm_account {
    uint64_t read, accepted, rejected, skipped;
    uint64_t bots[CM_BOT_KINDS]; /* those skipped because a bot made the visit, by its kind */
    uint64_t told;               /* those rejected whose sender was told, so that nothing is kept */
    uint64_t refused;            /* requests that were not read at all; not part of the sum */
    uint64_t gone; /* messages that Kafka deleted before they were read; not part of the sum */
    /* Events on a collector's way to Kafka, not part of the sum: collected + resumed = sent + dead
     * + spooled. */
    uint64_t collected;      /* events that came over HTTP and were accepted */
    uint64_t resumed;        /* events that an earlier process left in the spool */
    uint64_t sent;           /* acknowledged by the brokers */
    uint64_t dead;           /* permanently refused by the brokers; now dead letters */
    uint64_t spooled;        /* left in the spool */
    uint64_t unknown_fields; /* fields of accepted events that are not in the contract */
    /* Of accepted events: values from outside that were too long. */
    uint64_t cut_referrers; /* became their origin */
    uint64_t cut_campaigns; /* became their first 256 bytes */
    /* By optional field: accepted events that had it, but whose store cannot keep it. */
    uint64_t lost[CM_EXTRA_COUNT];
    uint64_t hostless; /* accepted events with a referrer, and a url without a host */
} cm_account_t;

typedef struct cm_batch {
    cm_event_t *events;
    size_t count, cap;
    cm_dead_t *dead;
    size_t dead_count, dead_cap;
    cm_account_t account; /* of this batch alone */
    /* The position of the source, or of each part of it, after this batch. It is stored in the same
     * transaction as the batch. */
    cm_position_t *positions;
    size_t position_count, position_cap;
    cm_arena_t arena;
} cm_batch_t;

#define CM_BATCH_INIT ((cm_batch_t){.count = 0})

/* How many events a source should put into one batch: enough to make the cost of a call small, few
 * enough to stay in the cache. */
enum { CM_BATCH_EVENTS = 4096 };

/* Memory for one more event, without optional fields and otherwise uninitialised. cm_batch_accept()
 * adds it to the batch. Valid until the next call. */
cm_event_t *cm_batch_slot(cm_batch_t *batch);

/* Adds the event of the last cm_batch_slot() to the batch: one read, one accepted. */
void cm_batch_accept(cm_batch_t *batch);

/* Adds a dead letter with copies of the three strings: one read, one rejected. */
void cm_batch_reject(cm_batch_t *batch, cm_str_t payload, const char *reason, const char *origin);

/* Sets the position of `source` after this batch; the name is copied. At most once for a source in
 * a batch. */
void cm_batch_mark(cm_batch_t *batch, cm_str_t source, int64_t position);

/* Counts one read, one skipped. */
void cm_batch_skip(cm_batch_t *batch);

/* The same for a visit of a bot. */
void cm_batch_skip_bot(cm_batch_t *batch, cm_bot_kind_t kind);

/* Counts an accepted event: one read, one accepted. */
void cm_account_accept(cm_account_t *account, const cm_event_t *event);

/* Adds `more` to `sum`. */
void cm_account_add(cm_account_t *sum, const cm_account_t *more);

/* Adds copies of all of `from` to `to`. No source may have a position in both. */
void cm_batch_copy(cm_batch_t *to, const cm_batch_t *from);

/* How many bytes the events take, about. */
size_t cm_batch_size(const cm_batch_t *batch);

/* Empties the batch and keeps its memory. */
void cm_batch_clear(cm_batch_t *batch);

void cm_batch_free(cm_batch_t *batch);

#endif
