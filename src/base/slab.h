/* Slabs: thousands of equal pieces of memory, cut from larger ones.
 *
 * The mill spends most of its time waiting for fresh memory, so freed pieces are used again before
 * more memory is allocated. Huge pages (MADV_HUGEPAGE) were tried and are not used: on virtual
 * machines that give free memory back to their host, 256 MiB took 0.3 to 0.5 s with them and 0.1 s
 * without. cm_slabs_free() gives the memory back to the system. Used by one thread at a time. */
#ifndef CM_BASE_SLAB_H
#define CM_BASE_SLAB_H

#include <stddef.h>

enum { CM_SLAB_PIECE = 16 * 1024 };

typedef struct cm_slabs {
    void *free_pieces; /* each begins with a pointer to the next */
    void **slabs;
    size_t count, cap;
    char *at, *end; /* the unused rest of the newest slab */
} cm_slabs_t;

/* CM_SLAB_PIECE bytes, aligned to 64, not initialised; NULL when there is no memory. */
void *cm_slabs_take(cm_slabs_t *slabs);

/* Gives a piece back. It may come from another cm_slabs_t, if that one is freed later. */
void cm_slabs_give(cm_slabs_t *slabs, void *piece);

void cm_slabs_free(cm_slabs_t *slabs);

#endif
