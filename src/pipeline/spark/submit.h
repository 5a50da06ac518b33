/* spark-submit: where it is, which Spark it belongs to, and its command line. The struct
 * owns what was found. One thread. */
#ifndef CM_PIPELINE_SPARK_SUBMIT_H
#define CM_PIPELINE_SPARK_SUBMIT_H

#include "pipeline/env.h"
#include "pipeline/spark/child.h"
#include "pipeline/spark/options.h"

typedef struct cm_spark_submit {
    cm_buf_t path;
    const char *packages; /* connectors to download, "none" or "": none; borrowed */
} cm_spark_submit_t;

#define CM_SPARK_SUBMIT_INIT ((cm_spark_submit_t){.path = CM_BUF_INIT})

/* Finds spark-submit and the connector for its Spark; where the options name connectors, its
 * version is not asked for. The caller frees `submit`, also after an error. CM_EUSAGE; CM_ESTOP. */
int cm_spark_submit_find(const cm_pipeline_env_t *env, const cm_spark_options_t *options,
                         cm_spark_submit_t *submit, cm_err_t *err);

/* Appends the program and its options to the arguments of the child. Other users of the machine can
 * read a command line, so that properties with secrets are left out: the settings contain them. */
void cm_spark_submit_arguments(const cm_spark_submit_t *submit, const cm_spark_options_t *options,
                               cm_child_t *child);

/* Appends the Python files that the user's properties name to the last argument, the value of
 * --py-files: spark-submit would leave them out, because an option counts more than a property. */
void cm_spark_submit_add_own_files(const cm_spark_options_t *options, cm_child_t *child);

void cm_spark_submit_free(cm_spark_submit_t *submit);

#endif
