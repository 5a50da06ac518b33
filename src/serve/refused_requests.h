/* Requests that the collector has refused: how many, why, and of which origin, so that the owner of
 * a page that is not counted finds out.
 *
 * A table of fixed size. When it is full, the origin with the fewest requests gives its place away,
 * and its requests are counted without their origin: whoever invents origins costs no memory. For
 * any thread. */
#ifndef CM_SERVE_REFUSED_REQUESTS_H
#define CM_SERVE_REFUSED_REQUESTS_H

#include "base/str.h"

#include <stdint.h>

typedef enum cm_refusal {
    CM_REFUSED_SITE,  /* a page of a site that may not send */
    CM_REFUSED_TOKEN, /* a server without a token, or with a wrong one */
    CM_REFUSED_RATE,  /* more requests than an address may send */
    CM_REFUSED_DEMO,  /* this is a demonstration, which takes the clicks of its shop alone */
} cm_refusal_t;

enum { CM_REFUSED_ORIGINS = 16, CM_REFUSED_ORIGIN_MAX = 128 /* bytes; longer ones are cut */ };

typedef struct cm_refused_requests cm_refused_requests_t;

/* Options that let an origin in name it behind `sites`, which may send already (NULL: none), and
 * with `demo` say that the demonstration has to end. */
cm_refused_requests_t *cm_refused_new(const char *sites, bool demo);
void cm_refused_free(cm_refused_requests_t *refused);

/* Counts a request; the origin is empty where it has none. */
void cm_refused_note(cm_refused_requests_t *refused, cm_refusal_t why, cm_str_t origin,
                     int64_t now_ms);

/* How many requests were refused. */
uint64_t cm_refused_count(cm_refused_requests_t *refused);

/* Appends {"requests":N,"origins":[...],"others":N}, as docs/api.md has it, the latest first. */
void cm_refused_add_json(cm_refused_requests_t *refused, cm_buf_t *json);

/* Appends ", 3 requests refused, the last of http://localhost:3000: --sites localhost:3000 lets it
 * in" to a line of status; nothing where there are none. */
void cm_refused_add_status(cm_refused_requests_t *refused, cm_buf_t *line);

/* Appends a line for each origin, with its newline, for the account at the end. */
void cm_refused_add_lines(cm_refused_requests_t *refused, cm_buf_t *lines);

#endif
