#include "pipeline/spark/options.h"

#include <stddef.h>

const cm_option_t cm_spark_option_rows[] = {
    {.name = "spark-submit",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_spark_options_t, submit),
     .arg = "PROGRAM",
     .key = "spark.submit",
     .env = "CLICKMILL_SPARK_SUBMIT",
     .help = "the program that runs Spark jobs; default $SPARK_HOME/bin/spark-submit, else "
             "spark-submit in PATH"},
    {.name = "spark-master",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_spark_options_t, master),
     .arg = "MASTER",
     .key = "spark.master",
     .help = "local[2], spark://HOST:7077, yarn, ...; default: as spark-submit is configured"},
    {.name = "spark-packages",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_spark_options_t, packages),
     .arg = "GROUP:NAME:VERSION,...",
     .key = "spark.packages",
     .help =
         "connectors that spark-submit downloads once; default: Cassandra's connector for Spark "
         "3.5; none: this Spark has it already"},
    {.name = "spark-property",
     .type = CM_OPT_MAP,
     .offset = offsetof(cm_spark_options_t, properties),
     .arg = "NAME=VALUE",
     .secret = CM_SECRET_BY_NAME,
     .key = "spark.properties",
     .help = "any property of Spark or of the connectors, each once; in a value ${NAME} is an "
             "environment variable and file:PATH is the contents of a file"},
    {.name = NULL},
};
