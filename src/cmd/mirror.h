/* How `process` gets at the events in Cassandra: all of them each time, or where only our own
 * writers write the table (cassandra.only_writer), what has changed, into a copy in the data
 * directory (store/cassandra/mirror.h). And how `verify` finds rows of other writers. */
#ifndef CM_CMD_MIRROR_H
#define CM_CMD_MIRROR_H

#include "cmd/cassandra.h"

/* The account of a reading. */
typedef struct cm_cassandra_read {
    bool full;       /* all of the table was read */
    char why[300];   /* if so: why */
    int64_t rows;    /* that were read */
    int64_t changed; /* of those, where not all was read: that were other than before */
} cm_cassandra_read_t;

/* All events that are in Cassandra now, as a store for the mill. The caller closes `*events`. The
 * data directory's own store is open, so that no other process does the same. */
int cm_cassandra_events(cm_app_t *app, const cm_cassandra_options_t *given, bool rebuild,
                        cm_store_t **events, cm_cassandra_read_t *read);

void cm_cassandra_read_print(cm_app_t *app, const cm_cassandra_read_t *read);

/* Appends "\"cassandra\":{...}". */
void cm_cassandra_read_add_json(cm_buf_t *json, const cm_cassandra_read_t *read);

/* Rows of the table that no entry of its companion stands for. */
typedef struct cm_strange_rows {
    int64_t count;
    char first[3][80]; /* row keys of some of them */
} cm_strange_rows_t;

/* All of the table into a store in memory, as cm_cassandra_to_memory(); where there is a copy in
 * the data directory, the rows are compared with it meanwhile, and those that differ though no
 * writer has noted that are counted. `*compared` is false where there is none to compare with. */
int cm_cassandra_compare(cm_app_t *app, const cm_cassandra_options_t *given, cm_store_t *into,
                         cm_strange_rows_t *strange, bool *compared);

#endif
