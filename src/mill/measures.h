/* What an answer is about, and its measures: the terms that mill, index and API share. Plain
 * values, for any thread. */
#ifndef CM_MILL_MEASURES_H
#define CM_MILL_MEASURES_H

#include <stdbool.h>
#include <stdint.h>

typedef enum cm_window {
    CM_WINDOW_ALL,
    CM_WINDOW_DAY,
    CM_WINDOW_HOUR,
    CM_WINDOW_COUNT,
} cm_window_t;

/* A set of windows is a mask, one bit per window: this is the set of all. */
enum { CM_WINDOWS_EVERY = (1 << CM_WINDOW_COUNT) - 1 };

/* The set of one window. */
static inline unsigned cm_window_mask(cm_window_t window)
{
    return 1u << window;
}

/* Whether the set has the window. */
static inline bool cm_window_in(unsigned windows, cm_window_t window)
{
    return (windows & cm_window_mask(window)) != 0;
}

/* What a row is about. */
typedef enum cm_dimension {
    CM_PER_CELL,    /* url and country: the contract's answers */
    CM_PER_URL,     /* country is empty */
    CM_PER_COUNTRY, /* url is empty */
    CM_PER_NOTHING, /* the whole site: both are empty */
    CM_DIMENSION_COUNT,
} cm_dimension_t;

/* The measures of an answer. Each is a sum over users, so an update only adds differences. */
typedef struct cm_measures {
    int64_t clicks;
    int64_t users;          /* distinct user_id */
    int64_t time_spent_sum; /* whole seconds */
    int64_t time_spent_count;
    int64_t page_time_sum; /* as time_spent, without gaps longer than the session timeout */
    int64_t page_time_count;
    int64_t entrances;
    int64_t exits;
} cm_measures_t;

#endif
