/* Index handles for threads that answer: a handle serves one thread at a time, so that there are
 * as many as there are answers at once, opened when first needed and kept. */
#ifndef CM_SERVE_HANDLE_POOL_H
#define CM_SERVE_HANDLE_POOL_H

#include "serve/server.h"

#include <pthread.h>

enum { CM_HANDLE_POOL_KEPT = 16 };

typedef struct cm_handle_pool {
    cm_server_open_fn open;
    void *context;
    pthread_mutex_t lock; /* guards all below */
    cm_index_t *kept[CM_HANDLE_POOL_KEPT];
    int count;
} cm_handle_pool_t;

void cm_handle_pool_init(cm_handle_pool_t *handles, cm_server_open_fn open, void *context);

/* A handle for the calling thread alone, until it is given back. Errors are those of open(). */
int cm_handle_pool_take(cm_handle_pool_t *handles, cm_index_t **index, cm_err_t *err);

/* Gives a handle back; one that has failed (`healthy` false) is closed, so that the next question
 * opens the index anew. */
void cm_handle_pool_give(cm_handle_pool_t *handles, cm_index_t *index, bool healthy);

/* Closes what is kept; every handle must have been given back. */
void cm_handle_pool_free(cm_handle_pool_t *handles);

#endif
