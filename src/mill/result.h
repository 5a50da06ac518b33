/* The mill's result: all cells in one order. Used by one thread, after all phases. */
#ifndef CM_MILL_RESULT_H
#define CM_MILL_RESULT_H

#include "mill/mill.h"

/* Fills result->cells from the sorted tables: those of the regions (an array of `count`, a power of
 * two; NULL: none) and `wide`. The result takes over the tables; `wide` is empty afterwards. */
void cm_result_collect(cm_mill_result_t *result, cm_cells_t *regions, uint32_t count,
                       cm_cells_t *wide);

#endif
