/* The option that says where events go (base/options.h). */
#ifndef CM_SINK_OPTIONS_H
#define CM_SINK_OPTIONS_H

#include "base/options.h"

/* Where events go: cm_sink_choice_t. */
typedef enum cm_sink_choice {
    CM_SINK_STORE,
    CM_SINK_KAFKA,
} cm_sink_choice_t;

/* For an int: a cm_sink_choice_t. */
extern const cm_option_t cm_sink_option[];

#endif
