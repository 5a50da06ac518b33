/* The index on Elasticsearch or OpenSearch.
 *
 * Each alias leads to one index, `<alias>-000001` and so on; a rebuild fills the next one and then
 * moves the alias, so that readers never see a part of it. Mapping and settings come from a
 * component template and an index template with the name of the alias. document.h has the form of
 * the documents.
 *
 * The mapping's `_meta` has `clickmill: {epoch: "<32 hex digits>"}`. A program that begins to write
 * an index sets a new epoch. A writer that finds another epoch than its own knows that another
 * program has written since (the Spark job, another data directory), and compares all rows.
 *
 * The caller owns what is opened, and the settings that it borrows outlive it. One thread at a
 * time; a handle for each thread. */
#ifndef CM_INDEX_ELASTICSEARCH_ELASTICSEARCH_H
#define CM_INDEX_ELASTICSEARCH_ELASTICSEARCH_H

#include "elastic/client.h"
#include "index/elasticsearch/document.h"

enum { CM_INDEX_NAME = 256 };

/* The beginning of the origin of a dead letter for a refused document. */
#define CM_INDEX_ELASTICSEARCH_ORIGIN "elasticsearch:"

/* The indices to which the two aliases lead. */
typedef struct cm_index_elasticsearch_indices {
    char cells[CM_INDEX_NAME], totals[CM_INDEX_NAME]; /* names of indices; empty: none yet */
    char epoch[CM_INDEX_EPOCH + 1]; /* of cells, where both have the same; empty: none */
} cm_index_elasticsearch_indices_t;

/* Finds the indices to which the aliases lead. CM_EUSAGE, with what to do, when an alias leads to
 * several indices or an index has the name of the alias. */
int cm_index_elasticsearch_find(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter,
                                cm_index_elasticsearch_indices_t *indices, cm_err_t *err);

/* Brings the templates up to date; creates the indices whose names are empty, with their aliases.
 */
int cm_index_elasticsearch_prepare(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                   const cm_waiter_t *waiter,
                                   cm_index_elasticsearch_indices_t *indices, cm_err_t *err);

/* Creates the next two indices, without aliases, to be filled. Unfinished ones of an earlier
 * rebuild are deleted. */
int cm_index_elasticsearch_make_next(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                     const cm_waiter_t *waiter,
                                     cm_index_elasticsearch_indices_t *next, cm_err_t *err);

/* Makes what was written visible, moves both aliases to `next` in one step, and deletes the indices
 * to which they led before, and an index with the name of an alias. CM_EBUSY when `next` no longer
 * has its epoch, because another program has begun a rebuild. */
int cm_index_elasticsearch_swap(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter,
                                const cm_index_elasticsearch_indices_t *next, cm_err_t *err);

/* Deletes the named indices, where they still have the epoch of `made` or no epoch: else another
 * program writes them now. It is no error when one does not exist. */
int cm_index_elasticsearch_discard(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                   const cm_index_elasticsearch_indices_t *made, cm_err_t *err);

/* Writes the epoch into both indices' `_meta`. */
int cm_index_elasticsearch_set_epoch(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                     const cm_waiter_t *waiter,
                                     cm_index_elasticsearch_indices_t *indices, const char *epoch,
                                     cm_err_t *err);

/* A random epoch, which no other writer has. */
int cm_index_elasticsearch_new_epoch(char epoch[CM_INDEX_EPOCH + 1], cm_err_t *err);

/* Makes what was written visible to searches. */
int cm_index_elasticsearch_refresh(cm_elastic_t *client, const cm_waiter_t *waiter,
                                   const cm_index_elasticsearch_indices_t *indices, cm_err_t *err);

/* Walks all documents of an index in no order (a scroll); documents of freshness are left out. */
int cm_index_elasticsearch_each(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter, const char *index, cm_document_fn take,
                                void *context, cm_err_t *err);

/* Opens the index for reading. What the settings point to must outlive it. It does
 * not wait for a server that does not answer: CM_EAWAY. CM_EINPUT when the aliases do not exist. */
int cm_index_elasticsearch_open(const cm_elastic_settings_t *settings, cm_index_t **index,
                                cm_err_t *err);

/* Opens it for writing and probing; asks no server yet, and the indices need not exist. CM_EUSAGE.
 */
int cm_index_elasticsearch_open_writer(const cm_elastic_settings_t *settings, cm_index_t **index,
                                       cm_err_t *err);

#endif
