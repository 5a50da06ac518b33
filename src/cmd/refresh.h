/* What the commands that make answers share: process and run. */
#ifndef CM_CMD_REFRESH_H
#define CM_CMD_REFRESH_H

#include "base/progress.h"
#include "cmd/app.h"
#include "index/refresh.h"
#include "store/embedded.h"

/* "all", "day,hour": a bit 1 << cm_window_t each. CM_EUSAGE. */
int cm_windows_parse(const char *text, unsigned *windows, cm_err_t *err);

/* Options from the app's global ones. */
void cm_refresh_options(const cm_app_t *app, unsigned windows, cm_refresh_options_t *options);

/* A progress callback whose context is a cm_progress_t. */
void cm_refresh_progress(void *context, double share);

/* Appends the account of the answers as one JSON object. */
void cm_refreshed_add_json(cm_buf_t *buf, const cm_refreshed_t *done, double seconds);

/* Prints `accepted = events + duplicates`, or JSON where --json asks. */
void cm_refreshed_print(cm_app_t *app, const cm_refreshed_t *done, double seconds);

#endif
