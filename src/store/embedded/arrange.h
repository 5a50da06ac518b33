/* Blocks in the order of timelines, in the embedded store.
 *
 * The first blocks of the store may be arranged: they belong to runs, and the table `timeline` says
 * to which. The blocks behind them are in the order of arrival, and small ones are merged
 * (merge.h). One thread, that of the writer's connection. */
#ifndef CM_STORE_EMBEDDED_ARRANGE_H
#define CM_STORE_EMBEDDED_ARRANGE_H

#include "store/store.h"

/* As cm_store_arrange(). */
int cm_store_embedded_arrange(cm_store_t *store, int64_t from, cm_store_arranged_fn next,
                              void *context, cm_err_t *err);

#endif
