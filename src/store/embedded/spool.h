/* A sink that writes to a server, and while the server does not answer into an embedded store,
 * whose events are forwarded later: in order, each event once.
 *
 * commit() waits for the server as long as it answers. When it does not answer,
 * events that are not acknowledged are committed to the embedded store, and so are all events after
 * them, until everything that is kept has been forwarded; each commit() forwards some of it. Events
 * that the server's client still has in its queue remain there, so that they are sent once. Only
 * when the process ends meanwhile, some of them may arrive twice: with the same row keys, so that
 * they count once.
 *
 * The server's sink is opened by a separate thread, because this may take long. Otherwise used by
 * one thread. */
#ifndef CM_STORE_EMBEDDED_SPOOL_H
#define CM_STORE_EMBEDDED_SPOOL_H

#include "base/clock.h"
#include "sink/sink.h"

typedef struct cm_spool_options {
    const char *data_dir; /* of the embedded store, which only the spool uses */
    const cm_clock_t *clock;
    int64_t max_bytes; /* that may be kept at most */
    /* Opens the server's sink, whose waiter is that one. CM_EAWAY is tried again; other failures
     * end the spool's next commit. */
    int (*open)(void *context, const cm_waiter_t *waiter, cm_sink_t **sink, cm_err_t *err);
    void *context;
    int start_ms; /* how long to wait for the first try */
} cm_spool_options_t;

typedef struct cm_spool cm_spool_t;

/* Opens the store, takes over what an earlier process has left in it, and tries to reach the
 * server. */
int cm_spool_open(const cm_spool_options_t *options, cm_spool_t **spool, cm_err_t *err);

/* Where to put. Closing it closes the spool; what is kept stays. */
cm_sink_t *cm_spool_sink(cm_spool_t *spool);

/* Events that wait in the store. */
uint64_t cm_spool_kept(const cm_spool_t *spool);

/* found + (put and committed) = sent + kept, as long as the store can be read and written. */
typedef struct cm_spool_counts {
    uint64_t found; /* events that an earlier process had left */
    uint64_t sent;  /* acknowledged by the server: its commit() succeeded */
    uint64_t kept;  /* waiting in the store */
} cm_spool_counts_t;

cm_spool_counts_t cm_spool_counts(const cm_spool_t *spool);

/* Sends what is kept, and waits for the server, until nothing is kept any more or `go_on`, which is
 * called several times a second, returns false. What is left stays. The errors of commit(). */
int cm_spool_drain(cm_spool_t *spool, bool (*go_on)(void *context), void *context, cm_err_t *err);

/* Why the server takes nothing; "" when it does. Lives until the next call. */
const char *cm_spool_reason(const cm_spool_t *spool);

#endif
