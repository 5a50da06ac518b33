/* Which of several events with one row key counts (docs/contract.md, "Copies").
 *
 * Of two different events it is the one with more stated fields. If both have the same number, it
 * is the one whose canonical JSON, as cm_event_add_json() writes it, is greater byte by byte. That
 * is a total order of events, so the order of arrival does not matter. All parts of the program
 * that handle copies use it: batches for Cassandra, the mill, `export`. The functions of events are
 * pure; a cm_choice_t owns its memory and is used by one thread. */
#ifndef CM_EVENT_CHOICE_H
#define CM_EVENT_CHOICE_H

#include "event/batch.h"

/* How many of country, city, browser, os and device are stated, that is, not "Unknown", and how
 * many optional fields have a value. An absent value and "Unknown" are the same. */
unsigned cm_event_stated(const cm_event_t *event);

/* How many of city, browser, os and device are stated. */
unsigned cm_event_stated_cold(const cm_event_t *event);

/* Compares two complete events (cm_event_complete()) with the same row key: positive when `a`
 * counts, negative when `b` counts, 0 when they are the same. Row keys are not compared. */
int cm_event_compare(const cm_event_t *a, const cm_event_t *b);

/* The events of a batch that must be written. All zero is unused; the memory is reused from batch
 * to batch. Used by one thread. */
typedef struct cm_choice {
    cm_str_t *keys;  /* by event: its row key, also when derived; `data` is NULL where another event
                      * of the batch with the same row key counts */
    size_t count;    /* events of the batch */
    size_t replaced; /* those whose key has no `data` */
    /* private */
    char (*derived)[CM_UUID_TEXT];
    uint32_t *slots; /* hash table: index in `keys` + 1 */
    size_t cap, slot_count;
    uint64_t seed;
} cm_choice_t;

/* Chooses among the events of the batch. The keys are slices of it, or of `choice`. */
void cm_choice_make(cm_choice_t *choice, const cm_batch_t *batch);

void cm_choice_free(cm_choice_t *choice);

#endif
