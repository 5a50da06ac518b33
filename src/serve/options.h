/* Options of the HTTP server and of the collector: arrays of rows (base/options.h) that a command
 * composes. The structs belong to the command, the texts to its option values. Constant data; any
 * thread may read it. */
#ifndef CM_SERVE_OPTIONS_H
#define CM_SERVE_OPTIONS_H

#include "base/options.h"
#include "enrich/options.h"

/* Questions to the raw events: bytes that the groups of one may take, ms that it may take, and
 * which referrers count. */
typedef struct cm_questions_given {
    int64_t memory, time;
    cm_attribution_settings_t attribution;
} cm_questions_given_t;

/* Secrets that give read access, and how long an answer may take (ms). */
typedef struct cm_reading_given {
    const char *token, *password;
    bool public;
    int64_t time_limit;
    cm_questions_given_t questions;
} cm_reading_given_t;

/* For a cm_reading_given_t. */
extern const cm_option_t cm_reading_option_rows[];

/* Files of the certificate and of its key. */
typedef struct cm_tls_given {
    const char *cert, *key;
} cm_tls_given_t;

/* For a cm_tls_given_t. */
extern const cm_option_t cm_tls_option_rows[];

/* Times in ms, sizes in bytes; rates per second and address. */
typedef struct cm_collect_given {
    const char *sites, *proxies, *hosts, *script, *path;
    cm_option_map_t tokens;
    int visitor; /* cm_visitor_choice_t */
    int64_t max_body, body_timeout, max_connections, idle, queue, spool, drain, max_store;
    int64_t rate_limit, rate_events, rate_bytes;
    cm_tls_given_t tls;
    cm_enrich_settings_t enrich;
    /* set by the command, not by options: */
    bool demo; /* take only the clicks of the demo shop */
    bool shop; /* the demo shop is served */
} cm_collect_given_t;

/* For a cm_collect_given_t. */
extern const cm_option_t cm_collect_option_rows[];

#endif
