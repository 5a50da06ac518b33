/* Counts the identical lines of each second, in memory that does not grow with the log.
 *
 * The count is the k of an access log's row key: the first of some identical lines has 0, the next
 * one in the same second has 1, and so on. The same lines in the same order give the same numbers.
 * An entry that is more than an hour away from the current line may be forgotten (a log is nearly
 * in order). When a site is so busy that CM_REPEATS_MAX slots are too few for an hour, the span is
 * halved until they suffice. A line that is further than the span from its identical lines may
 * count from 0 again. One thread at a time. */
#ifndef CM_SOURCE_FILE_REPEATS_H
#define CM_SOURCE_FILE_REPEATS_H

#include <stddef.h>
#include <stdint.h>

enum {
    CM_REPEATS_SPAN = 3600,           /* seconds before and after that are kept if there is space */
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

/* Counts a line and returns how many lines with this hash were counted before in this second (since
 * the epoch). The hash must be well mixed and cover everything that makes lines identical. */
uint32_t cm_repeats_count(cm_repeats_t *repeats, uint64_t hash, uint32_t second);

void cm_repeats_free(cm_repeats_t *repeats);

#endif
