/* Which of several events with one row key counts (docs/contract.md, "Copies").
 *
 * Of two different ones it is the one with more stated fields; between equals the one whose
 * canonical JSON, as cm_event_add_json() writes it, is greater byte by byte. That is an order of
 * all events, so that it does not matter in which order they came. Everything that meets copies
 * asks here: a batch for Cassandra, the mill, `export`. */
#ifndef CM_EVENT_CHOICE_H
#define CM_EVENT_CHOICE_H

#include "event/batch.h"

/* How many of country, city, browser, os and device are stated: a value that is absent is
 * `Unknown`, and `Unknown` is absent. */
unsigned cm_event_stated(const cm_event_t *event);

/* The same without country. */
unsigned cm_event_stated_cold(const cm_event_t *event);

/* Compares two complete events (cm_event_complete) of one row key: positive when `a` counts,
 * negative when `b` does, 0 when they are the same. Row keys are not looked at. */
int cm_event_compare(const cm_event_t *a, const cm_event_t *b);

/* What is to be written of a batch. All zero is one that has not been used; its memory is kept from
 * batch to batch. One thread. */
typedef struct cm_choice {
    cm_str_t *keys;  /* by event: its row key, derived ones too; `data` is NULL where another event
                      * of the batch with that key counts */
    size_t count;    /* events of the batch */
    size_t replaced; /* of those: how many keys have no `data` */
    /* its own */
    char (*derived)[CM_UUID_TEXT];
    uint32_t *slots; /* hash table: place in `keys` + 1 */
    size_t cap, slot_count;
    uint64_t seed;
} cm_choice_t;

/* Chooses among the events of the batch, of which the keys are slices. */
void cm_choice_make(cm_choice_t *choice, const cm_batch_t *batch);

void cm_choice_free(cm_choice_t *choice);

#endif
