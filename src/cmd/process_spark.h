/* `process --engine spark`. One thread. */
#ifndef CM_CMD_PROCESS_SPARK_H
#define CM_CMD_PROCESS_SPARK_H

#include "cmd/app.h"
#include "pipeline/spark/spark.h"

/* Runs the job while it holds the data directory, and prints the account, as JSON where --json
 * asks. Errors are those of cm_spark_process(), and CM_EBUSY where another process holds the
 * directory. */
int cm_processing_by_spark(cm_app_t *app, const cm_spark_job_t *job);

#endif
