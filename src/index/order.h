/* The contract's cells in the order of answers: clicks descending, then url, then country.
 *
 * With a million urls, comparing strings cell by cell would take longer than all the rest: so the
 * strings are sorted once each, and the cells then by counting. One thread, that of the reader. */
#ifndef CM_INDEX_ORDER_H
#define CM_INDEX_ORDER_H

#include "mill/mill.h"

/* The result's cells of one url and one country, of a mill of one window, in that order. The caller
 * frees the array; the cells belong to the result. */
int cm_order_cells(const cm_mill_result_t *result, cm_reader_t *reader, const cm_cell_t ***cells,
                   size_t *count, cm_err_t *err);

#endif
