/* Collecting, as `collect` and `run` share it: events that arrive over HTTP, on their way to a
 * sink.
 *
 * cm_collecting_open() makes the parts that the HTTP server needs; cm_collecting_step() stores the
 * events that have arrived, after which their requests are answered. The struct belongs to the
 * caller and is used by one thread; the server's threads use only its collector and its callbacks,
 * and any thread may call cm_collecting_account(). */
#ifndef CM_SERVE_COLLECTING_H
#define CM_SERVE_COLLECTING_H

#include "enrich/options.h"
#include "pipeline/pipeline.h"
#include "serve/credentials.h"
#include "store/store.h"

#include <pthread.h>

/* For a loop that only collects: how long a step waits for events, and the pause after a step that
 * has failed. */
enum { CM_COLLECTING_WAIT_MS = 200, CM_COLLECTING_REST_MS = 200 };

/* Must not be moved while it is open. */
typedef struct cm_collecting {
    const char *data_dir;
    const cm_collect_given_t *given; /* NULL: not open */
    cm_pipeline_t pipeline; /* from the inbox; the senders of its `failed` events got an error */
    cm_enrich_thread_t enriching;
    cm_posted_shared_t shared;
    cm_inbox_t *inbox;
    cm_collector_t *collector;
    cm_sender_token_t *tokens;
    cm_buf_t *secrets;    /* of the tokens */
    cm_store_t *store;    /* that stores the events; NULL: there is another sink */
    bool daily_stored;    /* the store has recorded that ids are daily */
    atomic_bool full;     /* the store has reached its limit */
    int connections;      /* that may be open at once */
    int64_t day;          /* of which the visitors' key was read last */
    pthread_mutex_t lock; /* guards: */
    cm_account_t account; /* the pipeline's, as of its last commit */
    char trouble[300];    /* the error of the last attempt to store; "": none */
    int64_t trouble_ns;   /* when it occurred last */
    char notice[300];     /* what it waits for although it stores; "": nothing */
} cm_collecting_t;

/* The data directory exists. `store`: its embedded store, if that is open, else NULL. CM_EUSAGE,
 * CM_EINPUT, CM_EIO. */
int cm_collecting_open(cm_collecting_t *collecting, const cm_pipeline_env_t *env,
                       const char *data_dir, const cm_collect_given_t *given, cm_store_t *store,
                       cm_err_t *err);

/* Checks the settings, as far as that is possible without opening anything else. CM_EUSAGE. */
int cm_collecting_check(const cm_collect_given_t *given, cm_err_t *err);

/* Fills the server's options. */
void cm_collecting_serve(const cm_collecting_t *collecting, cm_server_options_t *options);

/* Waits up to `wait_ms` for events, stores them, and lets their requests be answered. When they
 * cannot be stored, their senders get an error, which is also returned. 1: there may be more
 * events; 0: no more are taken, and none is left. */
int cm_collecting_step(cm_collecting_t *collecting, int wait_ms, cm_err_t *err);

/* Whether an error of storing may pass by itself: a full disk, a server that does not answer, a
 * lock. */
bool cm_collecting_passes(int code);

/* Sets the text for /readyz that says what it waits for; "": nothing. */
void cm_collecting_notice(cm_collecting_t *collecting, const char *text);

/* Takes no more events, and stores those that are left. */
int cm_collecting_finish(cm_collecting_t *collecting, cm_err_t *err);

/* What became of all events that arrived, with the refused requests. */
cm_account_t cm_collecting_account(const cm_collecting_t *collecting);

/* Reports the refused requests: in a status line, and in lines after the account. */
void cm_collecting_add_refused(const cm_collecting_t *collecting, cm_buf_t *line);
void cm_collecting_print_refused(const cm_collecting_t *collecting, FILE *messages);

/* Refuses the requests that still wait for their events to be stored. Called before the server is
 * stopped. */
void cm_collecting_give_up(cm_collecting_t *collecting);

/* Called after the server is stopped. */
void cm_collecting_close(cm_collecting_t *collecting);

#endif
