/* The release of a Spark, and the connector for Cassandra that matches it. Texts are written
 * to the caller's buffers. For any thread. */
#ifndef CM_PIPELINE_SPARK_VERSION_H
#define CM_PIPELINE_SPARK_VERSION_H

#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>

typedef struct cm_spark_version {
    int major, minor;
    char text[32];  /* "3.5.7"; empty: not found */
    char scala[16]; /* "2.12" */
} cm_spark_version_t;

/* Reads one line of the output of `spark-submit --version`; other lines change nothing. */
void cm_spark_version_read(cm_spark_version_t *version, cm_str_t line);

/* The coordinates of the connector for a Spark; NULL when there is none. */
const char *cm_spark_connector(const cm_spark_version_t *version);

/* Runs `submit --version`, which takes one or two seconds, and sets the connector (a constant).
 * CM_EUSAGE when this Spark has none or cannot be run; CM_ESTOP when `stop` becomes true. */
int cm_spark_find_connector(const atomic_bool *stop, const char *submit, const char **connector,
                            cm_err_t *err);

#endif
