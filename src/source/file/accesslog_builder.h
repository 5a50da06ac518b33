/* Makes the parts of an event from a line of an access log: user, URL and row key.
 *
 * User: the authenticated name, else cm_visitor_id(). URL: as logged, with the site before it when
 * it begins with a slash. When the request is malformed, it is the text as logged. The site is the
 * virtual host of the line, or else the one that was given.
 *
 * Row key: the UUIDv5 of "{user}_{ms}_{request}_{k}" or, when there is a site, of
 * "{user}_{ms}_{host}_{request}_{k}". k counts the earlier lines with the same user, time, host and
 * request. The older form, which data directories of an earlier edition keep, never contains the
 * host.
 *
 * Owns its tables; one thread at a time. */
#ifndef CM_SOURCE_FILE_ACCESSLOG_BUILDER_H
#define CM_SOURCE_FILE_ACCESSLOG_BUILDER_H

#include "base/arena.h"
#include "event/event.h"
#include "source/file/accesslog.h"
#include "source/file/repeats.h"
#include "source/file/visitor_cache.h"

/* "https://www.example.com" with or without a path, and its host. */
typedef struct cm_site {
    cm_buf_t url;  /* without a slash at its end; empty: none */
    cm_buf_t host; /* in lower case, with the port unless it is the scheme's default */
} cm_site_t;

typedef struct cm_accesslog_builder {
    cm_visitor_cache_t visitors;
    cm_repeats_t repeats;
    uint64_t seed;
    bool older_keys;
    cm_site_t given;
    cm_site_t line;       /* of the last virtual host */
    cm_buf_t line_logged; /* the same host, as logged */
    cm_buf_t name;        /* buffer for the name of a row key */
} cm_accesslog_builder_t;

/* A line with its visitor and count. Lives until the next call. */
typedef struct cm_accesslog_line {
    const cm_access_t *access;
    const cm_site_t *site;
    uint64_t visitor; /* a hash of the user, or of address and agent */
    uint32_t k;
} cm_accesslog_line_t;

/* `site`: NULL or "" for none; https is added when it has no scheme. CM_EUSAGE when it has no host;
 * then nothing has to be freed. */
int cm_accesslog_builder_init(cm_accesslog_builder_t *visits, const char *site, bool older_keys,
                              const uint8_t key[CM_VISITOR_KEY], cm_err_t *err);
void cm_accesslog_builder_free(cm_accesslog_builder_t *visits);

/* Forgets all counted lines. */
void cm_accesslog_builder_restart(cm_accesslog_builder_t *visits);

/* Counts a line, also when it does not become an event. */
void cm_accesslog_builder_count(cm_accesslog_builder_t *visits, const cm_access_t *access,
                                cm_accesslog_line_t *line);

/* Fills timestamp, user and URL. The strings live as long as the arena or the line. */
void cm_accesslog_builder_event(cm_accesslog_builder_t *visits, const cm_accesslog_line_t *line,
                                cm_arena_t *arena, cm_event_t *event);

/* The row key of an event made of this line. */
cm_str_t cm_accesslog_builder_row_key(cm_accesslog_builder_t *visits,
                                      const cm_accesslog_line_t *line, const cm_event_t *event,
                                      cm_arena_t *arena);

#endif
