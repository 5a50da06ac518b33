/* The inside of a writer, shared by writer.c (rows into batches) and batch.c (batches to the
 * server). One thread: the session's. */
#ifndef CM_CQL_WRITER_H
#define CM_CQL_WRITER_H

#include "cql/session.h"

typedef struct cm_cql_batch cm_cql_batch_t;

enum cm_cql_batch_place {
    CM_CQL_BATCH_OPEN,    /* collects rows; its timer is the linger's */
    CM_CQL_BATCH_WAITING, /* for its turn: writer->waiting */
    CM_CQL_BATCH_FLYING,
    CM_CQL_BATCH_RESTING, /* its timer is the wait's before the next attempt */
};

struct cm_cql_batch {
    cm_cql_timer_t timer;
    cm_cql_batch_t *next, *prev;  /* all of the writer */
    cm_cql_batch_t *next_waiting; /* or the next free one */
    cm_cql_writer_t *writer;
    cm_cql_call_t *call;
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
    uint64_t *done; /* a bit for each row from `durable` on, row number modulo `ring` */
    uint64_t ring;
    double window, threshold; /* batches in flight: now; where growth becomes careful */
    int64_t last_cut;
    int64_t last_timestamp_us;
    cm_cql_writer_stats_t stats;
};

/* A batch without rows. */
cm_cql_batch_t *cm_cql_batch_new(cm_cql_writer_t *w);

/* Takes it from where it is and frees it; its rows are not touched. */
void cm_cql_batch_free(cm_cql_batch_t *batch);

/* It is complete: sends it when its turn comes. */
void cm_cql_batch_send(cm_cql_batch_t *batch);

#endif
