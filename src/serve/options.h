/* Options of the HTTP server and of the collector (base/options.h). */
#ifndef CM_SERVE_OPTIONS_H
#define CM_SERVE_OPTIONS_H

#include "base/options.h"
#include "enrich/options.h"

typedef struct cm_reading_given {
    const char *token, *password;
    bool public;
    int64_t time_limit;
} cm_reading_given_t;

/* Who may read the answers: for a cm_reading_given_t. */
extern const cm_option_t cm_reading_option_rows[];

typedef struct cm_tls_given {
    const char *cert, *key;
} cm_tls_given_t;

/* For a cm_tls_given_t. */
extern const cm_option_t cm_tls_option_rows[];

typedef struct cm_collect_given {
    const char *sites, *proxies, *hosts;
    cm_option_map_t tokens;
    int visitor; /* cm_visitor_choice_t */
    int64_t max_body, body_timeout, max_connections, idle, queue, spool, drain, max_store;
    int64_t rate_limit, rate_events, rate_bytes;
    cm_tls_given_t tls;
    cm_enrich_settings_t enrich;
    /* no options of the collector's: */
    bool demo; /* take the clicks of the demo shop alone */
    bool shop; /* the demo shop is there */
} cm_collect_given_t;

/* For a cm_collect_given_t. */
extern const cm_option_t cm_collect_option_rows[];

#endif
