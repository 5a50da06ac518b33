#include "store/options.h"

#include <stddef.h>

const cm_option_t cm_store_option[] = {
    {.name = "store",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_store_options_t, engine),
     .arg = "STORE",
     .def = "embedded",
     .choices = "embedded|cassandra",
     .key = "store",
     .help = "where the raw events are kept"},
    {.name = NULL},
};

const cm_option_t cm_store_server_option_rows[] = {
    {.name = "cassandra",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_store_options_t, cassandra),
     .rows = cm_cassandra_option_rows},
    {.name = NULL},
};

bool cm_store_server_named(const cm_store_options_t *options, const cm_option_values_t *values,
                           size_t offset)
{
    return options->engine == CM_STORE_CASSANDRA ||
           cm_options_given(values, offset + offsetof(cm_store_options_t, cassandra.hosts));
}
