/* How much an address may send: token buckets for each address, in a table of fixed size. For any
 * thread.
 *
 * Of an address only a keyed hash is kept. When more addresses send than the table has entries, a
 * new address replaces the one of a few entries that has sent nothing for the longest time. The
 * replaced address may then send a burst earlier than it should; no address is refused because of
 * another one. */
#ifndef CM_SERVE_RATE_H
#define CM_SERVE_RATE_H

#include "base/str.h"

typedef struct cm_rate cm_rate_t;

enum {
    CM_RATE_BURST = 10,    /* the amount of so many seconds may come at once */
    CM_RATE_FAILURES = 30, /* wrong tokens that may come at once; then one in 10 s */
};

/* Per second and address; 0: no limit. */
typedef struct cm_rate_limits {
    int64_t requests, events, bytes;
} cm_rate_limits_t;

/* Never NULL. */
cm_rate_t *cm_rate_new(const cm_rate_limits_t *limits);
void cm_rate_free(cm_rate_t *rate);

/* Counts a request of the address at a time of the monotonic clock (ns). 0: the request is allowed;
 * else the seconds after which one will be, and this one does not count. */
int cm_rate_take(cm_rate_t *rate, cm_str_t address, int64_t now_ns);

/* Counts the events and bytes of a request, which are known when it has arrived: an address that
 * has sent too much has to wait. cm_rate_debt() returns for how many seconds, 0: not at all. */
void cm_rate_charge(cm_rate_t *rate, cm_str_t address, int64_t events, int64_t bytes,
                    int64_t now_ns);
int cm_rate_debt(cm_rate_t *rate, cm_str_t address, int64_t now_ns);

/* Counts a wrong token. cm_rate_locked() returns for how many seconds the address may not try
 * another one, 0: it may. */
void cm_rate_fail(cm_rate_t *rate, cm_str_t address, int64_t now_ns);
int cm_rate_locked(cm_rate_t *rate, cm_str_t address, int64_t now_ns);

#endif
