/* The mill: exact answers from a store's columns.
 *
 * Answers are recomputed, not counted along: events are partitioned by user, each user's are put in
 * order of (timestamp, row_key), and one pass over that timeline gives everything. In it a copy of
 * an event stands next to its twin, and the one that counts (event/choice.h) stays; the time spent
 * is the difference to the neighbour, and whether the user has been to that cell before is known
 * from the timeline alone. What each event gives is then spread once more, by url, and added up
 * region by region of the urls: the cells at hand are in the cache, however many there are.
 *
 * All numbers are sums over users. That makes an update cheap and still exact: for the users who
 * have new events, what they gave before is taken away and what they give now is added; everybody
 * else is left alone, and so is what would be the same on both sides (trim.h). A first run is the
 * same with nothing to take away.
 *
 * What does not fit into memory is milled a part of the users at a time. */
#ifndef CM_MILL_MILL_H
#define CM_MILL_MILL_H

#include "mill/cells.h"
#include "mill/measures.h"
#include "store/store.h"

#include <stdatomic.h>

enum { CM_MILL_THREADS_MAX = 64 };

typedef struct cm_mill_options {
    int64_t session_timeout; /* ms; a longer gap ends a session */
    unsigned windows;        /* bit 1 << cm_window_t for each window wanted */
    int64_t since;           /* ordinal of the first new event; 0: everything is new */
    int64_t until;           /* ordinal to stop before; 0: the end of the store */
    bool differ;             /* of the events before `since`, copies are known to differ
                              * (cm_mill_result_t); else what they give need not be looked at */
    int64_t memory;          /* bytes for the events in hand, about; 0: no limit */
    int threads;             /* 0: one per processor; CM_MILL_THREADS_MAX at most */
    const atomic_bool *stop; /* when it becomes true the mill gives up with CM_ESTOP; may be NULL */
    /* A bit an event of the store, set for copies (all but the one of a row key that counts); then
     * nothing else is computed. NULL: answers are. cm_mill_copies() sets it. */
    atomic_uchar *copies;
    /* A further reader of the same store, for each thread; called from the calling thread. All must
     * see the same blocks: beside a writer of another process, only one thread's does. */
    int (*reader)(void *context, cm_reader_t **reader, cm_err_t *err);
    void *context;
    /* Called from the calling thread now and then with the contribution done, 0..1; may be NULL. */
    void (*progress)(void *context, double fraction);
    void *progress_context;
} cm_mill_options_t;

typedef struct cm_mill_result {
    /* Changes to add to the answers, by window, url, country (CM_CELL_ALL last); some may be zero.
     */
    cm_cell_t **cells;
    size_t count;
    int64_t end_ordinal; /* events of the store that the answers cover now */
    int64_t events;      /* change of the number of distinct events */
    bool differ;         /* there are copies of one event at different places (url, country) */
    /* what the cells belong to */
    cm_cells_t *tables;
    uint32_t table_count;
} cm_mill_result_t;

/* Mills the store. The caller frees the result; on failure it is empty. */
int cm_mill(const cm_mill_options_t *options, cm_mill_result_t *result, cm_err_t *err);

void cm_mill_result_free(cm_mill_result_t *result);

/* Finds the events that are copies of one that counts in their place. `*copies` gets a bit an event
 * (least significant first) for `*end_ordinal` events; the caller frees it. Of the options only
 * reader, memory and threads are used. */
int cm_mill_copies(const cm_mill_options_t *options, uint8_t **copies, int64_t *end_ordinal,
                   cm_err_t *err);

#endif
