/* What the commands that make answers share: process and run. */
#ifndef CM_PIPELINE_WINDOWS_H
#define CM_PIPELINE_WINDOWS_H

#include "base/progress.h"
#include "cmd/app.h"
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

/* Options from the app's global ones. */
void cm_refresh_options(const cm_app_t *app, unsigned windows, cm_index_refresh_options_t *options);

/* A progress callback whose context is a cm_progress_t. */
void cm_refresh_progress(void *context, double share);

/* Refreshes with progress on a terminal, from `other` where that is not NULL. `*seconds`: how long
 * it took. CM_ESTOP when the app shall stop: the answers are as they were. */
int cm_refresh_shown(cm_app_t *app, cm_store_t *store, cm_store_t *other,
                     cm_index_refresh_options_t *options, cm_index_refreshed_t *done,
                     double *seconds, cm_err_t *err);

/* Appends the account of the answers as one JSON object. */
void cm_refreshed_add_json(cm_buf_t *buf, const cm_index_refreshed_t *done, double seconds);

/* Prints `accepted = events + duplicates`, or JSON where --json asks. */
void cm_refreshed_print(cm_app_t *app, const cm_index_refreshed_t *done, double seconds);

#endif
