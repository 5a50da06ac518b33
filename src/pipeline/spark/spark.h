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

/* The rows of an option table for a cm_spark_given_t that is the member `m` of struct `s`. */
#define CM_SPARK_ROWS(s, m)                                                                        \
    {.name = "spark-submit",                                                                       \
     .type = CM_OPT_TEXT,                                                                          \
     .offset = offsetof(s, m.submit),                                                              \
     .arg = "PROGRAM",                                                                             \
     .key = "spark.submit",                                                                        \
     .env = "CLICKMILL_SPARK_SUBMIT",                                                              \
     .help = "what runs Spark jobs; else $SPARK_HOME/bin/spark-submit, or spark-submit in PATH"},  \
        {.name = "spark-master",                                                                   \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.master),                                                          \
         .arg = "MASTER",                                                                          \
         .key = "spark.master",                                                                    \
         .help = "local[2], spark://HOST:7077, yarn, ...; else what spark-submit is set to"},      \
        {.name = "spark-packages",                                                                 \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.packages),                                                        \
         .arg = "GROUP:NAME:VERSION,...",                                                          \
         .key = "spark.packages",                                                                  \
         .help =                                                                                   \
             "connectors that spark-submit downloads once; else Cassandra's for Spark 3.5; none: " \
             "it has them"},                                                                       \
    {                                                                                              \
        .name = "spark-property", .type = CM_OPT_MAP, .offset = offsetof(s, m.properties),         \
        .arg = "NAME=VALUE", .secret = CM_SECRET_BY_NAME, .key = "spark.properties",               \
        .help = "any property of Spark or of the connectors, once each; in a value ${NAME} is an " \
                "environment variable, and file:PATH what a file holds"                            \
    }

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
