/* The store on Cassandra: the contract's table, a row an event, written by its row key, so that an
 * event that comes again changes nothing.
 *
 * A row is one whole event: of several events of a batch with one row key only the one that counts
 * (event/choice.h) is written, and each row has a write time of its own, in microseconds, that is
 * later than those of all rows before it, even when the clock goes back. So of two batches the
 * later one wins in all columns, and a row that is sent again is the same write.
 *
 * put() gives rows to the client's batching writer, with thousands of rows in flight; durable()
 * counts the batches of which every row is acknowledged at the consistency level; commit() waits
 * for all. It waits for servers that are slow or do not answer, and tries again after growing
 * waits, as long as the waiter allows it. A row that the servers refuse permanently (no right,
 * another table) ends the run: CM_EIO or CM_EUSAGE with their sentence. Dead letters and positions
 * are not kept here.
 *
 * A reader reads the whole table by token ranges into memory, with what the mill needs; further
 * readers share it until the last of them is closed. No row can be in it twice. Used by one
 * thread; its readers by several, while none is opened or closed. */
#ifndef CM_STORE_CASSANDRA_STORE_H
#define CM_STORE_CASSANDRA_STORE_H

#include "base/clock.h"
#include "cassandra/client.h"
#include "store/store.h"

typedef struct cm_store_cassandra_options {
    const cm_cassandra_settings_t *settings;
    const cm_waiter_t *waiter; /* NULL: waits without end */
    bool only_read;            /* nothing will be put, and nothing is made */
    const cm_clock_t *clock;   /* of the write times; NULL: the real one */
} cm_store_cassandra_options_t;

/* Connects, and checks that the table exists (or makes it). CM_EAWAY, CM_EUSAGE, CM_EINPUT;
 * CM_ESTOP. */
int cm_store_cassandra_open(const cm_store_cassandra_options_t *options, cm_store_t **store,
                            cm_err_t *err);

/* Reads every row of the table once and adds them to `account`. CM_EAWAY when a part of it cannot
 * be read even after many attempts. */
int cm_store_cassandra_scan(cm_store_t *store, cm_store_page_fn page, void *context,
                            cm_account_t *account, cm_err_t *err);

/* The same; `*end` is set when a row has a TTL, and so will disappear by itself. */
int cm_store_cassandra_scan_ends(cm_store_t *store, cm_store_page_fn page, void *context,
                                 cm_account_t *account, bool *end, cm_err_t *err);

/* As cm_store_cassandra_scan() into another store (store/memory.h), up to its commit. */
int cm_store_cassandra_load(cm_store_t *store, cm_store_t *into, cm_account_t *account,
                            cm_err_t *err);

/* The same from opening to closing. */
int cm_store_cassandra_load_all(const cm_cassandra_settings_t *settings, cm_store_t *into,
                                cm_account_t *account, cm_err_t *err);

#endif
