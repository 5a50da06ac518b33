/* `process --engine spark`: runs the Spark job as a child and shows what it does.
 *
 * The job (spark/clickstream_job.py) is part of the program; it is written to a temporary directory
 * together with its settings, which only the user can read, because they hold passwords. */
#ifndef CM_PIPELINE_SPARK_H
#define CM_PIPELINE_SPARK_H

#include "cmd/cassandra.h"
#include "cmd/elastic.h"
#include "index/embedded/refresh.h"

typedef struct cm_spark_given {
    const char *submit, *master, *packages;
    cm_option_map_t properties;
} cm_spark_given_t;

/* For a cm_spark_given_t. */
extern const cm_option_t cm_spark_option_rows[];

typedef struct cm_spark_options {
    const cm_spark_given_t *spark;
    const cm_cassandra_options_t *cassandra;
    const cm_elastic_options_t *elastic;
    unsigned windows;
    bool rebuild; /* fill new indices and move the aliases */
} cm_spark_options_t;

/* read = accepted + rejected; accepted = events + duplicates. */
typedef struct cm_spark_account {
    int64_t read, rejected; /* rows; rejected: no events of the contract */
    int64_t removed;        /* documents that no event leads to any more */
    cm_index_refreshed_t answers;
} cm_spark_account_t;

/* Computes the answers from the table in Cassandra and writes them to Elasticsearch. CM_EUSAGE when
 * spark-submit is not there, or of a Spark without a connector; CM_EAWAY, CM_EIO when the job
 * fails, with its last words; CM_ESTOP, with the job ended, when the app is told to stop. Indices
 * that were made for a job that does not end well are deleted. */
int cm_spark_process(cm_app_t *app, const cm_spark_options_t *options, cm_spark_account_t *done);

/* Prints the account, as JSON where --json asks. */
void cm_spark_print(cm_app_t *app, const cm_spark_account_t *done, double seconds);

#endif
