/* Options that say which index keeps the answers and how it is reached (base/options.h): arrays of
 * rows that a command composes, for a struct that belongs to the command. Constants, for any
 * thread. */
#ifndef CM_INDEX_OPTIONS_H
#define CM_INDEX_OPTIONS_H

#include "base/options.h"
#include "elastic/options.h"

/* Which index: also the position in its row's choices. */
typedef enum cm_index_choice {
    CM_INDEX_EMBEDDED,
    CM_INDEX_ELASTICSEARCH,
} cm_index_choice_t;

typedef struct cm_index_options {
    int engine; /* cm_index_choice_t */
    cm_elastic_options_t elasticsearch;
} cm_index_options_t;

/* Both for a cm_index_options_t: which engine; and how each engine that is a server is reached. */
extern const cm_option_t cm_index_option[];
extern const cm_option_t cm_index_server_option_rows[];

/* Whether the user names a server for the answers: by choosing that index, or by an address in
 * `values`. `offset`: of the options in the struct that `values` filled. */
bool cm_index_server_named(const cm_index_options_t *options, const cm_option_values_t *values,
                           size_t offset);

#endif
