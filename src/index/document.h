/* An answer as a document of Elasticsearch: its id, its JSON, and back.
 *
 * Cells are documents of the alias `clickstream_data_index`, whose `_id` is the lower-case hex
 * SHA-1 of url, 0x1f, country, 0x1f and the window ("all", or "day:" or "hour:" and its start in
 * ms): the contract's. The numbers per url, per country and of the whole site are documents of a
 * second alias, so that no sum over the first counts anything twice; the text that such a row lacks
 * is empty in its id and absent in its JSON, and `dimension` says what it is about: "url",
 * "country" or "site". How far the answers of a window are (cm_freshness_t) is a document there,
 * too: dimension "freshness", `_id` "freshness:all" and so on. */
#ifndef CM_INDEX_DOCUMENT_H
#define CM_INDEX_DOCUMENT_H

#include "base/json.h"
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

/* A document that was read; its texts live until the next page is. */
typedef struct cm_document {
    cm_str_t id;
    bool whole; /* it is an answer, with all fields */
    /* The averages that it has are those that follow from its integers, to the last bit. */
    bool exact;
    cm_stored_average_t averages[2];
    cm_answer_t answer; /* where it is whole */
} cm_document_t;

/* Non-zero ends the walk and is returned by it. */
typedef int (*cm_document_fn)(void *context, const cm_document_t *document);

/* Walks the hits of an answer of _search (or of a scroll). `*count` gets the number of hits, and
 * `*total` how many there are in all (-1: not said). CM_EIO when it is no such answer. */
int cm_documents_each(cm_json_t root, cm_document_fn take, void *context, size_t *count,
                      int64_t *total, cm_err_t *err);

/* Reads a document of freshness; false when it is none. */
bool cm_document_freshness(cm_json_t source, cm_freshness_t *freshness);

#endif
