/* Several readers of one moment of a store, one for each thread that reads.
 *
 * Readers that are opened one after the other beside a writer may see different blocks; these see
 * the same. The caller closes them before the store. One thread. */
#ifndef CM_STORE_READERS_H
#define CM_STORE_READERS_H

#include "store/store.h"

typedef struct cm_readers {
    cm_reader_t **list;
    int count, taken; /* those that were taken belong to who took them */
} cm_readers_t;

/* Opens `count` readers. CM_EBUSY when a writer commits all the time, and the errors of readers. */
int cm_readers_open(cm_store_t *store, int count, cm_readers_t *readers, cm_err_t *err);

/* Gives the next reader, which then belongs to the caller; the context is a cm_readers_t. */
int cm_readers_take(void *context, cm_reader_t **reader, cm_err_t *err);

/* Closes those that were not taken. */
void cm_readers_close(cm_readers_t *readers);

#endif
