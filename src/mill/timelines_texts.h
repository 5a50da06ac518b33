/* A list of strings that only grows: a string keeps its place, so threads may read the strings they
 * know of while another one adds some. */
#ifndef CM_MILL_TIMELINES_TEXTS_H
#define CM_MILL_TIMELINES_TEXTS_H

#include "base/arena.h"

enum { CM_TEXTS_FIRST = 1024, CM_TEXTS_CHUNKS = 23 /* each twice as large as the one before */ };

typedef struct cm_texts {
    cm_str_t *chunks[CM_TEXTS_CHUNKS];
    uint32_t count;
    cm_arena_t arena; /* of copies */
} cm_texts_t;

static inline cm_str_t *cm_texts_place(const cm_texts_t *texts, uint32_t number)
{
    const unsigned chunk = 31u - (unsigned)__builtin_clz(number / CM_TEXTS_FIRST + 1);
    return &texts->chunks[chunk][number - CM_TEXTS_FIRST * ((1u << chunk) - 1)];
}

static inline cm_str_t cm_texts_at(const cm_texts_t *texts, uint32_t number)
{
    return *cm_texts_place(texts, number);
}

/* Adds a string, which is borrowed. One thread at a time. */
static inline void cm_texts_add(cm_texts_t *texts, cm_str_t text)
{
    const unsigned chunk = 31u - (unsigned)__builtin_clz(texts->count / CM_TEXTS_FIRST + 1);

    if (texts->chunks[chunk] == NULL)
        texts->chunks[chunk] =
            cm_alloc(((size_t)CM_TEXTS_FIRST << chunk) * sizeof *texts->chunks[chunk]);
    *cm_texts_place(texts, texts->count) = text;
    texts->count++;
}

static inline void cm_texts_free(cm_texts_t *texts)
{
    for (int chunk = 0; chunk < CM_TEXTS_CHUNKS; chunk++)
        free(texts->chunks[chunk]);
    cm_arena_free(&texts->arena);
}

#endif
