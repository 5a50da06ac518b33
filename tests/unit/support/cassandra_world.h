/* What the tests of the store on Cassandra share: the fake cluster with the contract's table, which
 * a thread of its own pumps. */
#ifndef CM_TESTS_UNIT_CASSANDRA_WORLD_H
#define CM_TESTS_UNIT_CASSANDRA_WORLD_H

#include "cassandra/schema.h"
#include "cql_rig.h"
#include "store/cassandra/store.h"
#include "store/memory.h"

#include <pthread.h>

enum { TEXTS = 4, WORLD_ROWS = 400 };

/* What the fake has of the contract's table. */
typedef struct world_has {
    bool keyspace, table, companion;
    const char *column_type; /* of row_key */
    int extra;               /* columns of optional fields, the first ones */
    const char *name_type;   /* of `name` */
    char changes[TEXTS][400];
    int change_count, scans;
    uint64_t random; /* what world_fill() takes optional fields from */
    /* Of an extended table: the rows as they were written, which a scan reads. */
    cm_str_t rows[WORLD_ROWS][CM_CASSANDRA_COLUMNS];
    int row_count;
    cm_arena_t cells;
} world_has_t;

extern world_has_t world_has;

/* The cluster, and the thread that pumps it. */
typedef struct world {
    cql_fake_t fake;
    pthread_mutex_t lock;
    pthread_t thread;
    bool over;
    char hosts[64];
    cm_cassandra_settings_t settings;
} world_t;

/* Answers what the store asks of the contract's table; false: the fake answers by itself. */
bool world_answer(cql_fake_conn_t *c, int stream, const char *text, cm_str_t first);

int world_setup(void **state);

int world_teardown(void **state);

cm_store_t *world_open_store(world_t *world, const cm_waiter_t *waiter);

/* Expects that opening fails with this code and a sentence with these words. */
void world_refuse(world_t *world, bool only_read, int code, const char *words);

/* Makes the table an extended one, which keeps the rows that are written. */
void world_extend(world_t *world);

/* The cells of the row that was written with the key of this event; they live until the next
 * setup. */
const cm_str_t *world_row(world_t *world, const cm_event_t *event);

/* Events r<from> and on; with random optional fields where the table has columns for all of them.
 */
void world_fill(cm_batch_t *batch, int from, int count);

void world_check_seen(world_t *world, int count, int least, int most);

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif
