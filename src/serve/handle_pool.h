/* A pool of index handles for the threads that answer. One handle serves one thread at a time, so
 * there are as many handles as answers at once. They are opened when they are first needed, and
 * kept.
 *
 * Any thread may take and give. */
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

/* Gives the calling thread a handle until it is given back. Errors are those of open(). */
int cm_handle_pool_take(cm_handle_pool_t *handles, cm_index_t **index, cm_err_t *err);

/* Gives a handle back. One that has failed (`healthy` false) is closed, so that the next query
 * opens the index again. */
void cm_handle_pool_give(cm_handle_pool_t *handles, cm_index_t *index, bool healthy);

/* Closes the kept handles; every handle must have been given back. */
void cm_handle_pool_free(cm_handle_pool_t *handles);

#endif
