/* A chunk list: items of one size in chunks of memory, added at the end by one thread.
 *
 * The mill moves all events and contributions in such lists, because its time is the time that
 * memory takes, fresh memory most of all. The chunks come from a thread's slabs (base/slab.h) and
 * go back to those of the thread that reads them, so contributions reuse the memory that packed
 * events have left. A list has no lock: the threads change at the end of a phase (run.h). */
#ifndef CM_MILL_CHUNKS_H
#define CM_MILL_CHUNKS_H

#include "base/err.h"
#include "base/slab.h"

#include <stddef.h>

/* Items of 8 or of 16 bytes fill a chunk without a rest. */
enum { CM_CHUNK_BYTES = CM_SLAB_PIECE - 16 };

typedef struct cm_chunk {
    struct cm_chunk *next;
    size_t used; /* bytes; of the last chunk it is right only after cm_chunk_list_close() */
    _Alignas(16) unsigned char bytes[CM_CHUNK_BYTES];
} cm_chunk_t;

/* All zero is an empty list. */
typedef struct cm_chunk_list {
    unsigned char *at, *end; /* of the last chunk */
    cm_chunk_t *first, *last;
    size_t chunks;
} cm_chunk_list_t;

/* Adds a chunk at the end of the list; CM_ENOMEM. */
int cm_chunk_list_grow(cm_chunk_list_t *list, cm_slabs_t *slabs);

/* Memory for one more item of `size` bytes, the same for all items of a list; NULL when there is no
 * memory. */
static inline void *cm_chunk_list_add(cm_chunk_list_t *list, cm_slabs_t *slabs, size_t size)
{
    if (list->at == list->end && cm_chunk_list_grow(list, slabs) < 0)
        return NULL;
    void *item = list->at;
    list->at += size;
    return item;
}

/* Sets `used` of the last chunk, which must be done before chunks are read. Returns the bytes of
 * all items. */
size_t cm_chunk_list_close(cm_chunk_list_t *list);

/* Gives the chunks to `slabs` and leaves an empty list. */
void cm_chunk_list_release(cm_chunk_list_t *list, cm_slabs_t *slabs);

#endif
