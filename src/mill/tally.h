/* The counters of a question's groups, in one thread.
 *
 * Events come user by user, and each user's in order, so a cell that remembers the last user and
 * the last session it has seen counts different ones exactly, without a set. A cell has only as
 * many counters as the question needs (cm_tally_level_t). */
#ifndef CM_MILL_TALLY_H
#define CM_MILL_TALLY_H

#include "mill/ask.h"
#include "mill/facts.h"

/* What is counted; each level has what is before it. */
typedef enum cm_tally_level {
    CM_TALLY_EVENTS, /* events, clicks and their users */
    CM_TALLY_VISITS, /* distinct sessions */
    CM_TALLY_FACTS,  /* everything */
} cm_tally_level_t;

/* The level that a question's counters (a mask) need. */
cm_tally_level_t cm_tally_level(uint32_t counters);

/* Events of a crowd that a question selects. */
typedef struct cm_tally_rows {
    const cm_crowd_t *crowd;
    const cm_facts_t *facts;     /* not for CM_TALLY_EVENTS */
    const uint8_t *selected;     /* by row; NULL: all */
    const uint32_t *const *keys; /* by dimension, by row */
} cm_tally_rows_t;

/* What a property's value is as a number. */
typedef struct cm_tally_number {
    enum { CM_NUMBER_UNKNOWN, CM_NUMBER_ABSENT, CM_NUMBER_OTHER, CM_NUMBER } kind;
    cm_decimal_t number;
} cm_tally_number_t;

/* Cells with their keys. All zero but what cm_tally_init() sets. */
typedef struct cm_tally {
    cm_tally_level_t level;
    size_t dims, props;
    unsigned stride; /* words of a cell */
    uint64_t *cells;
    uint32_t *keys;  /* `dims` for each cell */
    cm_sums_t *sums; /* `props` for each cell */
    uint32_t count, cap;
    uint32_t *slots; /* hash table: index + 1 */
    uint32_t mask;
    uint32_t *direct; /* index + 1; of one dimension by value, of two by pair of values */
    uint32_t direct_size;
    uint32_t pair[2];  /* of two dimensions: values below these are in `direct`; 0: none are */
    uint32_t *cell_of; /* by row of the crowd at hand: its cell */
    uint32_t row_cap;
    /* Of all groups together: what cannot be added up. */
    int64_t users, event_users, visits;
    uint32_t user, session; /* serial numbers before this crowd, from 1 */
} cm_tally_t;

/* `sizes`: by dimension, the values are below it; 0: that is not known. NULL: of none. */
void cm_tally_init(cm_tally_t *tally, const cm_question_t *question, size_t dims,
                   const uint32_t *sizes);

/* Adds the selected events of a crowd. */
void cm_tally_add(cm_tally_t *tally, const cm_tally_rows_t *rows);

/* Adds the numbers of a property for the same events; `values` by row, `numbers` by value. To be
 * called behind cm_tally_add(). */
void cm_tally_add_numbers(cm_tally_t *tally, const cm_tally_rows_t *rows, size_t prop,
                          const uint32_t *values, const cm_tally_number_t *numbers);

/* Adds `more` to the sums of a property. */
static inline void cm_tally_add_sums(cm_sums_t *sums, const cm_sums_t *more)
{
    sums->sum.scaled += more->sum.scaled;
    sums->count += more->count;
    sums->left_out += more->left_out;
}

/* An array by value with room for `value`; what is new is zero. The caller frees it. */
void *cm_tally_room(void *array, uint32_t *size, uint32_t value, size_t item);

/* Adds all of `more`, whose users are others. */
void cm_tally_merge(cm_tally_t *tally, const cm_tally_t *more);

/* Bytes that it takes. */
int64_t cm_tally_size(const cm_tally_t *tally);

/* The counters of a cell, CM_COUNTER_COUNT of them. */
void cm_tally_counters(const cm_tally_t *tally, uint32_t cell, int64_t *counters);

void cm_tally_free(cm_tally_t *tally);

#endif
