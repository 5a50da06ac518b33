/* What `collect` and `run` share: events that come over HTTP, on their way to a sink.
 *
 * cm_collecting_open() makes what the HTTP server needs, cm_collecting_step() stores what has come
 * and lets it be answered. Used by one thread; the server's threads are its own business. */
#ifndef CM_SERVE_COLLECTING_H
#define CM_SERVE_COLLECTING_H

#include "cmd/app.h"
#include "enrich/enriching.h"
#include "serve/credentials.h"
#include "store/store.h"

#include <pthread.h>

/* Must not move while it is open. */
typedef struct cm_collecting {
    cm_app_t *app;
    const cm_collect_given_t *given;
    cm_enriching_t enriching;
    cm_posted_shared_t shared;
    cm_inbox_t *inbox;
    cm_collector_t *collector;
    cm_sender_token_t *tokens;
    cm_buf_t *secrets; /* theirs */
    cm_store_t *store; /* that the events go into; NULL: another sink */
    bool daily_stored; /* it knows of daily ids */
    cm_batch_t batch;
    uint64_t given_batches;
    atomic_bool full;     /* it is as large as it may become */
    int connections;      /* that may be open */
    int64_t day;          /* that the visitors' key was looked at for */
    cm_account_t account; /* of what is durable */
    cm_account_t failed;  /* of what could not be stored: its senders know */
    pthread_mutex_t lock; /* guards: */
    char trouble[300];    /* why nothing is stored; "": it is */
    int64_t trouble_ns;   /* when it was so last */
    char notice[300];     /* what is waited for though it is; "": nothing */
} cm_collecting_t;

/* The data directory is there. `store`: its embedded store, where that is open. CM_EUSAGE,
 * CM_EINPUT, CM_EIO. */
int cm_collecting_open(cm_collecting_t *collecting, cm_app_t *app, const cm_collect_given_t *given,
                       cm_store_t *store, cm_err_t *err);

/* Whether the settings can be used, as far as they can be looked at without opening anything else.
 */
int cm_collecting_check(cm_app_t *app, const cm_collect_given_t *given, cm_err_t *err);

/* What the server needs of it. */
void cm_collecting_serve(const cm_collecting_t *collecting, cm_server_options_t *options);

/* Stores what has come, after waiting up to `wait_ms` for it, and lets it be answered. When it
 * cannot be stored its senders are told so, and the failure is returned. 1: there may be more, 0:
 * it takes no more and is empty. */
int cm_collecting_step(cm_collecting_t *collecting, cm_sink_t *sink, int wait_ms, cm_err_t *err);

/* Whether a failure to store may pass by itself: a full disk, a server that is away, a lock. */
bool cm_collecting_passes(int code);

/* Steps until `stop`, then takes no more and stores what is there. A store that fails may work
 * again, when its disk has room: until then senders are told so, and this goes on. `tick` is called
 * after each step. */
int cm_collecting_run(cm_collecting_t *collecting, cm_sink_t *sink, const atomic_bool *stop,
                      void (*tick)(void *context), void *context, cm_err_t *err);

/* Says in /readyz what is waited for; "": nothing. */
void cm_collecting_notice(cm_collecting_t *collecting, const char *text);

/* Takes no more, and stores what is there. */
int cm_collecting_finish(cm_collecting_t *collecting, cm_sink_t *sink, cm_err_t *err);

/* What has become of all that came, with what was refused. */
cm_account_t cm_collecting_account(const cm_collecting_t *collecting);

/* Says who was refused: in a line of status, and after the account unless that is JSON. */
void cm_collecting_add_refused(const cm_collecting_t *collecting, cm_buf_t *line);
void cm_collecting_print_refused(const cm_collecting_t *collecting);

/* Tells those who still wait that their events are not stored: before the server is stopped. */
void cm_collecting_give_up(cm_collecting_t *collecting);

/* After the server. */
void cm_collecting_close(cm_collecting_t *collecting);

#endif
