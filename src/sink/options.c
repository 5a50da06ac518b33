#include "sink/options.h"

const cm_option_t cm_sink_option[] = {
    {.name = "sink",
     .type = CM_OPT_CHOICE,
     .arg = "SINK",
     .def = "store",
     .choices = "store|kafka",
     .key = "sink",
     .help = "where the events go"},
    {.name = NULL},
};

const cm_option_t cm_sink_server_option_rows[] = {
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_sink_options_t, kafka),
     .rows = cm_kafka_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_sink_options_t, kafka),
     .rows = cm_kafka_option_rows},
    {.name = NULL},
};

const cm_option_t cm_sink_reader_option_rows[] = {
    {.name = "servers", .type = CM_OPT_ROWS, .rows = cm_sink_server_option_rows},
    {.name = "tombstones",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_sink_options_t, kafka),
     .rows = cm_kafka_tombstones_option},
    {.name = "values",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_sink_options_t, kafka),
     .rows = cm_kafka_value_options},
    {.name = NULL},
};

bool cm_sink_is_topic(const cm_sink_options_t *options)
{
    return options->engine == CM_SINK_KAFKA;
}

bool cm_sink_server_named(const cm_sink_options_t *options, const cm_option_values_t *values,
                          size_t offset)
{
    return options->engine == CM_SINK_KAFKA ||
           cm_options_given(values, offset + offsetof(cm_sink_options_t, kafka.brokers));
}
