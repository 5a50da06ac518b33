/* Loads a plain JSONL file with several threads.
 *
 * The file is cut into regions at line ends. Each thread reads a region, parses its lines and
 * builds blocks with dictionaries of their own; steps that cannot be parallel are done in the order
 * of the regions: replacing ids by the store's, and appending to the store. The result is the same
 * as reading the file from front to back, whatever the number of threads. */
#ifndef CM_STORE_LOAD_H
#define CM_STORE_LOAD_H

#include "enrich/enricher.h"
#include "event/map.h"
#include "store/builder.h"

#include <stdatomic.h>

/* Where the blocks go. Each function is called by one thread at a time, for the regions in order;
 * but while a region is appended, later ones may be resolved. */
typedef struct cm_load_target {
    void *context;
    /* Replaces the builder's ids by the store's. */
    int (*resolve)(void *context, cm_builder_t *builder, cm_err_t *err);
    /* Takes an encoded builder; `rest` brings what belongs to the same transaction: dead letters,
     * position and account, once a region, with its last block. */
    int (*append)(void *context, cm_builder_t *builder, const cm_batch_t *rest, cm_err_t *err);
    bool answers_only; /* see cm_builder_t */
    const atomic_bool *frugal;
} cm_load_target_t;

typedef struct cm_load_options {
    const char *path;
    const char *source; /* name for the positions; "" when none are kept */
    int64_t position;   /* where to begin; a position inside a line or after the end counts as 0 */
    size_t region;      /* bytes of a region; 0: CM_LOAD_REGION */
    int threads;        /* 0: one more than processors */
    cm_timestamp_format_t times; /* how timestamps are read */
    const cm_event_map_t *map;   /* which members give fields; NULL: by their own names */
    cm_enrichment_t *enrichment; /* fills fields that events lack; NULL: none */
    const atomic_bool *stop;
    /* Called in order, between regions, with the bytes done and the file's size. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
} cm_load_options_t;

/* About a hundred thousand events: enough for blocks that compress well, small enough for memory
 * and for many threads. */
enum { CM_LOAD_REGION = 32 * 1024 * 1024 };

/* Loads the file. On failure, and when stopped, the regions before it are appended, and the target
 * knows how far. CM_EINPUT when the file cannot be read, or what the target returns. */
int cm_load_jsonl(const cm_load_options_t *options, const cm_load_target_t *target, cm_err_t *err);

#endif
