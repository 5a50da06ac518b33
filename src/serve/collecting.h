/* What `collect` and `run` share: events that come over HTTP, on their way to a sink.
 *
 * cm_collecting_open() makes what the HTTP server needs, cm_collecting_step() stores what has come
 * and lets it be answered. Used by one thread; the server's threads are its own business. */
#ifndef CM_SERVE_COLLECTING_H
#define CM_SERVE_COLLECTING_H

#include "enrich/options.h"
#include "pipeline/pipeline.h"
#include "serve/credentials.h"
#include "store/store.h"

#include <pthread.h>

/* For a loop that does nothing else: how long a step waits for events, and the pause after a step
 * that failed. */
enum { CM_COLLECTING_WAIT_MS = 200, CM_COLLECTING_REST_MS = 200 };

/* Must not move while it is open. */
typedef struct cm_collecting {
    const char *data_dir;
    const cm_collect_given_t *given; /* NULL: not open */
    cm_pipeline_t pipeline;          /* from the inbox; its `failed` was refused to its senders */
    cm_enrich_thread_t enriching;
    cm_posted_shared_t shared;
    cm_inbox_t *inbox;
    cm_collector_t *collector;
    cm_sender_token_t *tokens;
    cm_buf_t *secrets;    /* theirs */
    cm_store_t *store;    /* that the events go into; NULL: another sink */
    bool daily_stored;    /* it knows of daily ids */
    atomic_bool full;     /* it is as large as it may become */
    int connections;      /* that may be open */
    int64_t day;          /* that the visitors' key was looked at for */
    pthread_mutex_t lock; /* guards: */
    char trouble[300];    /* why nothing is stored; "": it is */
    int64_t trouble_ns;   /* when it was so last */
    char notice[300];     /* what is waited for though it is; "": nothing */
} cm_collecting_t;

/* The data directory is there. `store`: its embedded store, where that is open. CM_EUSAGE,
 * CM_EINPUT, CM_EIO. */
int cm_collecting_open(cm_collecting_t *collecting, const cm_pipeline_env_t *env,
                       const char *data_dir, const cm_collect_given_t *given, cm_store_t *store,
                       cm_err_t *err);

/* Whether the settings can be used, as far as they can be looked at without opening anything else.
 */
int cm_collecting_check(const cm_collect_given_t *given, cm_err_t *err);

/* What the server needs of it. */
void cm_collecting_serve(const cm_collecting_t *collecting, cm_server_options_t *options);

/* Stores what has come, after waiting up to `wait_ms` for it, and lets it be answered. When it
 * cannot be stored its senders are told so, and the failure is returned. 1: there may be more, 0:
 * it takes no more and is empty. */
int cm_collecting_step(cm_collecting_t *collecting, int wait_ms, cm_err_t *err);

/* Whether a failure to store may pass by itself: a full disk, a server that is away, a lock. */
bool cm_collecting_passes(int code);

/* Says in /readyz what is waited for; "": nothing. */
void cm_collecting_notice(cm_collecting_t *collecting, const char *text);

/* Takes no more, and stores what is there. */
int cm_collecting_finish(cm_collecting_t *collecting, cm_err_t *err);

/* What has become of all that came, with what was refused. */
cm_account_t cm_collecting_account(const cm_collecting_t *collecting);

/* Says who was refused: in a line of status, and after the account unless that is JSON. */
void cm_collecting_add_refused(const cm_collecting_t *collecting, cm_buf_t *line);
void cm_collecting_print_refused(const cm_collecting_t *collecting, FILE *messages);

/* Tells those who still wait that their events are not stored: before the server is stopped. */
void cm_collecting_give_up(cm_collecting_t *collecting);

/* After the server. */
void cm_collecting_close(cm_collecting_t *collecting);

#endif
