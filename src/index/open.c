#include "index/open.h"

#include "index/elasticsearch/elasticsearch.h"
#include "index/embedded/embedded.h"

#include <string.h>

static const char *const engines[] = {
    [CM_INDEX_EMBEDDED] = "the embedded index", [CM_INDEX_ELASTICSEARCH] = "Elasticsearch"};

static cm_elastic_settings_t elastic_settings(const cm_index_settings_t *settings)
{
    cm_elastic_settings_t elastic = settings->elasticsearch;

    if (settings->stop != NULL)
        elastic.stop = settings->stop;
    return elastic;
}

cm_index_settings_t cm_index_settings_of_data_dir(const char *data_dir, bool daily)
{
    return (cm_index_settings_t){.engine = CM_INDEX_EMBEDDED, .data_dir = data_dir, .daily = daily};
}

int cm_index_open(const cm_index_settings_t *settings, cm_index_t **index, cm_err_t *err)
{
    const cm_elastic_settings_t elastic = elastic_settings(settings);

    int rc = settings->engine == CM_INDEX_ELASTICSEARCH
                 ? cm_index_elasticsearch_open(&elastic, index, err)
                 : cm_index_embedded_open(settings->data_dir, index, err);
    if (rc == 0) {
        (*index)->engine = cm_index_engine(settings);
        (*index)->daily = settings->daily;
    }
    return rc;
}

int cm_index_open_writer(const cm_index_settings_t *settings, cm_store_t *store, cm_index_t **index,
                         cm_err_t *err)
{
    const cm_elastic_settings_t elastic = elastic_settings(settings);

    int rc = settings->engine == CM_INDEX_ELASTICSEARCH
                 ? cm_index_elasticsearch_open_writer(&elastic, index, err)
                 : cm_index_embedded_open_writer(store, index, err);
    if (rc == 0)
        (*index)->engine = cm_index_engine(settings);
    return rc;
}

int cm_index_open_server(const cm_index_settings_t *settings, cm_index_t **index, cm_err_t *err)
{
    cm_index_settings_t server = *settings;

    server.engine = CM_INDEX_ELASTICSEARCH;
    return cm_index_open_writer(&server, NULL, index, err);
}

bool cm_index_in_data_dir(const cm_index_settings_t *settings)
{
    return settings->engine == CM_INDEX_EMBEDDED;
}

const cm_elastic_settings_t *cm_index_server(const cm_index_settings_t *settings)
{
    return settings->engine == CM_INDEX_ELASTICSEARCH ? &settings->elasticsearch : NULL;
}

const char *cm_index_place(const cm_index_settings_t *settings)
{
    return settings->engine == CM_INDEX_ELASTICSEARCH ? settings->elasticsearch.index
                                                      : settings->data_dir;
}

const char *cm_index_engine(const cm_index_settings_t *settings)
{
    return engines[settings->engine];
}

bool cm_index_refused(cm_str_t origin, cm_index_settings_t *index)
{
    static const cm_str_t prefix = CM_STR(CM_INDEX_ELASTICSEARCH_ORIGIN);

    if (origin.len <= prefix.len || memcmp(origin.data, prefix.data, prefix.len) != 0)
        return false;
    *index = (cm_index_settings_t){.engine = CM_INDEX_ELASTICSEARCH};
    return true;
}

const char *cm_index_argument(const cm_index_settings_t *settings)
{
    return settings->engine == CM_INDEX_ELASTICSEARCH ? " --index elasticsearch" : "";
}
