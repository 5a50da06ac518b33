/* Reads answers of Elasticsearch: the C interface of document_json.cc (simdjson). Each call has a
 * parser of its own. For any thread. */
#ifndef CM_INDEX_ELASTICSEARCH_DOCUMENT_JSON_H
#define CM_INDEX_ELASTICSEARCH_DOCUMENT_JSON_H

#include "index/elasticsearch/document.h"

/* The values of `dimension` in a document; NULL for cells, which have none. */
extern const char *const cm_document_dimensions[CM_DIMENSION_COUNT];

/* One page of hits. */
typedef struct cm_documents_page {
    size_t count;  /* hits */
    int64_t total; /* of the whole search; -1: not counted */
} cm_documents_page_t;

/* cm_documents_each() that also gives the number of hits in all. CM_EAWAY when a part of the index
 * did not answer, so that hits are missing. */
int cm_documents_page(cm_str_t json, cm_document_fn take, void *context, cm_buf_t *scroll_id,
                      cm_documents_page_t *page, cm_err_t *err);

/* Reads the answer of GET INDEX/_doc/freshness:...; without the document the freshness is not
 * `present`. CM_EIO when it is not such an answer. */
int cm_document_read_freshness(cm_str_t json, cm_freshness_t *freshness, cm_err_t *err);

/* One index of an answer of GET NAME/_mapping or NAME/_alias. */
typedef struct cm_index_seen {
    cm_str_t name;
    cm_str_t epoch;  /* of `_meta`; empty: none */
    size_t aliases;  /* how many lead to it (only _alias says so) */
    const void *map; /* for cm_index_seen_field() */
} cm_index_seen_t;

/* Non-zero ends the walk. */
typedef int (*cm_index_seen_fn)(void *context, const cm_index_seen_t *seen);

/* Walks the indices of such an answer. CM_EIO when it is not one. */
int cm_index_seen_each(cm_str_t json, cm_index_seen_fn take, void *context, cm_err_t *err);

/* The member `what` ("type", "format", "path") of a field in the index's mapping; empty: it has
 * none. Lives until the walk goes on. */
cm_str_t cm_index_seen_field(const cm_index_seen_t *seen, const char *field, const char *what);

/* Copies the text at the path of names (ending with NULL); false when there is none or it is
 * longer. */
bool cm_document_text_at(cm_str_t json, const char *const *path, char *out, size_t size);

#endif
