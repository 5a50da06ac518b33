/* Requests that the collector has refused: how many, why, and from which origin, so that the owner
 * of a page can see why it is not counted.
 *
 * A table of fixed size. When it is full, a new origin replaces the one with the fewest requests,
 * which are then counted without their origin: a client that invents origins costs no memory. For
 * any thread. */
#ifndef CM_SERVE_REFUSED_REQUESTS_H
#define CM_SERVE_REFUSED_REQUESTS_H

#include "base/str.h"

#include <stdint.h>

typedef enum cm_refusal {
    CM_REFUSED_SITE,  /* a page of a site that may not send */
    CM_REFUSED_TOKEN, /* a server without a token, or with a wrong one */
    CM_REFUSED_RATE,  /* more requests than an address may send */
    CM_REFUSED_DEMO,  /* a demonstration takes only the clicks of its shop */
} cm_refusal_t;

enum { CM_REFUSED_ORIGINS = 16, CM_REFUSED_ORIGIN_MAX = 128 /* bytes; longer ones are cut */ };

typedef struct cm_refused_requests cm_refused_requests_t;

/* `sites`: those that may send (NULL: none); the suggested option appends an origin to them.
 * `demo`: the suggested option also ends the demonstration. */
cm_refused_requests_t *cm_refused_new(const char *sites, bool demo);
void cm_refused_free(cm_refused_requests_t *refused);

/* Counts a request, at a time of the wall clock. The origin is empty when the request has none. */
void cm_refused_note(cm_refused_requests_t *refused, cm_refusal_t why, cm_str_t origin,
                     int64_t now_ms);

/* How many requests were refused. */
uint64_t cm_refused_count(cm_refused_requests_t *refused);

/* Appends {"requests":N,"origins":[...],"others":N}, as in docs/api.md, the latest origin first. */
void cm_refused_add_json(cm_refused_requests_t *refused, cm_buf_t *json);

/* Appends ", 3 requests refused, the last of http://localhost:3000: --sites localhost:3000 lets it
 * in" to a status line; nothing when no request was refused. */
void cm_refused_add_status(cm_refused_requests_t *refused, cm_buf_t *line);

/* Appends a line for each origin, for the account at the end of a run. */
void cm_refused_add_lines(cm_refused_requests_t *refused, cm_buf_t *lines);

#endif
