#include "pipeline/intake_options.h"

const cm_option_t cm_intake_option_rows[] = {
    {.name = "count",
     .type = CM_OPT_INT,
     .offset = offsetof(cm_intake_given_t, count),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "the most messages to read; 0, the default: no limit"},
    {.name = "until-end",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_intake_given_t, until_end),
     .help =
         "end when the whole group has read what the topic held at the start, instead of waiting "
         "for more"},
    {.name = "resume",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_intake_given_t, resume),
     .arg = "FROM",
     .def = "store",
     .choices = "store|group",
     .key = "ingest.resume",
     .help =
         "embedded store: go on at its own position, whatever the group has committed, or at the "
         "later of the two, for several data directories that share a topic"},
    {.name = "dead-to",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_intake_given_t, dead_to),
     .arg = "PLACE",
     .def = "topic",
     .choices = "topic|store",
     .key = "ingest.dead_to",
     .help = "where dead letters go: their topic, or the embedded store"},
    {.name = "times",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_intake_given_t, times),
     .rows = cm_timestamp_ingest_options},
    {.name = "enrich",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_intake_given_t, enrich),
     .rows = cm_enrich_message_option_rows},
    {.name = NULL},
};

const cm_option_t cm_intake_follow_option_rows[] = {
    {.name = "group", .type = CM_OPT_ROWS, .rows = cm_kafka_follow_group_option},
    {.name = "kafka", .type = CM_OPT_ROWS, .rows = cm_kafka_option_rows},
    {.name = "tombstones", .type = CM_OPT_ROWS, .rows = cm_kafka_tombstones_option},
    {.name = "values", .type = CM_OPT_ROWS, .rows = cm_kafka_value_options},
    {.name = NULL},
};
