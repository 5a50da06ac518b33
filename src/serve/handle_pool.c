#include "serve/handle_pool.h"

void cm_handle_pool_init(cm_handle_pool_t *handles, cm_server_open_fn open, void *context)
{
    handles->open = open;
    handles->context = context;
    handles->count = 0;
    pthread_mutex_init(&handles->lock, NULL);
}

int cm_handle_pool_take(cm_handle_pool_t *handles, cm_index_t **index, cm_err_t *err)
{
    cm_index_t *kept = NULL;

    pthread_mutex_lock(&handles->lock);
    if (handles->count > 0)
        kept = handles->kept[--handles->count];
    pthread_mutex_unlock(&handles->lock);
    /* Outside the lock: when a server does not answer, the threads must not wait one after the
     * other. */
    if (kept == NULL)
        return handles->open(handles->context, index, err);
    *index = kept;
    return 0;
}

void cm_handle_pool_give(cm_handle_pool_t *handles, cm_index_t *index, bool healthy)
{
    pthread_mutex_lock(&handles->lock);
    if (healthy && handles->count < CM_HANDLE_POOL_KEPT) {
        handles->kept[handles->count++] = index;
        index = NULL;
    }
    pthread_mutex_unlock(&handles->lock);
    cm_index_close(index);
}

void cm_handle_pool_free(cm_handle_pool_t *handles)
{
    for (int i = 0; i < handles->count; i++)
        cm_index_close(handles->kept[i]);
    pthread_mutex_destroy(&handles->lock);
}
