/* Trimming: which old events an update must look at.
 *
 * The mill takes away what a user's events gave before an update and adds what they give now. Most
 * of it is the same on both sides, so it may be left out on both. What must stay in hand of the old
 * events of a user who has new ones:
 *
 * - those between the first and the last new one in time, and the nearest ones before and after
 *   (all of them, where several contribution that millisecond): their gaps may change;
 * - one for every cell, url, country and site, in every window, that the user has been to
 *   before and is in again now: the user is not new there.
 *
 * That holds as long as no copies differ in url or country. A witness may be a copy of an event at
 * another url that counts in its place, and that is not at hand. And where a new event takes the
 * place of an old copy, its user may have been where that one was at other times, which nobody has
 * looked for. So nothing is trimmed where copies differ (mill.c).
 *
 * More than that does no harm. So an update costs a look at every old event, and little else. A
 * cm_trim_t is filled by one thread and then shared, a cm_trimmer_t belongs to one thread. */
#ifndef CM_MILL_TRIM_H
#define CM_MILL_TRIM_H

#include "mill/cells.h"
#include "store/store.h"

typedef struct cm_trim cm_trim_t;
typedef struct cm_trimmer cm_trimmer_t;

/* `users`: ids are below it. */
cm_trim_t *cm_trim_new(uint32_t users, unsigned windows, const cm_packed_layout_t *layout);

/* Learns the new events of a block, those from `from` on. */
void cm_trim_learn(cm_trim_t *trim, const cm_columns_t *columns, uint32_t from);

void cm_trim_free(cm_trim_t *trim);

/* When everything is learnt. `trim` must live as long. */
cm_trimmer_t *cm_trimmer_new(const cm_trim_t *trim);

/* Writes into `kept` (room for `count`) which of the first `count` events of the block must be
 * kept: those from ordinal `since` on, and what is needed of the old ones. Others may still come
 * out as neighbours at the end. Quickest when later blocks come first, because then the first
 * neighbour before stays the nearest. */
uint32_t cm_trimmer_select(cm_trimmer_t *trimmer, const cm_columns_t *columns, uint32_t count,
                           int64_t since, uint32_t *kept);

/* Calls `take` for each neighbour that was not kept; `packed` has the time as its key. */
int cm_trimmer_neighbours(const cm_trimmer_t *trimmer,
                          int (*take)(void *context, uint32_t user,
                                      const cm_packed_event_t *packed),
                          void *context);

void cm_trimmer_free(cm_trimmer_t *trimmer);

#endif
