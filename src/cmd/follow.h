/* `process --follow`: answers that follow Kafka's topic.
 *
 * Reads the topic as a consumer group of its own into the embedded store, whose transactions hold
 * the offsets too, so that each message counts exactly once; refreshes the answers every so often,
 * and the copy on Elasticsearch, where one is configured, beside that. */
#ifndef CM_CMD_FOLLOW_H
#define CM_CMD_FOLLOW_H

#include "cmd/app.h"
#include "event/timestamp_options.h"
#include "kafka/options.h"

typedef struct cm_follow_options {
    unsigned windows;
    int64_t every; /* ms */
    int threads;
    bool rebuild;   /* all answers are made again, once */
    bool until_end; /* of the topic, as it was in the beginning */
    cm_index_settings_t index;
    const cm_kafka_options_t *kafka;
    const cm_timestamp_options_t *times;
    const char *geoip; /* see cmd/enrich.h */
} cm_follow_options_t;

/* Follows until the app is told to stop, or the topic's end. */
int cm_follow(cm_app_t *app, const cm_follow_options_t *options);

#endif
