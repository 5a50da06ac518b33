/* What the mill has computed, as an index: for comparing it with another one.
 *
 * One thread. */
#ifndef CM_INDEX_COMPUTED_H
#define CM_INDEX_COMPUTED_H

#include "index/index.h"
#include "mill/mill.h"

/* An index of the result, which was computed of all events; `strings` has its urls and countries.
 * Borrows both. `daily`: ids of visitors live for one UTC day. It answers queries for all rows of a
 * window and a dimension, and no others: CM_EINTERNAL. The caller closes it. */
cm_index_t *cm_index_computed_new(const cm_mill_result_t *result, cm_reader_t *strings, bool daily);

#endif
