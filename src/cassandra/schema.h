/* Keyspace and table as the contract has them: examined, and made.
 *
 * The table: row_key text, the primary key; user_id, url, country, city, browser, os, device text;
 * timestamp timestamp. With `cassandra.extended` also a column for each optional field: props
 * map<text, text>, engaged_ms int, the others text. Further columns that are in no key do not
 * matter. One thread. */
#ifndef CM_CASSANDRA_SCHEMA_H
#define CM_CASSANDRA_SCHEMA_H

#include "cassandra/client.h"
#include "event/extra.h"

enum {
    CM_CASSANDRA_NINE = 9,                                     /* columns of the first edition */
    CM_CASSANDRA_COLUMNS = CM_CASSANDRA_NINE + CM_EXTRA_COUNT, /* of an extended table */
};

/* How many columns are written and read: one of the two. */
static inline int cm_cassandra_column_count(const cm_cassandra_settings_t *settings)
{
    return settings->extended ? CM_CASSANDRA_COLUMNS : CM_CASSANDRA_NINE;
}

/* Appends the names of these columns in the contract's order, as SELECT and INSERT have them. */
void cm_cassandra_add_columns(cm_buf_t *text, const cm_cassandra_settings_t *settings);

typedef enum cm_cassandra_state {
    CM_CASSANDRA_READY,
    CM_CASSANDRA_NO_KEYSPACE,
    CM_CASSANDRA_NO_TABLE,
    CM_CASSANDRA_OTHER_TABLE, /* there is one, but it is not the contract's */
    CM_CASSANDRA_NARROW,      /* only columns of optional fields are missing (`extended`) */
} cm_cassandra_state_t;

enum { CM_CASSANDRA_DCS = 32 };

/* What a cluster says about itself. */
typedef struct cm_cassandra_facts {
    char version[48], cluster[64], data_center[64]; /* of the node that was asked */
    struct {
        char name[64];
        int nodes;
    } dcs[CM_CASSANDRA_DCS];
    int dc_count, nodes;
    int protocol; /* version of the native protocol that is spoken */
    cm_cassandra_state_t state;
    char difference[300];               /* with CM_CASSANDRA_OTHER_TABLE: what is different */
    bool missing[CM_CASSANDRA_COLUMNS]; /* with CM_CASSANDRA_NARROW: which columns */
    char replication[300];              /* of the keyspace: "NetworkTopologyStrategy, dc1: 3" */
} cm_cassandra_facts_t;

/* Reads all the facts. CM_EAWAY, CM_EUSAGE. */
int cm_cassandra_probe(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                       cm_cassandra_facts_t *facts, cm_err_t *err);

/* Makes what the facts say is missing, and updates the facts. A table that exists gets missing
 * columns of optional fields with `alter` only. Other processes may make the same at the same time;
 * errors that come from this are tried again (settle.h). CM_EUSAGE when the replication is not
 * valid, or for a table that is not as it must be and is not changed. */
int cm_cassandra_create(const cm_cassandra_settings_t *settings, cm_cql_t *session, bool alter,
                        cm_cassandra_facts_t *facts, cm_err_t *err);

/* Probes, and makes what is missing when the settings allow it; else CM_EINPUT. */
int cm_cassandra_ensure(const cm_cassandra_settings_t *settings, cm_cql_t *session, cm_err_t *err);

/* 0 when the table can be used; else a code and a sentence about the state. */
int cm_cassandra_explain_state(const cm_cassandra_settings_t *settings,
                               const cm_cassandra_facts_t *facts, cm_err_t *err);

#endif
