/* The layout of the index on Elasticsearch: fields, mapping, templates. For this folder only. Pure
 * functions, for any thread. */
#ifndef CM_INDEX_ELASTICSEARCH_LAYOUT_H
#define CM_INDEX_ELASTICSEARCH_LAYOUT_H

#include "index/elasticsearch/document_json.h"
#include "index/elasticsearch/elasticsearch.h"

/* The two aliases. */
typedef enum cm_index_elasticsearch_part {
    CM_PART_CELLS,
    CM_PART_TOTALS,
    CM_PART_COUNT
} cm_index_elasticsearch_part_t;

/* Checks the names of the aliases: that they can be names of indices, and that the patterns of
 * their templates do not overlap. CM_EUSAGE. */
int cm_index_elasticsearch_check_names(const cm_elastic_settings_t *settings, cm_err_t *err);

const char *cm_index_elasticsearch_alias(const cm_elastic_settings_t *settings,
                                         cm_index_elasticsearch_part_t part);

/* The member `part` of the names of indices. */
char *cm_index_elasticsearch_part(cm_index_elasticsearch_indices_t *indices,
                                  cm_index_elasticsearch_part_t part);

/* The body of PUT _component_template/ALIAS. */
void cm_index_elasticsearch_add_component(cm_buf_t *body, const cm_elastic_settings_t *settings,
                                          cm_index_elasticsearch_part_t part);

/* The body of PUT _index_template/ALIAS. */
void cm_index_elasticsearch_add_template(cm_buf_t *body, const cm_elastic_settings_t *settings,
                                         cm_index_elasticsearch_part_t part);

/* The body that creates an index. It has the mapping too, so that no other template can change it.
 * `alias` may be NULL. */
void cm_index_elasticsearch_add_index(cm_buf_t *body, cm_index_elasticsearch_part_t part,
                                      const char *alias);

/* Compares an index's mapping with the layout; appends one sentence about the first fields that
 * differ. Returns how many do. */
int cm_index_elasticsearch_compare(const cm_index_seen_t *seen, cm_index_elasticsearch_part_t part,
                                   cm_buf_t *sentence);

#endif
