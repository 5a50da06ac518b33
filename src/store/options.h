/* Options that say which store keeps the raw events and how it is reached (base/options.h): arrays
 * of rows that a command composes, for a struct that belongs to the command. Constants, for any
 * thread. */
#ifndef CM_STORE_OPTIONS_H
#define CM_STORE_OPTIONS_H

#include "base/options.h"
#include "cassandra/options.h"

/* Which store: also the position in its row's choices. */
typedef enum cm_store_choice {
    CM_STORE_EMBEDDED,
    CM_STORE_CASSANDRA,
} cm_store_choice_t;

typedef struct cm_store_options {
    int engine; /* cm_store_choice_t */
    cm_cassandra_options_t cassandra;
} cm_store_options_t;

/* Both for a cm_store_options_t: which engine; and how each engine that is a server is reached. */
extern const cm_option_t cm_store_option[];
extern const cm_option_t cm_store_server_option_rows[];

/* Whether the user names a server for the events: by choosing that store, or by an address in
 * `values`. `offset`: of the options in the struct that `values` filled. */
bool cm_store_server_named(const cm_store_options_t *options, const cm_option_values_t *values,
                           size_t offset);

#endif
