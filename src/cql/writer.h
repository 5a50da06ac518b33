/* The inside of a writer, shared by writer.c (rows into batches), batch.c (batches to the server)
 * and copy.c (a batch to a second node). One thread: the session's. */
#ifndef CM_CQL_WRITER_H
#define CM_CQL_WRITER_H

#include "cql/dispatch.h"

typedef struct cm_cql_batch cm_cql_batch_t;

enum cm_cql_batch_place {
    CM_CQL_BATCH_OPEN,    /* collects rows; its timer is the linger's */
    CM_CQL_BATCH_WAITING, /* for its turn: writer->waiting */
    CM_CQL_BATCH_FLYING,  /* its timer is that of a copy to another node */
    CM_CQL_BATCH_RESTING, /* its timer is the wait's before the next attempt */
};

struct cm_cql_batch {
    cm_cql_timer_t timer;
    cm_cql_batch_t *next, *prev;  /* all of the writer */
    cm_cql_batch_t *next_waiting; /* or the next free one */
    cm_cql_writer_t *writer;
    cm_cql_call_t *call;
    cm_cql_call_t *copy;   /* the same to another node, while both are in flight; else NULL */
    cm_cql_error_t *error; /* of the last attempt that failed; NULL: none did, or no memory */
    int place, rows, attempts, group;
    uint64_t *numbers; /* of the rows */
};

struct cm_cql_writer {
    cm_cql_t *session;
    cm_cql_prepared_t *prepared;
    cm_cql_writer_options_t o;
    cm_cql_batch_t *all, *free_batches;
    cm_cql_batch_t *first_waiting, *last_waiting;
    cm_cql_batch_t **open; /* by node; the last one for rows of no known node */
    int open_count;
    uint64_t generation; /* of the topology that `open` was made for */
    uint64_t added, durable;
    uint64_t released; /* rows before this may be sent */
    uint64_t *done;    /* a bit for each row from `durable` on, row number modulo `ring` */
    uint64_t ring;
    double window, threshold; /* batches in flight: now; where growth becomes careful */
    int64_t last_cut;
    int64_t last_overload; /* when a node said that it is overloaded; 0: none did */
    double latency_ms;     /* of batches, smoothed */
    int copies;            /* in flight */
    int64_t last_timestamp_us;
    cm_cql_writer_stats_t stats;
};

/* A batch without rows; NULL when there is no memory. */
cm_cql_batch_t *cm_cql_batch_new(cm_cql_writer_t *w);

/* Takes it from where it is and frees it; its rows are not touched. */
void cm_cql_batch_free(cm_cql_batch_t *batch);

/* A call of the batch, without its rows; NULL when there is no memory. */
cm_cql_call_t *cm_cql_batch_call(cm_cql_batch_t *batch);

/* It is complete: sends it when its turn comes. */
void cm_cql_batch_send(cm_cql_batch_t *batch);

/* Sends what waits for its turn, as far as it may. */
void cm_cql_batch_send_waiting(cm_cql_writer_t *w);

/* ---- copy.c ---- */

/* It is in flight: sets the time after which a copy goes to another node. */
void cm_cql_copy_arm(cm_cql_batch_t *batch);

/* That time has come. */
void cm_cql_copy_send(cm_cql_batch_t *batch);

/* One of the two calls has failed in passing: frees it, and the other one goes on as the batch's
 * own. */
void cm_cql_copy_goes_on(cm_cql_batch_t *batch, cm_cql_call_t *failed);

/* Gives up both calls: answers that come later are for nobody. */
void cm_cql_copy_end(cm_cql_batch_t *batch);

/* A batch has been acknowledged by the answer to `call`. */
void cm_cql_copy_note(cm_cql_writer_t *w, const cm_cql_call_t *call, int64_t now);

#endif
