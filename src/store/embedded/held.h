/* A data directory that another process holds, seen from a process that writes into it: a store
 * that sends its batches to the holder (holder.h), which stores them and answers commits. Of the
 * operations of a data directory it has the position, the secret and the older row keys; it has no
 * readers. Used by one thread. */
#ifndef CM_STORE_EMBEDDED_HELD_H
#define CM_STORE_EMBEDDED_HELD_H

#include "store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

/* Connects to the holder of a data directory. `*store` is NULL, and the result 0, when no holder
 * listens: it has ended, or does not share its directory. Once `stop` is true, and nothing has come
 * from the holder for some seconds, waiting for it ends. `messages` gets a line when a wait is
 * long. CM_EBUSY: the holder refuses. */
int cm_held_open(const char *data_dir, const atomic_bool *stop, FILE *messages, cm_store_t **store,
                 cm_err_t *err);

/* The process that holds the directory of the store; 0 when the store is not from cm_held_open().
 */
long cm_held_process(const cm_store_t *store);

/* Whether the holder keeps the answers up to date. */
bool cm_held_answers(const cm_store_t *store);

#endif
