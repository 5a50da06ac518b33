/* Threads that do long jobs in slices of time, fairly: each address gets the same time, however
 * many jobs it has, so that an address with a short job does not wait for all jobs of another one.
 *
 * Functions are for any thread. */
#ifndef CM_SERVE_FAIR_QUEUE_H
#define CM_SERVE_FAIR_QUEUE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CM_FAIR_SLICE_MS = 10 };

typedef struct cm_fair_queue cm_fair_queue_t;

/* A job; a member of the caller's struct. */
typedef struct cm_fair_job {
    struct cm_fair_job *next;
    bool begun;
} cm_fair_job_t;

/* Continues a job until about a time of the monotonic clock (ns). True: the job is done, and may be
 * freed already. Called by one thread at a time for each job. */
typedef bool (*cm_fair_job_fn)(cm_fair_job_t *job, int64_t until_ns);

/* Ends a job that was not done. */
typedef void (*cm_fair_drop_fn)(cm_fair_job_t *job);

/* Starts the threads. CM_EINTERNAL. */
int cm_fair_queue_start(int threads, cm_fair_job_fn go, cm_fair_drop_fn drop,
                        cm_fair_queue_t **queue, cm_err_t *err);

/* Adds a job of the address with this hash. After the stop the job is dropped at once. */
void cm_fair_queue_add(cm_fair_queue_t *queue, cm_fair_job_t *job, uint64_t owner);

/* Ends the threads, and drops the jobs that are not done. */
void cm_fair_queue_stop(cm_fair_queue_t *queue);

/* After the stop. NULL is allowed. */
void cm_fair_queue_free(cm_fair_queue_t *queue);

#endif
