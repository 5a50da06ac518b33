/* What `query` says beside its answers: how far they are, and what to do when there are none.
 * One thread. */
#ifndef CM_CMD_QUERY_NOTES_H
#define CM_CMD_QUERY_NOTES_H

#include "cmd/app.h"
#include "index/open.h"

/* Adds to the error of an index that does not exist where the answers of the demo are. Returns its
 * code. */
int cm_query_fail_empty(cm_app_t *app);

/* Prints why there are no answers, or that they do not cover all events, and what to do. */
int cm_query_note_freshness(cm_app_t *app, cm_window_t window, const cm_index_settings_t *settings,
                            cm_index_t *index, const cm_freshness_t *freshness);

/* Prints what daily visitors are. */
void cm_query_note_daily(cm_app_t *app);

#endif
