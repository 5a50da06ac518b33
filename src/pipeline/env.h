/* The surroundings of a pipeline: what its parts need of the process, and nothing of a command.
 *
 * A small struct of borrowed pointers, passed and kept by value. What it points to outlives every
 * part that has a copy. Tests put a clock, a log and a flag of their own here. A copy may be used
 * by any thread. */
#ifndef CM_PIPELINE_ENV_H
#define CM_PIPELINE_ENV_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>

typedef struct cm_pipeline_env {
    const cm_log_t *log;
    const cm_clock_t *clock;   /* wall clock; NULL: the real one */
    int64_t (*ticks_ns)(void); /* monotonic clock; NULL: the real one */
    FILE *messages;            /* what a person reads: status lines, notes */
    bool terminal;             /* messages go to a terminal, where a line replaces the one before */
    const atomic_bool *stop;   /* becomes true at the first SIGINT or SIGTERM */
    const atomic_bool *hurry;  /* becomes true at the second one, where `hurries` is set */
    atomic_bool *hurries;      /* set while the second signal ends a wait, not the process */
} cm_pipeline_env_t;

/* Monotonic nanoseconds. */
int64_t cm_pipeline_ticks_ns(const cm_pipeline_env_t *env);

/* Whether the pipeline was told to stop. */
bool cm_pipeline_stops(const cm_pipeline_env_t *env);

/* Whether it was told so once more, while it waited. */
bool cm_pipeline_hurries(const cm_pipeline_env_t *env);

/* From now on (`on`) the second signal sets `hurry` instead of ending the process; or no longer. */
void cm_pipeline_set_hurries(const cm_pipeline_env_t *env, bool on);

/* Calls `open` until it no longer returns CM_EAWAY. Between two attempts it prints the reason and
 * waits, 1 s at first, then twice as long each time, up to 30 s. `*retries` counts the failed
 * attempts. CM_ESTOP when the pipeline was told to stop; else what `open` returned, with its reason
 * in `err`, which `open` fills too. */
int cm_pipeline_reach(const cm_pipeline_env_t *env, int (*open)(void *context), void *context,
                      uint64_t *retries, cm_err_t *err);

/* For functions that wait for a server: true once the pipeline was told to stop `ms` ago.
 * `*since_ns`, which begins as 0, remembers when that was first seen. */
bool cm_pipeline_give_up(const cm_pipeline_env_t *env, int64_t *since_ns, int64_t ms);

/* Whether it is time for another status line after the one at `*shown_ns`: every 0.5 s on a
 * terminal, where it replaces the one before, else every 5 s. If so, `*shown_ns` becomes now. */
bool cm_pipeline_line_due(const cm_pipeline_env_t *env, int64_t *shown_ns);

/* Clears the status line of a terminal. */
void cm_pipeline_end_line(const cm_pipeline_env_t *env);

#endif
