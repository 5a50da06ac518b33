/* The settings of the Spark job as JSON; spark/clickstream/__init__.py describes them.
 * They are appended to the caller's buffer. One thread. */
#ifndef CM_PIPELINE_SPARK_SETTINGS_H
#define CM_PIPELINE_SPARK_SETTINGS_H

#include "index/elasticsearch/elasticsearch.h"
#include "pipeline/spark/spark.h"

/* Refuses what the job's connectors cannot do, instead of ignoring it: CM_EUSAGE. */
int cm_spark_check_settings(const cm_cassandra_settings_t *cassandra, cm_err_t *err);

/* Appends the settings. They contain passwords: the text must only reach the job. `host` is the
 * server's address where the job names a cloud id. CM_EUSAGE when a secret cannot be read. */
int cm_spark_add_settings(cm_buf_t *json, const cm_spark_job_t *job,
                          const cm_index_elasticsearch_indices_t *indices, const char *host,
                          cm_err_t *err);

#endif
