/* The inside of a writer, shared by writer.c (rows into batches), batch.c (batches to the server)
 * and copy.c (a batch to a second node). One thread: the session's. */
#ifndef CM_CQL_WRITER_H
#define CM_CQL_WRITER_H

#include "cql/dispatch.h"

typedef struct cm_cql_batch cm_cql_batch_t;

enum cm_cql_batch_place {
    CM_CQL_BATCH_OPEN,    /* collects rows; its timer is that of linger_ms */
    CM_CQL_BATCH_WAITING, /* waits for its turn, in the list from first_waiting on */
    CM_CQL_BATCH_FLYING,  /* its timer is that of a copy to another node */
    CM_CQL_BATCH_RESTING, /* its timer is that of the next attempt */
};

struct cm_cql_batch {
    cm_cql_timer_t timer;
    cm_cql_batch_t *next, *prev;  /* in the list of all batches */
    cm_cql_batch_t *next_waiting; /* or the next free one */
    cm_cql_writer_t *writer;
    cm_cql_call_t *call;
    cm_cql_call_t *copy;   /* the same rows to another node, while both are in flight; else NULL */
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
    cm_cql_batch_t **open; /* by node; the last one is for rows whose node is not known */
    int open_count;
    uint64_t generation; /* of the topology that `open` was made for */
    uint64_t added, durable;
    uint64_t released; /* rows before this may be sent */
    uint64_t *done;    /* a bit for each row from `durable` on, row number modulo `ring` */
    uint64_t ring;
    double window, threshold; /* limit of batches in flight; the limit from which it grows by one
                                 each round trip */
    int64_t last_cut;
    int64_t last_overload; /* when a node reported overload; 0: none did */
    double latency_ms;     /* of batches: a moving average */
    int copies;            /* in flight */
    int64_t last_timestamp_us;
    cm_cql_writer_stats_t stats;
};

/* A batch without rows; NULL when there is no memory. */
cm_cql_batch_t *cm_cql_batch_new(cm_cql_writer_t *w);

/* Removes it from its place and frees it; its rows are not marked as done. */
void cm_cql_batch_free(cm_cql_batch_t *batch);

/* A call of the batch, without its rows; NULL when there is no memory. */
cm_cql_call_t *cm_cql_batch_call(cm_cql_batch_t *batch);

/* The batch is complete: sends it when its turn comes. */
void cm_cql_batch_send(cm_cql_batch_t *batch);

/* Sends the batches that wait for their turn, as far as the limits allow. */
void cm_cql_batch_send_waiting(cm_cql_writer_t *w);

/* ---- copy.c ---- */

/* The batch is in flight: sets the time after which a copy is sent to another node. */
void cm_cql_copy_arm(cm_cql_batch_t *batch);

/* That time has come. */
void cm_cql_copy_send(cm_cql_batch_t *batch);

/* One of the two calls has failed with an error that may pass: frees it, and the other one becomes
 * the call of the batch. */
void cm_cql_copy_goes_on(cm_cql_batch_t *batch, cm_cql_call_t *failed);

/* Drops the copy and detaches the call: answers that come later are ignored. */
void cm_cql_copy_end(cm_cql_batch_t *batch);

/* A batch has been acknowledged by the answer to `call`. */
void cm_cql_copy_note(cm_cql_writer_t *w, const cm_cql_call_t *call, int64_t now);

#endif
