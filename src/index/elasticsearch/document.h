/* An answer as a document of Elasticsearch: its id, its JSON, and back.
 *
 * Cells are documents of the alias `clickstream_data_index`, whose `_id` is the lower-case hex
 * SHA-1 of url, 0x1f, country, 0x1f and the window ("all", or "day:" or "hour:" and its start in
 * ms): the contract's. The numbers per url, per country and of the whole site are documents of a
 * second alias, so that no sum over the first counts anything twice; the string that such a row
 * lacks is empty in its id and absent in its JSON, and `dimension` is its kind: "url", "country" or
 * "site". How far the answers of a window are (cm_freshness_t) is a document there, too: dimension
 * "freshness", `_id` "freshness:all" and so on. The functions keep nothing, and any thread may call
 * them. */
#ifndef CM_INDEX_ELASTICSEARCH_DOCUMENT_H
#define CM_INDEX_ELASTICSEARCH_DOCUMENT_H

#include "index/index.h"

enum { CM_DOCUMENT_ID = 40 }; /* bytes of the _id of an answer */

/* Writes the _id, without a terminating zero. */
void cm_document_id(const cm_answer_t *answer, char id[CM_DOCUMENT_ID]);

/* Appends the document as one line of JSON without a line end. Averages that are absent are left
 * out; integers are integers, doubles read back to the same bits. */
void cm_document_add(cm_buf_t *buf, const cm_answer_t *answer);

/* The same for a window's freshness; the id is "freshness:all", "freshness:day", ... `accepted` and
 * `dead` are as of when it was written. */
void cm_document_add_freshness(cm_buf_t *buf, cm_window_t window, const cm_freshness_t *freshness);

/* Gets a document: its id and its answer, whose strings live until it returns. `answer` is NULL for
 * a document that is not an answer: of another program, or with fields missing or of another type.
 * Non-zero ends the walk. */
typedef int (*cm_document_fn)(void *context, cm_str_t id, const cm_answer_t *answer);

/* Walks the hits of an answer of _search (or of a scroll). `*scroll_id` (may be NULL) gets the
 * scroll's id, in `json`; *count the number of hits. CM_EIO when it is not such an answer. */
int cm_documents_each(cm_str_t json, cm_document_fn take, void *context, size_t *count,
                      cm_buf_t *scroll_id, cm_err_t *err);

#endif
