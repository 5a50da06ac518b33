/* What the commands that make answers share: process and run. */
#ifndef CM_PIPELINE_WINDOWS_H
#define CM_PIPELINE_WINDOWS_H

#include "base/options.h"
#include "index/embedded/refresh.h"
#include "store/embedded/store.h"

/* What `process` keeps where nothing else is said: of the data directory's own events, and of those
 * that are elsewhere, or go elsewhere. Measured: docs/answers.md, "Which windows". */
#define CM_WINDOWS_HERE      "all,day"
#define CM_WINDOWS_ELSEWHERE "all"

/* For a const char *; NULL: not given. */
extern const cm_option_t cm_windows_option[];

/* "all", "day,hour": a bit 1 << cm_window_t each. CM_EUSAGE. */
int cm_windows_parse(const char *text, unsigned *windows, cm_err_t *err);

/* Adds the windows of which the store has answers of its own events. `*foreign`: it has answers of
 * another store, which its own would replace. `rebuild`: damaged answers are forgotten. */
int cm_windows_add_kept(cm_store_t *store, bool rebuild, unsigned *windows, bool *foreign,
                        cm_err_t *err);

#endif
