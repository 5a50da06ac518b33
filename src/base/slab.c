#include "base/slab.h"

#include "base/str.h"

#include <stdlib.h>

enum { SLAB = 2 * 1024 * 1024 };

static int add_slab(cm_slabs_t *slabs)
{
    void *slab = aligned_alloc(64, SLAB);

    if (slab == NULL)
        return -1;
    if (slabs->count == slabs->cap) {
        slabs->cap = slabs->cap ? slabs->cap * 2 : 16;
        slabs->slabs = cm_realloc(slabs->slabs, slabs->cap * sizeof *slabs->slabs);
    }
    slabs->slabs[slabs->count++] = slab;
    slabs->at = slab;
    slabs->end = slabs->at + SLAB;
    return 0;
}

void *cm_slabs_take(cm_slabs_t *slabs)
{
    void *piece = slabs->free_pieces;

    if (piece != NULL) {
        memcpy(&slabs->free_pieces, piece, sizeof slabs->free_pieces);
        return piece;
    }
    if (slabs->at == slabs->end && add_slab(slabs) < 0)
        return NULL;
    piece = slabs->at;
    slabs->at += CM_SLAB_PIECE;
    return piece;
}

void cm_slabs_give(cm_slabs_t *slabs, void *piece)
{
    memcpy(piece, &slabs->free_pieces, sizeof slabs->free_pieces);
    slabs->free_pieces = piece;
}

void cm_slabs_free(cm_slabs_t *slabs)
{
    for (size_t i = 0; i < slabs->count; i++)
        free(slabs->slabs[i]);
    free(slabs->slabs);
    *slabs = (cm_slabs_t){0};
}
