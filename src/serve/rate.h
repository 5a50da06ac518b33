/* How often an address may send: a token bucket for each, in a table of fixed size. For any thread.
 *
 * What is kept of an address is a keyed hash. Where more addresses send than the table has places,
 * the one that has been quiet longest of a few gives its place away: it may then send a burst
 * sooner than it should, and nobody is refused for another's sake. */
#ifndef CM_SERVE_RATE_H
#define CM_SERVE_RATE_H

#include "base/str.h"

typedef struct cm_rate cm_rate_t;

enum { CM_RATE_BURST = 10 }; /* seconds' worth that may come at once */

/* `per_second` of at least 1. Never NULL. */
cm_rate_t *cm_rate_new(int64_t per_second);
void cm_rate_free(cm_rate_t *rate);

/* Takes one of the address's tokens at a time of the monotonic clock (ns). 0: it may send; else the
 * seconds after which it may. */
int cm_rate_take(cm_rate_t *rate, cm_str_t address, int64_t now_ns);

#endif
