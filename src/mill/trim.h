/* Trimming: it finds the old events that an update needs.
 *
 * The mill takes away the contributions of a user's events before an update and adds those of now.
 * Most of them are the same on both sides, so they may be left out on both. Of the old events of a
 * user with new events, these must be kept:
 *
 * - the events between the first and the last new one in time, and the nearest events before and
 *   after (all of them, where several have that millisecond): their gaps may change;
 * - one event, the witness, for each cell, url, country and site, in each window, that the user has
 *   been to before and is in again now: the user is not new there.
 *
 * That is right as long as no copies differ in url or country. Otherwise a witness may be a copy
 * that does not count, while the copy that counts is at another url and was not kept. And when a
 * new event replaces an old copy, the user may have been to the old copy's place at other times,
 * for which no witness was kept. So nothing is trimmed where copies differ (mill.c).
 *
 * Keeping more events than these is harmless. So an update examines each old event once, and does
 * little else. A cm_trim_t is filled by one thread and then shared; a cm_trimmer_t belongs to one
 * thread. */
#ifndef CM_MILL_TRIM_H
#define CM_MILL_TRIM_H

#include "mill/cells.h"
#include "store/store.h"

typedef struct cm_trim cm_trim_t;
typedef struct cm_trimmer cm_trimmer_t;

/* `users`: ids are below it. `urls`: the same; it is the url of events that are no page views,
 * which are kept only as possible copies. Never NULL. `layout` is borrowed. */
cm_trim_t *cm_trim_new(uint32_t users, uint32_t urls, unsigned windows,
                       const cm_packed_layout_t *layout);

/* Adds the new events of a block: its rows from `from` on. */
void cm_trim_learn(cm_trim_t *trim, const cm_columns_t *columns, uint32_t from);

void cm_trim_free(cm_trim_t *trim);

/* To be called when `trim` is complete; `trim` is borrowed. Never NULL. */
cm_trimmer_t *cm_trimmer_new(const cm_trim_t *trim);

/* Writes to `kept` (memory for `count` rows) which of the first `count` rows of the block must be
 * kept, and returns how many: the events from ordinal `since` on, and the old events that are
 * needed, except neighbours, which are known only at the end. It is quickest from the last block to
 * the first, because then the first neighbour that is found stays the nearest. */
uint32_t cm_trimmer_select(cm_trimmer_t *trimmer, const cm_columns_t *columns, uint32_t count,
                           int64_t since, uint32_t *kept);

/* Calls `take` for each neighbour that was not kept. The key of `packed` is the time alone. A value
 * below 0 from `take` ends it and is returned. */
int cm_trimmer_neighbours(const cm_trimmer_t *trimmer,
                          int (*take)(void *context, uint32_t user,
                                      const cm_packed_event_t *packed),
                          void *context);

void cm_trimmer_free(cm_trimmer_t *trimmer);

#endif
