/* Options that say where events go and how that is reached (base/options.h): arrays of rows that a
 * command composes, for a struct that belongs to the command. Constants, for any thread. */
#ifndef CM_SINK_OPTIONS_H
#define CM_SINK_OPTIONS_H

#include "kafka/options.h"

/* Where events go: also the position in its row's choices. */
typedef enum cm_sink_choice {
    CM_SINK_STORE,
    CM_SINK_KAFKA,
} cm_sink_choice_t;

typedef struct cm_sink_options {
    int engine; /* cm_sink_choice_t */
    cm_kafka_options_t kafka;
} cm_sink_options_t;

/* For a cm_sink_options_t: which engine; how an engine that is a server is reached; and the same
 * for a command that also reads from there. */
extern const cm_option_t cm_sink_option[];
extern const cm_option_t cm_sink_server_option_rows[];
extern const cm_option_t cm_sink_reader_option_rows[];

/* Whether events go to a topic, from which other processes read them; if not, into the store. */
bool cm_sink_is_topic(const cm_sink_options_t *options);

/* Whether the user names the topic's server: by choosing the sink, or by an address in `values`.
 * `offset`: of the options in the struct that `values` filled. */
bool cm_sink_server_named(const cm_sink_options_t *options, const cm_option_values_t *values,
                          size_t offset);

#endif
