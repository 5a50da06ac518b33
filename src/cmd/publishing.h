/* The mirror of the answers, as the commands that compute answers use it: its start, its account.
 * Used by the thread that owns the store. */
#ifndef CM_CMD_PUBLISHING_H
#define CM_CMD_PUBLISHING_H

#include "cmd/app.h"
#include "index/mirror.h"
#include "pipeline/pipeline.h"

/* Starts a mirror of the embedded index, which is made from `store`, into the index of the
 * settings; NULL where these mean the embedded index itself. `rebuild` and `endless` as for
 * cm_index_mirror_start(). */
int cm_publishing_start(cm_app_t *app, const cm_index_settings_t *target, cm_store_t *store,
                        bool rebuild, bool endless, cm_index_mirror_t **mirror);

/* The account of what was sent to the index at `place`: a sentence, or a member of a JSON object
 * without braces. */
void cm_publishing_print(cm_app_t *app, const cm_index_applied_t *applied, const char *place);
void cm_publishing_add_json(cm_buf_t *buf, const cm_index_applied_t *applied);

/* Prints what a run has read, what the whole store has, and what was sent (`mirror` NULL: nothing):
 * sentences, or one JSON object. `dead_list` as for cm_app_print_account_as(). */
void cm_publishing_print_accounts(cm_app_t *app, const cm_account_t *taken, const char *dead_list,
                                  const cm_index_refreshed_t *answers, double seconds,
                                  const cm_index_mirror_t *mirror);

#endif
