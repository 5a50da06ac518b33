#include "index/elasticsearch/elasticsearch.h"

#include "index/elasticsearch/inside.h"

#include <stdlib.h>

static void elasticsearch_close(cm_index_t *index)
{
    cm_index_elasticsearch_t *self = (cm_index_elasticsearch_t *)index;

    cm_elastic_close(self->client);
    cm_buf_free(&self->name);
    free(self);
}

static const cm_index_ops_t ops = {.query = cm_index_elasticsearch_query,
                                   .freshness = cm_index_elasticsearch_freshness,
                                   .foreign = cm_index_elasticsearch_foreign,
                                   .apply = cm_index_elasticsearch_apply,
                                   .forget = cm_index_elasticsearch_forget,
                                   .probe = cm_index_elasticsearch_probe,
                                   .close = elasticsearch_close};

int cm_index_elasticsearch_open_writer(const cm_elastic_settings_t *settings, cm_index_t **index,
                                       cm_err_t *err)
{
    cm_index_elasticsearch_t *self = cm_alloc_zero(1, sizeof *self);

    self->index.ops = &ops;
    self->settings = *settings;
    cm_buf_printf(&self->name, "elasticsearch:%s/%s",
                  settings->cloud_id != NULL ? settings->cloud_id : settings->hosts,
                  settings->index);
    self->index.name = self->name.data;
    int rc = cm_elastic_open(&self->settings, &self->client, err);
    if (rc < 0)
        elasticsearch_close(&self->index);
    else
        *index = &self->index;
    return rc;
}

int cm_index_elasticsearch_open(const cm_elastic_settings_t *settings, cm_index_t **index,
                                cm_err_t *err)
{
    cm_index_elasticsearch_indices_t indices;
    cm_index_t *opened = NULL;

    int rc = cm_index_elasticsearch_open_writer(settings, &opened, err);
    if (rc < 0)
        return rc;
    const cm_index_elasticsearch_t *self = (const cm_index_elasticsearch_t *)opened;
    cm_index_request_t request = cm_index_elasticsearch_request(self, err);
    rc = cm_index_request_find(&request, &indices);
    if (rc == 0 && (indices.cells[0] == '\0' || indices.totals[0] == '\0'))
        rc = cm_index_elasticsearch_fail_empty(self, err);
    if (rc < 0)
        elasticsearch_close(opened);
    else
        *index = opened;
    return rc;
}

int cm_index_elasticsearch_forget(cm_index_t *index, cm_err_t *err)
{
    cm_index_elasticsearch_t *self = (cm_index_elasticsearch_t *)index;
    cm_index_elasticsearch_indices_t indices;

    self->fresh_known = false;
    int rc = cm_index_elasticsearch_find(self->client, &self->settings, NULL, &indices, err);
    return rc < 0 ? rc
                  : cm_index_elasticsearch_discard(self->client, &self->settings, &indices, err);
}
