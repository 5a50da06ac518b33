/* What the two halves of the store on Cassandra share: writing (store.c) and reading (scan.c). One
 * thread, that of the store; what readers have is not changed while there are any. */
#ifndef CM_STORE_CASSANDRA_INTERNAL_H
#define CM_STORE_CASSANDRA_INTERNAL_H

#include "cassandra/settle.h"
#include "event/choice.h"
#include "store/cassandra/log.h"
#include "store/cassandra/row.h"
#include "store/cassandra/store.h"

typedef struct cm_store_cassandra {
    cm_store_t store; /* first */
    const cm_cassandra_settings_t *settings;
    const cm_waiter_t *waiter;
    const cm_clock_t *clock;
    cm_cql_t *session;
    cm_cql_writer_t *writer; /* NULL: only read */
    cm_store_cassandra_log_t
        *log;            /* rows are noted there before they are written; NULL: they are not */
    int64_t reported_ns; /* when acknowledged rows were last noted there */
    cm_choice_t choice;  /* of the current batch */
    cm_store_cassandra_row_room_t room;
    int64_t last_write_us; /* write time of the last row */
    /* For each batch that is not known to be durable: how many rows had been added at its end.
     */
    uint64_t *ends;
    size_t end_count, end_cap;
    uint64_t durable; /* batches before these */
    cm_cql_error_t refusal;
    cm_cassandra_settling_t settling; /* of the table, since the store was opened */
    /* while it waits */
    int64_t asked_ns;    /* when the waiter was last asked */
    int64_t progress_ns; /* when rows were last acknowledged */
    uint64_t progress;   /* how many were then */
    char reason[600];
    /* what readers have */
    cm_store_t *memory;
    int readers;
} cm_store_cassandra_t;

/* The operation of cm_store_ops_t. */
int cm_store_cassandra_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err);

/* The operation of cm_store_ops_t. */
void cm_store_cassandra_fit(const cm_store_t *store, cm_batch_t *batch);

#endif
