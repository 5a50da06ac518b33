/* Counts the identical lines of each second, in memory that does not grow with the log.
 *
 * The k of an access log's row key: the first line of a kind is 0, the next one in the same second
 * 1, and so on. The same lines in the same order give the same numbers. An entry that is more than
 * an hour away from the line at hand may be forgotten (a log is nearly in order); when a site is so
 * busy that CM_REPEATS_MAX slots do not hold an hour, the span is halved until they do. A line
 * that stands further than the span from its twins may count from 0 again. One thread at a time. */
#ifndef CM_SOURCE_FILE_REPEATS_H
#define CM_SOURCE_FILE_REPEATS_H

#include <stddef.h>
#include <stdint.h>

enum {
    CM_REPEATS_SPAN = 3600,           /* seconds to either side that are kept if there is room */
    CM_REPEATS_MAX = 4 * 1024 * 1024, /* slots of 16 bytes */
};

typedef struct cm_repeat {
    uint64_t hash;
    uint32_t second;
    uint32_t count; /* 0: the slot is free */
} cm_repeat_t;

typedef struct cm_repeats {
    cm_repeat_t *slots; /* a power of two of them */
    size_t size, used;
} cm_repeats_t;

#define CM_REPEATS_INIT ((cm_repeats_t){NULL, 0, 0})

/* How many lines with this hash were counted in this second (since the epoch) before; counts this
 * one. The hash is of everything that makes lines identical, and well mixed. */
uint32_t cm_repeats_count(cm_repeats_t *repeats, uint64_t hash, uint32_t second);

void cm_repeats_free(cm_repeats_t *repeats);

#endif
