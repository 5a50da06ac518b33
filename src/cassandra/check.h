/* Whether Cassandra and the tables of the events can be used, to check a configuration (`doctor`).
 *
 * The report owns no memory. One thread. */
#ifndef CM_CASSANDRA_CHECK_H
#define CM_CASSANDRA_CHECK_H

#include "cassandra/schema.h"

typedef enum cm_cassandra_found {
    CM_CASSANDRA_UNUSABLE, /* or not examined, because something before it failed */
    CM_CASSANDRA_FOUND,
    CM_CASSANDRA_MADE, /* it was missing, and the check has made it */
} cm_cassandra_found_t;

typedef struct cm_cassandra_report {
    bool reached; /* a node has answered: */
    cm_cassandra_facts_t facts;
    cm_cassandra_found_t table;
    cm_cassandra_found_t companion; /* of the table, where the settings want it (only_writer) */
} cm_cassandra_report_t;

/* Connects and fills in the report; with `fix` makes what is missing. On an error the report says
 * what was found before it: CM_EINPUT when a table is missing, else the errors of
 * cm_cassandra_connect(), cm_cassandra_create() and cm_cassandra_explain_state(). */
int cm_cassandra_check(const cm_cassandra_settings_t *settings, bool fix,
                       cm_cassandra_report_t *report, cm_err_t *err);

#endif
