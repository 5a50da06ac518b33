/* How much an address may send: token buckets for each, in a table of fixed size. For any thread.
 *
 * What is kept of an address is a keyed hash. Where more addresses send than the table has places,
 * the one that has been quiet longest of a few gives its place away: it may then send a burst
 * sooner than it should, and nobody is refused for another's sake. */
#ifndef CM_SERVE_RATE_H
#define CM_SERVE_RATE_H

#include "base/str.h"

typedef struct cm_rate cm_rate_t;

enum {
    CM_RATE_BURST = 10,    /* seconds' worth that may come at once */
    CM_RATE_FAILURES = 30, /* wrong tokens that may come at once; then one in 10 s */
};

/* A second and address; 0: no limit. */
typedef struct cm_rate_limits {
    int64_t requests, events, bytes;
} cm_rate_limits_t;

/* Never NULL. */
cm_rate_t *cm_rate_new(const cm_rate_limits_t *limits);
void cm_rate_free(cm_rate_t *rate);

/* Counts a request of the address at a time of the monotonic clock (ns). 0: it may be taken; else
 * the seconds after which one may, and it does not count. */
int cm_rate_take(cm_rate_t *rate, cm_str_t address, int64_t now_ns);

/* Counts what a request has brought, which is known when it is there: an address that has sent more
 * than it may has to wait. cm_rate_owes() says for how many seconds, 0: not at all. */
void cm_rate_charge(cm_rate_t *rate, cm_str_t address, int64_t events, int64_t bytes,
                    int64_t now_ns);
int cm_rate_owes(cm_rate_t *rate, cm_str_t address, int64_t now_ns);

/* Counts a wrong token. cm_rate_locked() says for how many seconds the address may try no other
 * one, 0: it may. */
void cm_rate_fail(cm_rate_t *rate, cm_str_t address, int64_t now_ns);
int cm_rate_locked(cm_rate_t *rate, cm_str_t address, int64_t now_ns);

#endif
