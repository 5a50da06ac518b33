/* Windows: which answers are kept, over all time, per day or per hour.
 *
 * The store is borrowed; used by the thread that owns it. */
#ifndef CM_PIPELINE_WINDOWS_H
#define CM_PIPELINE_WINDOWS_H

#include "base/options.h"
#include "store/store.h"

/* What `process` keeps by default: of the events in the data directory; and where events or answers
 * are elsewhere. Measured: docs/answers.md, "Which windows". */
#define CM_WINDOWS_HERE      "all,day"
#define CM_WINDOWS_ELSEWHERE "all"

/* For a const char *; NULL: not given. */
extern const cm_option_t cm_windows_option[];

/* Parses "all" or "day,hour" into a mask (cm_window_mask()). CM_EUSAGE. */
int cm_windows_parse(const char *text, unsigned *windows, cm_err_t *err);

/* Adds the windows that the store has answers for, from its own events. `*foreign`: it has answers
 * of the events of another store, which its own would replace. `rebuild`: damaged answers are
 * forgotten. Nothing is uncommitted in the store. */
int cm_windows_add_kept(cm_store_t *store, bool rebuild, unsigned *windows, bool *foreign,
                        cm_err_t *err);

#endif
