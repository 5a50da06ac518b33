/* What a reader that answers many questions has checked already, so that each of them need not add
 * up all rows again: groups of rows (index/embedded/checks.h) whose checksum is still that with
 * which they were checked, for a minute. Of the others few are checked by themselves; where there
 * are many, the question checks all that it visits. One thread. */
#ifndef CM_INDEX_CHECKED_H
#define CM_INDEX_CHECKED_H

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

/* Whether the rows of all starts in [from, to] need no check by the question (`*fresh`). Checks
 * those few that have changed, in the question's transaction. CM_ECORRUPT. */
int cm_checked_fresh(cm_checked_t *checked, const cm_database_t *database, cm_window_t window,
                     cm_dimension_t dimension, int64_t from, int64_t to, bool *fresh,
                     cm_err_t *err);

/* Notes what a question has seen and compared: all groups with a start in [from, to]. */
void cm_checked_note(cm_checked_t *checked, const cm_check_scan_t *scan, int64_t from, int64_t to);

void cm_checked_free(cm_checked_t *checked);

#endif
