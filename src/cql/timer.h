/* Timers: many deadlines, most of which are never reached because the answer comes before.
 *
 * A wheel of slots; each is a list of the timers that expire in its few milliseconds. So setting
 * and stopping a timer costs the same for any number of timers. The timers are part of their
 * owners' structs; the wheel owns nothing. One thread. */
#ifndef CM_CQL_TIMER_H
#define CM_CQL_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cm_cql_timer cm_cql_timer_t;

struct cm_cql_timer {
    cm_cql_timer_t *next, *prev; /* NULL when it is not set */
    int64_t at;                  /* ms */
    void (*fire)(cm_cql_timer_t *timer);
    int slot; /* the list that it is in */
};

enum {
    CM_CQL_WHEEL_SLOTS = 4096,
    CM_CQL_WHEEL_MS = 4, /* per slot: one turn takes 16 s, longer than most time-outs */
};

typedef struct cm_cql_wheel {
    cm_cql_timer_t slots[CM_CQL_WHEEL_SLOTS]; /* heads of circular lists */
    uint64_t taken[CM_CQL_WHEEL_SLOTS / 64];  /* a bit for each slot that is not empty */
    int64_t tick;                             /* the slot that was served last */
    int count;
} cm_cql_wheel_t;

void cm_cql_wheel_init(cm_cql_wheel_t *wheel, int64_t now_ms);

/* Sets a timer to `at_ms`; it may be set already. */
void cm_cql_timer_set(cm_cql_wheel_t *wheel, cm_cql_timer_t *timer, int64_t at_ms);

void cm_cql_timer_stop(cm_cql_wheel_t *wheel, cm_cql_timer_t *timer);

static inline bool cm_cql_timer_is_set(const cm_cql_timer_t *timer)
{
    return timer->next != NULL;
}

/* Calls `fire` of every timer that has expired at `now_ms`. It may set and stop any timer. */
void cm_cql_wheel_advance(cm_cql_wheel_t *wheel, int64_t now_ms);

/* Milliseconds until cm_cql_wheel_advance() should be called: not later than the next timer
 * expires, perhaps earlier; -1 when none is set. */
int cm_cql_wheel_wait(const cm_cql_wheel_t *wheel, int64_t now_ms);

#endif
