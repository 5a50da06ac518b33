/* What the files of this engine share: read.c, apply.c and probe.c implement the operations of
 * the door, elasticsearch.c opens and closes the index. Used by one thread at a time, as its
 * handle is. */
#ifndef CM_INDEX_ELASTICSEARCH_INSIDE_H
#define CM_INDEX_ELASTICSEARCH_INSIDE_H

#include "elastic/bulk.h"
#include "index/elasticsearch/copy.h"
#include "index/elasticsearch/request.h"

typedef struct cm_index_elasticsearch {
    cm_index_t index; /* first */
    cm_elastic_settings_t settings;
    cm_elastic_t *client;
    cm_buf_t name;
    /* Of apply(): the freshness that the index has, where it is known. */
    cm_freshness_t fresh[CM_WINDOW_COUNT];
    bool fresh_known;
} cm_index_elasticsearch_t;

/* A request that does not wait for a server that does not answer. */
static inline cm_index_request_t
cm_index_elasticsearch_request(const cm_index_elasticsearch_t *self, cm_err_t *err)
{
    return (cm_index_request_t){.client = self->client, .settings = &self->settings, .err = err};
}

/* CM_EINPUT: the index has no answers yet. */
int cm_index_elasticsearch_fail_empty(const cm_index_elasticsearch_t *self, cm_err_t *err);

/* ---- operations of the door ---- */

int cm_index_elasticsearch_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                                 void *context, cm_err_t *err);
int cm_index_elasticsearch_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                                     cm_err_t *err);
int cm_index_elasticsearch_foreign(cm_index_t *index, cm_foreign_fn take, void *context,
                                   cm_err_t *err);
int cm_index_elasticsearch_apply(cm_index_t *index, cm_index_t *source,
                                 const cm_index_apply_t *options, cm_index_checkpoint_t *checkpoint,
                                 cm_index_applied_t *applied, cm_err_t *err);
int cm_index_elasticsearch_forget(cm_index_t *index, cm_err_t *err);
int cm_index_elasticsearch_probe(cm_index_t *index, bool create, cm_index_facts_t *facts,
                                 cm_err_t *err);

#endif
