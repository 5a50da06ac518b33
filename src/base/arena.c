#include "base/arena.h"

#include <stdlib.h>

enum { CHUNK_MIN = 64 * 1024, ALIGN = 16 };

struct cm_arena_chunk {
    cm_arena_chunk_t *next;
    size_t size; /* of bytes[] */
    _Alignas(ALIGN) char bytes[];
};

static void grow(cm_arena_t *arena, size_t size)
{
    size_t want = arena->chunks ? arena->chunks->size * 2 : CHUNK_MIN;
    if (want < size)
        want = size;
    cm_arena_chunk_t *chunk = cm_alloc(sizeof *chunk + want);
    chunk->next = arena->chunks;
    chunk->size = want;
    arena->chunks = chunk;
    arena->at = chunk->bytes;
    arena->end = chunk->bytes + want;
}

void *cm_arena_alloc(cm_arena_t *arena, size_t size)
{
    size_t skip = -(uintptr_t)arena->at & (ALIGN - 1);
    if (arena->at == NULL || (size_t)(arena->end - arena->at) < skip + size) {
        grow(arena, size);
        skip = 0;
    }
    void *memory = arena->at + skip;
    arena->at += skip + size;
    return memory;
}

cm_str_t cm_arena_copy(cm_arena_t *arena, cm_str_t s)
{
    if (s.len == 0)
        return (cm_str_t){"", 0};
    if (arena->at == NULL || (size_t)(arena->end - arena->at) < s.len)
        grow(arena, s.len);
    char *copy = memcpy(arena->at, s.data, s.len);
    arena->at += s.len;
    return (cm_str_t){copy, s.len};
}

void cm_arena_reset(cm_arena_t *arena)
{
    cm_arena_chunk_t *keep = arena->chunks; /* the newest is the largest */
    if (keep == NULL)
        return;
    for (cm_arena_chunk_t *chunk = keep->next, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    keep->next = NULL;
    arena->at = keep->bytes;
    arena->end = keep->bytes + keep->size;
}

void cm_arena_free(cm_arena_t *arena)
{
    for (cm_arena_chunk_t *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *arena = CM_ARENA_INIT;
}
