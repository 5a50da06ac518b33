#include "mill/grain.h"

int cm_heap_grow(cm_heap_t *heap, cm_slabs_t *slabs)
{
    cm_chunk_t *chunk = cm_slabs_take(slabs);

    if (chunk == NULL)
        return CM_ENOMEM;
    chunk->next = NULL;
    chunk->used = CM_CHUNK_BYTES;
    if (heap->last != NULL)
        heap->last->next = chunk;
    else
        heap->first = chunk;
    heap->last = chunk;
    heap->at = chunk->bytes;
    heap->end = chunk->bytes + CM_CHUNK_BYTES;
    heap->chunks++;
    return 0;
}

size_t cm_heap_close(cm_heap_t *heap)
{
    if (heap->last == NULL)
        return 0;
    heap->last->used = (size_t)(heap->at - heap->last->bytes);
    return (heap->chunks - 1) * CM_CHUNK_BYTES + heap->last->used;
}

void cm_heap_release(cm_heap_t *heap, cm_slabs_t *slabs)
{
    for (cm_chunk_t *chunk = heap->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        cm_slabs_give(slabs, chunk);
    }
    *heap = (cm_heap_t){0};
}
