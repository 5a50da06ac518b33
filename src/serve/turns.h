/* Threads that do long jobs in turns, so that whoever has a short one is not kept waiting: each
 * address's turn comes as often as another's, however many jobs it has.
 *
 * Functions are for any thread. */
#ifndef CM_SERVE_TURNS_H
#define CM_SERVE_TURNS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CM_TURN_MS = 10 };

typedef struct cm_turns cm_turns_t;

/* A job; part of what it is about. */
typedef struct cm_turn {
    struct cm_turn *next;
    bool begun;
} cm_turn_t;

/* Goes on with a job until about a time of the monotonic clock (ns). True: it is done, and may be
 * gone. Called by one thread at a time for each job. */
typedef bool (*cm_turn_fn)(cm_turn_t *job, int64_t until_ns);

/* Ends a job that has not been done. */
typedef void (*cm_turn_drop_fn)(cm_turn_t *job);

/* Starts the threads. CM_EINTERNAL. */
int cm_turns_start(int threads, cm_turn_fn go, cm_turn_drop_fn drop, cm_turns_t **turns,
                   cm_err_t *err);

/* Adds a job of an address, of which a hash is given. After the stop it is dropped at once. */
void cm_turns_add(cm_turns_t *turns, cm_turn_t *job, uint64_t owner);

/* Ends the threads, and drops what is not done. */
void cm_turns_stop(cm_turns_t *turns);

/* After the stop. NULL is allowed. */
void cm_turns_free(cm_turns_t *turns);

#endif
