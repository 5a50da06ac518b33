#include "mill/packed.h"

int cm_chunk_list_grow(cm_chunk_list_t *heap, cm_slabs_t *slabs)
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

size_t cm_chunk_list_close(cm_chunk_list_t *heap)
{
    if (heap->last == NULL)
        return 0;
    heap->last->used = (size_t)(heap->at - heap->last->bytes);
    return (heap->chunks - 1) * CM_CHUNK_BYTES + heap->last->used;
}

void cm_chunk_list_release(cm_chunk_list_t *heap, cm_slabs_t *slabs)
{
    for (cm_chunk_t *chunk = heap->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        cm_slabs_give(slabs, chunk);
    }
    *heap = (cm_chunk_list_t){0};
}

static unsigned bits_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

cm_compact_layout_t cm_compact_layout_for(uint64_t users, uint32_t urls, unsigned country_bits,
                                          int64_t first, int64_t last)
{
    const unsigned user_bits = bits_of(users), place_bits = bits_of(urls) + country_bits;
    const unsigned time_bits = bits_of((uint64_t)(last - first));
    const unsigned spent_bits = bits_of((uint64_t)(last / 1000 - first / 1000));

    return (cm_compact_layout_t){
        .on = user_bits + time_bits + place_bits <= 64 && time_bits + place_bits < 64 &&
              place_bits + CM_CONTRIBUTION_COMPACT_BITS + spent_bits <= 64 &&
              time_bits <= CM_PACKED_TIME_BITS,
        .time_bits = time_bits,
        .place_bits = place_bits,
        .spent_bits = spent_bits,
        .first_time = first};
}
