/* The companion of the table of events, TABLE_changes: which rows each process has written, and
 * when.
 *
 * With cassandra.only_writer each process that writes events first notes there which rows it will
 * write. So another process that has read the table once can read only what has changed since.
 *
 *     part text, seq bigint        the primary key: partition and place in it
 *     done bigint                  entries of this writer before that number are settled: their
 *                                  rows are acknowledged
 *     end_seq bigint               of the writer's own row only: entries before that number may be
 *                                  there, no others
 *     first_us, last_us bigint     write times of its rows: one more for each key
 *     keys blob                    their row keys
 *
 * A writer is one session of a process, for a day at most, and has a random number. Partition
 * `writers` has a row of each one's own, with its number as `seq`, which is written again with each
 * entry, before it, and when rows were acknowledged. So one query shows which of all writers have
 * written something, however many there are, and the entries of the others are not read. Entries
 * are numbered from 0 and lie in partitions of CM_CASSANDRA_CHANGES_BUCKET entries each, `w<number
 * in hexadecimal>.<bucket>`. Every row lives CM_CASSANDRA_CHANGES_TTL_S. One thread. */
#ifndef CM_CASSANDRA_CHANGES_H
#define CM_CASSANDRA_CHANGES_H

#include "cassandra/client.h"

enum {
    CM_CASSANDRA_CHANGES_BUCKET = 256,
    CM_CASSANDRA_CHANGES_TTL_S = 30 * 86400,
    CM_CASSANDRA_CHANGES_PART = 48, /* bytes of a partition's name, at most */
};

#define CM_CASSANDRA_CHANGES_WRITERS "writers"

/* Whether a read at this level sees what was acknowledged at it. Otherwise no entry is ever
 * settled, and no copy is kept. */
bool cm_cassandra_changes_are_seen(cm_cql_consistency_t level);

/* The partition of a writer's entry. */
void cm_cassandra_changes_part(int64_t writer, int64_t seq, char part[CM_CASSANDRA_CHANGES_PART]);

/* Appends the companion's name, as cm_cassandra_add_table() does. */
void cm_cassandra_changes_add_table(cm_buf_t *text, const cm_cassandra_settings_t *settings);

/* Appends a row key to an entry's keys; takes the next one off the rest, false at the end and where
 * the rest is damaged. */
void cm_cassandra_changes_add_key(cm_buf_t *keys, cm_str_t key);
bool cm_cassandra_changes_next_key(cm_str_t *rest, cm_str_t *key);

/* What `process` must know about the table and its companion before it relies on them. */
typedef struct cm_cassandra_changes_facts {
    bool there;                  /* there is a companion of the right form */
    char difference[200];        /* when it has another form: what is different */
    char table[40], changes[40]; /* ids of the two; empty: there is none */
    int64_t table_ttl_s;         /* the table's own default_time_to_live */
} cm_cassandra_changes_facts_t;

int cm_cassandra_changes_probe(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                               cm_cassandra_changes_facts_t *facts, cm_err_t *err);

/* Makes the companion where it is missing (and `make` says so), else CM_EINPUT,
 * or CM_EUSAGE when it has another form. `*made`, unless NULL: it was missing. */
int cm_cassandra_changes_ensure(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                                bool make, bool *made, cm_err_t *err);

#endif
