/* Options that say how the topic is read and where dead letters go (base/options.h): an array of
 * rows that a command composes. Constants, for any thread. */
#ifndef CM_PIPELINE_INTAKE_OPTIONS_H
#define CM_PIPELINE_INTAKE_OPTIONS_H

#include "base/options.h"
#include "enrich/options.h"
#include "event/timestamp_options.h"
#include "kafka/options.h"

enum { CM_INTAKE_RESUME_STORE, CM_INTAKE_RESUME_GROUP };
enum { CM_INTAKE_DEAD_TO_TOPIC, CM_INTAKE_DEAD_TO_STORE };

typedef struct cm_intake_given {
    int64_t count;
    bool until_end;
    int resume;  /* CM_INTAKE_RESUME_STORE ... */
    int dead_to; /* CM_INTAKE_DEAD_TO_TOPIC ... */
    cm_timestamp_options_t times;
    cm_enrich_settings_t enrich; /* of its geoip and bots */
} cm_intake_given_t;

/* For a cm_intake_given_t, with the keys of `ingest`. */
extern const cm_option_t cm_intake_option_rows[];

/* For a cm_kafka_options_t: the topic that `process --follow` reads, with a group of its own. */
extern const cm_option_t cm_intake_follow_option_rows[];

#endif
