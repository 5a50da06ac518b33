/* The index on Elasticsearch or OpenSearch: how it is laid out, made, and read.
 *
 * Each alias leads to one index, `<alias>-000001` and so on; a rebuild fills the next one and then
 * moves the alias, so that readers never see half. Mapping and settings come from a component
 * template and an index template of the alias' name. What documents look like: document.h.
 *
 * The mapping's `_meta` has `clickmill: {epoch: "<32 hex digits>"}`. Who begins to write an index
 * sets an epoch of his own; who finds another one than his knows that somebody else has written
 * since (the Spark job, another data directory) and compares everything. */
#ifndef CM_INDEX_ELASTICSEARCH_H
#define CM_INDEX_ELASTICSEARCH_H

#include "elastic/client.h"
#include "index/elasticsearch/document.h"

enum { CM_INDEX_NAME = 256 };

/* What the two aliases lead to. */
typedef struct cm_index_elasticsearch_indices {
    char cells[CM_INDEX_NAME], totals[CM_INDEX_NAME]; /* names of indices; empty: none yet */
    char epoch[CM_INDEX_EPOCH + 1]; /* of cells, where both have the same; empty: none */
} cm_index_elasticsearch_indices_t;

/* Looks where the aliases lead to. CM_EUSAGE, with what to do, when one leads to several indices or
 * an index stands where an alias shall be. */
int cm_index_elasticsearch_find(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter,
                                cm_index_elasticsearch_indices_t *indices, cm_err_t *err);

/* Brings the templates up to date, and where `indices` are empty makes them with their aliases. */
int cm_index_elasticsearch_prepare(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                   const cm_waiter_t *waiter,
                                   cm_index_elasticsearch_indices_t *indices, cm_err_t *err);

/* Makes the two next indices, without aliases, to be filled. Those that an earlier rebuild has left
 * behind unfinished are deleted. */
int cm_index_elasticsearch_make_next(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                     const cm_waiter_t *waiter,
                                     cm_index_elasticsearch_indices_t *next, cm_err_t *err);

/* Makes what was written visible, moves both aliases to `next` in one step, and deletes what they
 * led to before; an index in the place of an alias, too. CM_EBUSY when `next` is no longer of its
 * epoch, because somebody else has begun a rebuild. */
int cm_index_elasticsearch_swap(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter,
                                const cm_index_elasticsearch_indices_t *next, cm_err_t *err);

/* Deletes the indices that are named, where they still have the epoch of `made` or none at all:
 * else somebody else writes them now. One that is not there is none to delete. */
int cm_index_elasticsearch_discard(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                   const cm_index_elasticsearch_indices_t *made, cm_err_t *err);

/* Writes the epoch into both indices' `_meta`. */
int cm_index_elasticsearch_set_epoch(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                     const cm_waiter_t *waiter,
                                     cm_index_elasticsearch_indices_t *indices, const char *epoch,
                                     cm_err_t *err);

/* An epoch that nobody else has. */
int cm_index_elasticsearch_new_epoch(char epoch[CM_INDEX_EPOCH + 1], cm_err_t *err);

/* Makes what was written visible to searches. */
int cm_index_elasticsearch_refresh(cm_elastic_t *client, const cm_waiter_t *waiter,
                                   const cm_index_elasticsearch_indices_t *indices, cm_err_t *err);

/* Walks all documents of an index in no order (a scroll); documents of freshness are left out. */
int cm_index_elasticsearch_each(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter, const char *index, cm_document_fn take,
                                void *context, cm_err_t *err);

/* Opens the index for reading. What the settings point to must outlive it. A server that is away is
 * not waited for: CM_EAWAY. CM_EINPUT when the aliases do not exist. */
int cm_index_elasticsearch_open(const cm_elastic_settings_t *settings, cm_index_t **index,
                                cm_err_t *err);

/* Opens it for writing and probing; asks no server yet, and the indices need not exist. CM_EUSAGE.
 */
int cm_index_elasticsearch_open_writer(const cm_elastic_settings_t *settings, cm_index_t **index,
                                       cm_err_t *err);

#endif
