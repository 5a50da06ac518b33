/* Which Spark there is, and which connector for Cassandra goes with it. */
#ifndef CM_PIPELINE_SPARK_VERSION_H
#define CM_PIPELINE_SPARK_VERSION_H

#include "cmd/app.h"

typedef struct cm_spark_version {
    int major, minor;
    char text[32];  /* "3.5.7"; empty: it was not understood */
    char scala[16]; /* "2.12" */
} cm_spark_version_t;

/* Adds one line of what `spark-submit --version` says. */
void cm_spark_version_read(cm_spark_version_t *version, cm_str_t line);

/* The coordinates of the connector for a Spark; NULL: there is none. */
const char *cm_spark_connector(const cm_spark_version_t *version);

/* Runs `submit --version`, which takes a second or two, and finds the connector; it lives for ever.
 * CM_EUSAGE when this Spark has none, or cannot be run; CM_ESTOP. */
int cm_spark_find_connector(cm_app_t *app, const char *submit, const char **connector);

#endif
