/* The options of `process --engine spark`. The struct belongs to the command; the table is
 * constant, for any thread. */
#ifndef CM_PIPELINE_SPARK_OPTIONS_H
#define CM_PIPELINE_SPARK_OPTIONS_H

#include "base/options.h"

typedef struct cm_spark_options {
    const char *submit, *master, *packages; /* NULL: not given */
    cm_option_map_t properties;
} cm_spark_options_t;

/* The options for a cm_spark_options_t. */
extern const cm_option_t cm_spark_option_rows[];

#endif
