/* Runs the Spark job (spark/) as a child process and shows its progress.
 *
 * The job is part of the program. It is written to a temporary directory together with its
 * settings, which only the user can read, because they contain passwords. One thread. */
#ifndef CM_PIPELINE_SPARK_SPARK_H
#define CM_PIPELINE_SPARK_SPARK_H

#include "cassandra/client.h"
#include "elastic/client.h"
#include "index/embedded/refresh.h"
#include "pipeline/env.h"
#include "pipeline/spark/options.h"

/* Everything is borrowed during the call. */
typedef struct cm_spark_job {
    const cm_spark_options_t *options;
    const cm_cassandra_settings_t *cassandra; /* the events are read from here */
    const cm_elastic_settings_t *elastic;     /* the answers are written there */
    unsigned windows;                         /* bit 1 << cm_window_t each */
    int64_t session_timeout_ms;
    bool daily;   /* the configuration says that ids of visitors live for one UTC day */
    bool rebuild; /* fill new indices and move the aliases */
} cm_spark_job_t;

/* read = accepted + rejected; accepted = events + duplicates. */
typedef struct cm_spark_account {
    int64_t read, rejected; /* rows; rejected: those that break a rule of the contract */
    int64_t removed;        /* documents to which no event leads any more */
    cm_index_refreshed_t answers;
} cm_spark_account_t;

/* Computes the answers from the table in Cassandra and writes them to Elasticsearch. CM_EUSAGE when
 * spark-submit is not found, or belongs to a Spark without a connector; CM_EAWAY; CM_EIO when the
 * job fails, with the reason that it printed; CM_ESTOP, with the job ended, when env->stop becomes
 * true. After an error, indices that were created for this job are deleted. */
int cm_spark_process(const cm_pipeline_env_t *env, const cm_spark_job_t *job,
                     cm_spark_account_t *account, cm_err_t *err);

#endif
