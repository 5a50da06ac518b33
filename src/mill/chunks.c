#include "mill/chunks.h"

int cm_chunk_list_grow(cm_chunk_list_t *list, cm_slabs_t *slabs)
{
    cm_chunk_t *chunk = cm_slabs_take(slabs);

    if (chunk == NULL)
        return CM_ENOMEM;
    chunk->next = NULL;
    chunk->used = CM_CHUNK_BYTES;
    if (list->last != NULL)
        list->last->next = chunk;
    else
        list->first = chunk;
    list->last = chunk;
    list->at = chunk->bytes;
    list->end = chunk->bytes + CM_CHUNK_BYTES;
    list->chunks++;
    return 0;
}

size_t cm_chunk_list_close(cm_chunk_list_t *list)
{
    if (list->last == NULL)
        return 0;
    list->last->used = (size_t)(list->at - list->last->bytes);
    return (list->chunks - 1) * CM_CHUNK_BYTES + list->last->used;
}

void cm_chunk_list_release(cm_chunk_list_t *list, cm_slabs_t *slabs)
{
    for (cm_chunk_t *chunk = list->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        cm_slabs_give(slabs, chunk);
    }
    *list = (cm_chunk_list_t){0};
}
