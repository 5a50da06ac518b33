#include "pipeline/spark/spark.h"

const cm_option_t cm_spark_option_rows[] = {
    {.name = "spark-submit",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_spark_given_t, submit),
     .arg = "PROGRAM",
     .key = "spark.submit",
     .env = "CLICKMILL_SPARK_SUBMIT",
     .help = "what runs Spark jobs; else $SPARK_HOME/bin/spark-submit, or spark-submit in PATH"},
    {.name = "spark-master",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_spark_given_t, master),
     .arg = "MASTER",
     .key = "spark.master",
     .help = "local[2], spark://HOST:7077, yarn, ...; else what spark-submit is set to"},
    {.name = "spark-packages",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_spark_given_t, packages),
     .arg = "GROUP:NAME:VERSION,...",
     .key = "spark.packages",
     .help = "connectors that spark-submit downloads once; else Cassandra's for Spark 3.5; none: "
             "it has them"},
    {.name = "spark-property",
     .type = CM_OPT_MAP,
     .offset = offsetof(cm_spark_given_t, properties),
     .arg = "NAME=VALUE",
     .secret = CM_SECRET_BY_NAME,
     .key = "spark.properties",
     .help = "any property of Spark or of the connectors, once each; in a value ${NAME} is an "
             "environment variable, and file:PATH what a file holds"},
    {.name = NULL},
};
