/* The option that says which store keeps the raw events (base/options.h). */
#ifndef CM_STORE_OPTIONS_H
#define CM_STORE_OPTIONS_H

#include "base/options.h"

/* Which store: also the position in its row's choices. */
typedef enum cm_store_choice {
    CM_STORE_EMBEDDED,
    CM_STORE_CASSANDRA,
} cm_store_choice_t;

/* For an int: a cm_store_choice_t. */
extern const cm_option_t cm_store_option[];

#endif
