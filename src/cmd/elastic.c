#include "cmd/elastic.h"

int cm_index_open_chosen(const cm_app_t *app, int choice, const cm_elastic_settings_t *settings,
                         cm_index_t **index, cm_err_t *err)
{
    int rc = choice == CM_INDEX_ELASTICSEARCH
                 ? cm_index_elasticsearch_open(settings, index, err)
                 : cm_index_embedded_open(app->global.data_dir, index, err);
    if (rc == 0)
        (*index)->daily = app->global.visitors == CM_VISITORS_DAILY;
    return rc;
}
