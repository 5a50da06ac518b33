#include "cmd/elastic.h"

/* The flag as it was given; where nobody did, the hosts decide. */
static cm_elastic_gzip_t gzip_of(const cm_app_t *app, bool gzip)
{
    const cm_option_t *table = app->values != NULL ? app->values->table : NULL;
    const cm_option_t *row = cm_options_by_name(table, "elasticsearch-gzip");

    if (row == NULL || !cm_options_given(app->values, row->offset))
        return CM_ELASTIC_GZIP_AUTO;
    return gzip ? CM_ELASTIC_GZIP_ON : CM_ELASTIC_GZIP_OFF;
}

cm_elastic_settings_t cm_elastic_settings_of(const cm_app_t *app, const cm_elastic_given_t *given)
{
    return (cm_elastic_settings_t){.hosts = given->hosts,
                                   .cloud_id = given->cloud_id,
                                   .index = given->index,
                                   .totals = given->totals,
                                   .username = given->username,
                                   .password = given->password,
                                   .api_key = given->api_key,
                                   .ca_file = given->ca,
                                   .insecure = given->insecure,
                                   .shards = (int)given->shards,
                                   .replicas = (int)given->replicas,
                                   .connections = (int)given->connections,
                                   .bulk_bytes = (size_t)given->bulk_bytes,
                                   .gzip = gzip_of(app, given->gzip),
                                   .timeout_ms = given->timeout,
                                   .log = &app->log,
                                   .stop = app->stop};
}

int cm_index_open_chosen(const cm_app_t *app, int choice, const cm_elastic_settings_t *settings,
                         cm_index_t **index, cm_err_t *err)
{
    int rc = choice == CM_INDEX_ELASTICSEARCH
                 ? cm_index_open_elasticsearch(settings, index, err)
                 : cm_index_open_embedded(app->global.data_dir, index, err);
    if (rc == 0)
        (*index)->daily = app->global.visitors == CM_VISITORS_DAILY;
    return rc;
}
