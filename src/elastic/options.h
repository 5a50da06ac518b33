/* Options that say where Elasticsearch is and how it is used: an array of rows (base/options.h)
 * that a command composes. The struct belongs to the command; tables are constant, for any
 * thread. */
#ifndef CM_ELASTIC_OPTIONS_H
#define CM_ELASTIC_OPTIONS_H

#include "base/options.h"
#include "elastic/client.h"

typedef struct cm_elastic_options {
    const char *hosts, *cloud_id, *index, *totals;
    const char *username, *password, *api_key, *ca;
    int64_t shards, replicas, connections, bulk_bytes, timeout;
    bool insecure, gzip;
} cm_elastic_options_t;

/* For a cm_elastic_options_t. */
extern const cm_option_t cm_elastic_option_rows[];

/* The settings that the options mean; they borrow from all three. `values` are those of the command
 * line that filled the options: a flag that was not given lets the hosts decide. */
cm_elastic_settings_t cm_elastic_settings_of(const cm_elastic_options_t *options,
                                             const cm_option_values_t *values, const cm_log_t *log,
                                             const atomic_bool *stop);

#endif
