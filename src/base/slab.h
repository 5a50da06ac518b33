/* Slabs: equal pieces of memory by the thousands, cut from large pages.
 *
 * Fresh memory costs a page fault each 4 KiB, which took a third of the mill's time; a slab is
 * 2 MiB in one fault where the kernel has huge pages. Freed pieces are used again; the memory goes
 * back to the system with cm_slabs_free(). One thread. */
#ifndef CM_BASE_SLAB_H
#define CM_BASE_SLAB_H

#include <stddef.h>

enum { CM_SLAB_PIECE = 16 * 1024 };

typedef struct cm_slabs {
    void *free_pieces; /* each begins with a pointer to the next */
    void **slabs;
    size_t count, cap;
    char *at, *end; /* what is left of the newest slab */
} cm_slabs_t;

/* CM_SLAB_PIECE bytes, aligned to 64, not initialised; NULL when there is no memory. */
void *cm_slabs_take(cm_slabs_t *slabs);

/* Gives a piece back, also one that another cm_slabs_t has handed out and that outlives this one.
 */
void cm_slabs_give(cm_slabs_t *slabs, void *piece);

void cm_slabs_free(cm_slabs_t *slabs);

#endif
