/* What `collect` and `run` share: events that come over HTTP, on their way to a sink.
 *
 * cm_collecting_open() makes what the HTTP server needs, cm_collecting_step() stores what has come
 * and lets it be answered. Used by one thread; the server's threads are its own business. */
#ifndef CM_SERVE_COLLECTING_H
#define CM_SERVE_COLLECTING_H

#include "cmd/serving.h"
#include "enrich/enriching.h"
#include "store/store.h"

#include <math.h>
#include <pthread.h>

typedef struct cm_collect_given {
    const char *sites, *proxies, *hosts;
    cm_option_map_t tokens;
    int visitor; /* cm_visitor_choice_t */
    int64_t max_body, body_timeout, max_connections, idle, queue, spool, drain, max_store;
    int64_t rate_limit, rate_events, rate_bytes;
    cm_tls_given_t tls;
    cm_enrich_given_t enrich;
    /* no options of the collector's: */
    bool demo; /* take the clicks of the demo shop alone */
    bool shop; /* the demo shop is there */
} cm_collect_given_t;

/* The rows of an option table for a cm_collect_given_t that is the member `m` of struct `s`. */
#define CM_COLLECT_ROWS(s, m)                                                                      \
    {.name = "sites",                                                                              \
     .type = CM_OPT_TEXT,                                                                          \
     .offset = offsetof(s, m.sites),                                                               \
     .arg = "SITE,...",                                                                            \
     .key = "collect.sites",                                                                       \
     .help =                                                                                       \
         "whose pages may send events: shop.example, *.shop.example, an origin, or * for all"},    \
        {.name = "token",                                                                          \
         .type = CM_OPT_MAP,                                                                       \
         .offset = offsetof(s, m.tokens),                                                          \
         .arg = "NAME=TOKEN",                                                                      \
         .secret = CM_SECRET,                                                                      \
         .key = "collect.tokens",                                                                  \
         .help = "a server that may send events, and its token; in it ${NAME} is an environment "  \
                 "variable, and file:PATH what a file holds"},                                     \
        {.name = "proxies",                                                                        \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.proxies),                                                         \
         .arg = "NETWORK,...",                                                                     \
         .key = "collect.proxies",                                                                 \
         .help = "whose X-Forwarded-For is believed: 10.0.0.0/8, ::1"},                            \
        {.name = "hosts",                                                                          \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.hosts),                                                           \
         .arg = "NAME,...",                                                                        \
         .key = "http.hosts",                                                                      \
         .help = "further names that this server is called by, such as that of a proxy in front"}, \
        {.name = "visitor",                                                                        \
         .type = CM_OPT_CHOICE,                                                                    \
         .offset = offsetof(s, m.visitor),                                                         \
         .arg = "KIND",                                                                            \
         .def = "daily",                                                                           \
         .choices = "daily|cookie|address-hash",                                                   \
         .key = "collect.visitor",                                                                 \
         .help = "who an event without user_id is of"},                                            \
        {.name = "max-body",                                                                       \
         .type = CM_OPT_SIZE,                                                                      \
         .offset = offsetof(s, m.max_body),                                                        \
         .arg = "SIZE",                                                                            \
         .def = "1m",                                                                              \
         .min = 256,                                                                               \
         .max = 1 << 30,                                                                           \
         .key = "collect.max_body",                                                                \
         .help = "the largest body of a request, as sent and unpacked"},                           \
        {.name = "body-timeout",                                                                   \
         .type = CM_OPT_DURATION,                                                                  \
         .offset = offsetof(s, m.body_timeout),                                                    \
         .arg = "TIME",                                                                            \
         .def = "20s",                                                                             \
         .min = 100,                                                                               \
         .max = CM_DAY_MS,                                                                         \
         .key = "collect.body_timeout",                                                            \
         .help = "the body of a request may take so long to come"},                                \
        {.name = "max-connections",                                                                \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.max_connections),                                                 \
         .arg = "N",                                                                               \
         .def = "10240",                                                                           \
         .min = 2,                                                                                 \
         .max = 1e6,                                                                               \
         .key = "collect.max_connections",                                                         \
         .help = "connections that may be open at once"},                                          \
        {.name = "idle",                                                                           \
         .type = CM_OPT_DURATION,                                                                  \
         .offset = offsetof(s, m.idle),                                                            \
         .arg = "TIME",                                                                            \
         .def = "30s",                                                                             \
         .min = 1000,                                                                              \
         .max = CM_DAY_MS,                                                                         \
         .key = "collect.idle",                                                                    \
         .help = "a connection that completes no request for so long is closed"},                  \
        {.name = "rate-limit",                                                                     \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.rate_limit),                                                      \
         .arg = "N",                                                                               \
         .def = "100",                                                                             \
         .min = 0,                                                                                 \
         .max = 1e6,                                                                               \
         .key = "collect.rate_limit",                                                              \
         .help = "requests a second of one address, ten seconds' worth at once; 0: no limit"},     \
        {.name = "rate-events",                                                                    \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.rate_events),                                                     \
         .arg = "N",                                                                               \
         .def = "1000",                                                                            \
         .min = 0,                                                                                 \
         .max = 1e9,                                                                               \
         .key = "collect.rate_events",                                                             \
         .help = "the same for events"},                                                           \
        {.name = "rate-bytes",                                                                     \
         .type = CM_OPT_SIZE,                                                                      \
         .offset = offsetof(s, m.rate_bytes),                                                      \
         .arg = "SIZE",                                                                            \
         .def = "1m",                                                                              \
         .min = 0,                                                                                 \
         .max = INFINITY,                                                                          \
         .key = "collect.rate_bytes",                                                              \
         .help = "the same for the bytes of bodies, unpacked"},                                    \
        {.name = "queue",                                                                          \
         .type = CM_OPT_SIZE,                                                                      \
         .offset = offsetof(s, m.queue),                                                           \
         .arg = "SIZE",                                                                            \
         .def = "64m",                                                                             \
         .min = 256,                                                                               \
         .max = INFINITY,                                                                          \
         .key = "collect.queue",                                                                   \
         .help = "events that may wait to be stored, at least collect.max_body"},                  \
        {.name = "spool",                                                                          \
         .type = CM_OPT_SIZE,                                                                      \
         .offset = offsetof(s, m.spool),                                                           \
         .arg = "SIZE",                                                                            \
         .def = "10g",                                                                             \
         .min = 1 << 20,                                                                           \
         .max = INFINITY,                                                                          \
         .key = "collect.spool",                                                                   \
         .help = "what may be kept below the data directory while Kafka is away"},                 \
        {.name = "drain",                                                                          \
         .type = CM_OPT_DURATION,                                                                  \
         .offset = offsetof(s, m.drain),                                                           \
         .arg = "TIME",                                                                            \
         .def = "5s",                                                                              \
         .min = 0,                                                                                 \
         .max = CM_DAY_MS,                                                                         \
         .key = "collect.drain",                                                                   \
         .help = "how long the end waits for Kafka to take what is kept"},                         \
        {.name = "max-store",                                                                      \
         .type = CM_OPT_SIZE,                                                                      \
         .offset = offsetof(s, m.max_store),                                                       \
         .arg = "SIZE",                                                                            \
         .def = "0",                                                                               \
         .min = 0,                                                                                 \
         .max = INFINITY,                                                                          \
         .key = "collect.max_store",                                                               \
         .help = "nothing more is taken once the embedded store is so large; 0: no limit"},        \
        CM_TLS_ROWS(s, m.tls), CM_ENRICH_ROWS(s, m.enrich)

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
