#include "index/options.h"

#include <stddef.h>

const cm_option_t cm_index_option[] = {
    {.name = "index",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_index_options_t, engine),
     .arg = "INDEX",
     .def = "embedded",
     .choices = "embedded|elasticsearch",
     .key = "index",
     .help = "where the answers are kept"},
    {.name = NULL},
};

const cm_option_t cm_index_server_option_rows[] = {
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_index_options_t, elasticsearch),
     .rows = cm_elastic_option_rows},
    {.name = NULL},
};

bool cm_index_server_named(const cm_index_options_t *options, const cm_option_values_t *values,
                           size_t offset)
{
    return options->engine == CM_INDEX_ELASTICSEARCH ||
           cm_options_given(values, offset + offsetof(cm_index_options_t, elasticsearch.hosts)) ||
           cm_options_given(values, offset + offsetof(cm_index_options_t, elasticsearch.cloud_id));
}
