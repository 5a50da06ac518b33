/* An arena: many small allocations that are freed together; each batch has one.
 *
 * Its memory is not initialised and lives until cm_arena_reset() or cm_arena_free(). It is aligned
 * to 16 bytes, except copied strings. Used by one thread at a time. */
#ifndef CM_BASE_ARENA_H
#define CM_BASE_ARENA_H

#include "base/str.h"

typedef struct cm_arena_chunk cm_arena_chunk_t;

typedef struct cm_arena {
    cm_arena_chunk_t *chunks; /* newest first */
    char *at, *end;
} cm_arena_t;

#define CM_ARENA_INIT ((cm_arena_t){NULL, NULL, NULL})

/* `size` bytes aligned to 16. Never NULL (see cm_alloc). */
void *cm_arena_alloc(cm_arena_t *arena, size_t size);

/* A copy of the slice, without a NUL at its end and without alignment. */
cm_str_t cm_arena_copy(cm_arena_t *arena, cm_str_t s);

/* Frees everything, except the largest chunk, which the next batch uses. */
void cm_arena_reset(cm_arena_t *arena);

void cm_arena_free(cm_arena_t *arena);

#endif
