/* The mill: it computes exact answers from a store's columns.
 *
 * Answers are recomputed, not counted while events arrive. Events are partitioned by user; each
 * user's events are put in order of (timestamp, row_key); one pass over that timeline gives
 * everything. In the timeline, copies of an event are neighbours, and only the one that counts
 * (event/choice.h) is kept. The time spent is the difference to the next event. Whether the user
 * has been to a cell before is known from the timeline alone. The contributions of the events are
 * then spread once more, by url, and added up for one region of the urls after the other, so that
 * the cells in use are in the cache, however many there are.
 *
 * All measures are sums over users. That makes an update cheap and still exact: for the users with
 * new events, the contributions from before are taken away and the new ones are added. Other users
 * are not touched, and neither is what would be the same on both sides (trim.h). A first run is
 * the same with nothing to take away.
 *
 * When the events do not fit into memory, the mill takes a part of the users at a time.
 *
 * A call starts its own threads and ends them before it returns. Calls that run at the same time
 * share nothing. */
#ifndef CM_MILL_MILL_H
#define CM_MILL_MILL_H

#include "mill/cells.h"
#include "mill/measures.h"
#include "mill/team.h"
#include "store/store.h"

#include <stdatomic.h>

enum { CM_MILL_THREADS_MAX = CM_TEAM_MAX };

typedef struct cm_mill_options {
    int64_t session_timeout; /* ms; a longer gap ends a session */
    unsigned windows;        /* the windows wanted, a mask (measures.h) */
    int64_t since;           /* ordinal of the first new event; 0: everything is new */
    int64_t until;           /* ordinal to stop before; 0: the end of the store */
    bool differ;             /* there are differing copies (cm_mill_result_t) before `since`; if
                              * not, an update may leave out most of the old events (trim.h) */
    int64_t memory;          /* bytes for the events held at once, about; 0: no limit */
    int threads;             /* 0: one per processor; CM_MILL_THREADS_MAX at most */
    const atomic_bool *stop; /* when it becomes true the mill returns CM_ESTOP; may be NULL */
    const cm_log_t *log;     /* gets debug entries of the plan (CM_DEBUG_MILL); may be NULL */
    /* A bitmap of the store's events, in which the mill marks copies: all events of a row key
     * except the one that counts. Then it computes nothing else. NULL: it computes answers. Set by
     * cm_mill_copies(). */
    atomic_uchar *copies;
    /* Opens a further reader of the same store, one for each thread; called from the calling
     * thread. All readers must see the same blocks. While another process writes, that is only
     * certain for one reader, so use one thread then. */
    int (*reader)(void *context, cm_reader_t **reader, cm_err_t *err);
    void *context;
    /* Called from the calling thread from time to time with the fraction done, 0 to 1; may be NULL.
     */
    void (*progress)(void *context, double fraction);
    void *progress_context;
} cm_mill_options_t;

typedef struct cm_mill_result {
    /* Changes to add to the answers, in order of window, url, country (CM_CELL_ALL last). Some may
     * be zero. */
    cm_cell_t **cells;
    size_t count;
    int64_t end_ordinal; /* the answers cover the events before it */
    int64_t events;      /* change of the number of distinct events */
    bool differ;         /* there are copies of one event with different url or country */
    /* Owns the cells. */
    cm_cells_t *tables;
    uint32_t table_count;
} cm_mill_result_t;

/* Computes the answers, or their changes since `since`. The caller frees the result; on failure it
 * is empty. CM_ESTOP when stopped, CM_ECORRUPT, CM_ENOMEM, CM_EINTERNAL when the store has too many
 * events, urls and countries, and what the readers return. */
int cm_mill(const cm_mill_options_t *options, cm_mill_result_t *result, cm_err_t *err);

void cm_mill_result_free(cm_mill_result_t *result);

/* Finds the events that are copies and do not count. `*copies` becomes a bitmap (base/bitmap.h) of
 * the events before `*end_ordinal`; the caller frees it. Of the options only reader, memory and
 * threads are used. */
int cm_mill_copies(const cm_mill_options_t *options, uint8_t **copies, int64_t *end_ordinal,
                   cm_err_t *err);

#endif
