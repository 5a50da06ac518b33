/* The option that says which index keeps the answers (base/options.h). Constant, for any thread. */
#ifndef CM_INDEX_OPTIONS_H
#define CM_INDEX_OPTIONS_H

#include "base/options.h"

/* Which index: also the position in its row's choices. */
typedef enum cm_index_choice {
    CM_INDEX_EMBEDDED,
    CM_INDEX_ELASTICSEARCH,
} cm_index_choice_t;

/* For an int: a cm_index_choice_t. */
extern const cm_option_t cm_index_option[];

#endif
