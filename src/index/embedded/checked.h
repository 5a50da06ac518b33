/* The groups of rows that a reader has checked before, so that not each of its many queries adds up
 * all rows again: a group (index/embedded/checks.h) counts as checked for a minute, as long as its
 * checksum is the same. Of the other groups, a few are checked separately; where there are many,
 * the query checks all rows that it visits. One thread. */
#ifndef CM_INDEX_EMBEDDED_CHECKED_H
#define CM_INDEX_EMBEDDED_CHECKED_H

#include "index/embedded/checks.h"

typedef struct cm_checked_group {
    cm_check_group_t group;
    int64_t checked_ns;
} cm_checked_group_t;

/* Of one window and dimension; all zero: nothing was checked. */
typedef struct cm_checked {
    cm_checked_group_t *groups; /* by start */
    size_t count;
} cm_checked_t;

/* Whether the rows of all starts in [from, to] need no check by the query (`*fresh`). Checks the
 * few groups that have changed, in the query's transaction. CM_ECORRUPT. */
int cm_checked_fresh(cm_checked_t *checked, const cm_database_t *database, cm_window_t window,
                     cm_dimension_t dimension, int64_t from, int64_t to, bool *fresh,
                     cm_err_t *err);

/* Notes what a query has visited and compared: all groups with a start in [from, to]. */
void cm_checked_note(cm_checked_t *checked, const cm_check_scan_t *scan, int64_t from, int64_t to);

void cm_checked_free(cm_checked_t *checked);

#endif
