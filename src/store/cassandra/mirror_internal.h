/* What the parts of the mirror share: mirror.c (its state), mirror_put.c (rows that have changed),
 * mirror_reader.c (reading without events that were replaced). One thread, except that readers read
 * it while nothing is put. */
#ifndef CM_STORE_CASSANDRA_MIRROR_INTERNAL_H
#define CM_STORE_CASSANDRA_MIRROR_INTERNAL_H

#include "store/cassandra/mirror.h"
#include "store/embedded/database.h"

struct cm_mirror {
    cm_store_t store; /* first: what the mill gets */
    char *directory;
    const cm_clock_t *clock;
    cm_store_t *inner;      /* the embedded store; NULL: opened for reading */
    cm_database_t database; /* of one that is opened for reading */
    int64_t *replaced;      /* ordinals of events that no longer count, ascending */
    size_t replaced_count, replaced_cap;
    int64_t run; /* number of the next transaction */
};

/* The file's connection. */
const cm_database_t *cm_mirror_database(const cm_mirror_t *mirror);

/* Notes that the event no longer counts; the list must be sorted afterwards. */
void cm_mirror_replace(cm_mirror_t *mirror, int64_t ordinal);
void cm_mirror_sort_replaced(cm_mirror_t *mirror);

/* How many replaced events are before the ordinal. */
size_t cm_mirror_replaced_before(const cm_mirror_t *mirror, int64_t ordinal);

/* A reader of all that was committed, replaced events too. */
int cm_mirror_inner_reader(const cm_mirror_t *mirror, cm_reader_t **reader, cm_err_t *err);

/* The operation of cm_store_ops_t. */
int cm_mirror_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err);

#endif
