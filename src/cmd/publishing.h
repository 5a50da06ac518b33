/* Publishing beside the work: a thread that keeps the index on Elasticsearch a copy of the embedded
 * one, so that a server that is slow or away holds up nothing else.
 *
 * The thread reads the data directory through connections of its own. What it has to write there
 * (how far the copy is, and what the server refused) waits until collect() puts it into the store:
 * only the owner's thread writes. When the program dies before that, more is sent again than is
 * needed. All functions are called by the owner's thread. */
#ifndef CM_CMD_PUBLISHING_H
#define CM_CMD_PUBLISHING_H

#include "cmd/app.h"
#include "cmd/elastic.h"
#include "index/mirror.h"
#include "pipeline/pipeline.h"
#include "pipeline/windows.h"
#include "store/store.h"

typedef struct cm_publishing cm_publishing_t;

/* Starts the thread. `store` is the embedded store that collect() will be called with. With
 * `rebuild` the first push makes new indices. A push that fails because the index vanished or
 * moved, or the server was away, is tried again, after growing waits: without end where `patient`,
 * else some times. Borrows the app and the options. */
int cm_publishing_start(cm_app_t *app, const cm_elastic_options_t *given, cm_store_t *store,
                        bool rebuild, bool patient, cm_publishing_t **publishing, cm_err_t *err);

/* The answers may have changed: a push begins, or follows the one at work. */
void cm_publishing_wake(cm_publishing_t *publishing);

/* Whether everything that cm_publishing_wake() was called for has been pushed and collected, or it
 * has failed. */
bool cm_publishing_idle(const cm_publishing_t *publishing);

/* Writes what is to be written into the store, which has nothing uncommitted. The failure that
 * ended the thread, as soon as there is one. */
int cm_publishing_collect(cm_publishing_t *publishing, cm_store_t *store, cm_err_t *err);

/* Waits until all is pushed, with a bar of progress where `bar`; collects. When the app is told to
 * stop it gives a server that is away 5 seconds more: CM_ESTOP then, and a line says so. */
int cm_publishing_finish(cm_publishing_t *publishing, cm_store_t *store, bool bar, cm_err_t *err);

/* All that was pushed so far. */
cm_index_mirrored_t cm_publishing_done(const cm_publishing_t *publishing);

/* Why Elasticsearch is being waited for, into `reason` of `size` bytes; false when it is not. */
bool cm_publishing_trouble(const cm_publishing_t *publishing, char *reason, size_t size);

/* ", 17 documents sent" and what else there is to say, for a line of status. */
void cm_publishing_add_status(const cm_publishing_t *publishing, cm_buf_t *line);

/* The account of what was pushed: a sentence, or a member of a JSON object without braces. */
void cm_pushed_print(cm_app_t *app, const cm_index_mirrored_t *pushed, const char *alias);
void cm_pushed_add_json(cm_buf_t *buf, const cm_index_mirrored_t *pushed);

/* What a run has taken in, what the whole store says, and what was pushed (`publishing` NULL:
 * nothing): sentences, or one JSON object. `dead_list` as for cm_app_print_account_as(). */
void cm_publishing_print_accounts(cm_app_t *app, const cm_account_t *taken, const char *dead_list,
                                  const cm_index_refreshed_t *answers, double seconds,
                                  const cm_publishing_t *publishing);

/* Ends the thread; a push at work is given up. NULL is fine. */
void cm_publishing_stop(cm_publishing_t *publishing);

#endif
