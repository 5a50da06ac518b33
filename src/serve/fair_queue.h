/* Threads that do long jobs in turns, so that whoever has a short one is not kept waiting: each
 * address's turn comes as often as another's, however many jobs it has.
 *
 * Functions are for any thread. */
#ifndef CM_SERVE_FAIR_QUEUE_H
#define CM_SERVE_FAIR_QUEUE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CM_FAIR_SLICE_MS = 10 };

typedef struct cm_fair_queue cm_fair_queue_t;

/* A job; part of what it is about. */
typedef struct cm_fair_job {
    struct cm_fair_job *next;
    bool begun;
} cm_fair_job_t;

/* Goes on with a job until about a time of the monotonic clock (ns). True: it is done, and may be
 * gone. Called by one thread at a time for each job. */
typedef bool (*cm_fair_job_fn)(cm_fair_job_t *job, int64_t until_ns);

/* Ends a job that has not been done. */
typedef void (*cm_fair_drop_fn)(cm_fair_job_t *job);

/* Starts the threads. CM_EINTERNAL. */
int cm_fair_queue_start(int threads, cm_fair_job_fn go, cm_fair_drop_fn drop,
                        cm_fair_queue_t **turns, cm_err_t *err);

/* Adds a job of an address, of which a hash is given. After the stop it is dropped at once. */
void cm_fair_queue_add(cm_fair_queue_t *turns, cm_fair_job_t *job, uint64_t owner);

/* Ends the threads, and drops what is not done. */
void cm_fair_queue_stop(cm_fair_queue_t *turns);

/* After the stop. NULL is allowed. */
void cm_fair_queue_free(cm_fair_queue_t *turns);

#endif
