/* The body of a bulk request: lines, and where each document stands among them.
 *
 * Only the files of elastic/ include this. Belongs to its bulk; one thread. */
#ifndef CM_ELASTIC_BODY_H
#define CM_ELASTIC_BODY_H

#include "elastic/access.h"

#include <zlib.h>

/* ---- ids in requests under way ---- */

/* A set of hashes. Two ids with one hash count as the same: that only costs a wait. */
typedef struct cm_elastic_ids {
    uint64_t *slots; /* 0: free */
    size_t cap, count;
} cm_elastic_ids_t;

uint64_t cm_elastic_id_hash(cm_str_t index, cm_str_t id); /* never 0 */
bool cm_elastic_ids_has(const cm_elastic_ids_t *ids, uint64_t hash);
void cm_elastic_ids_add(cm_elastic_ids_t *ids, uint64_t hash);
void cm_elastic_ids_remove(cm_elastic_ids_t *ids, uint64_t hash);
void cm_elastic_ids_free(cm_elastic_ids_t *ids);

/* ---- bodies ---- */

/* Two lines, or only the first for a document that is to be deleted. */
typedef struct cm_elastic_doc {
    uint64_t hash;
    size_t at;                         /* in the text */
    uint32_t action_len, document_len; /* without line ends */
    bool removes;
} cm_elastic_doc_t;

typedef enum cm_elastic_body_state {
    CM_BODY_FREE,
    CM_BODY_FILLING,
    CM_BODY_SENDING,
    CM_BODY_WAITING, /* for its next attempt */
} cm_elastic_body_state_t;

typedef struct cm_elastic_body {
    cm_elastic_body_state_t state;
    cm_buf_t text;
    cm_elastic_doc_t *docs;
    size_t count, cap;
    size_t sent;   /* documents in the request under way: the first ones */
    size_t limit;  /* bytes of a request; more than bulk_bytes where one document has more */
    bool again;    /* what it holds was sent before */
    bool detailed; /* the result of each document was asked for */
    /* While the answer is read: the end of what is kept. */
    size_t kept, kept_bytes;
    cm_buf_t wire, answer, url;
    CURL *easy;
    char detail[CURL_ERROR_SIZE];
    size_t host;
    int64_t delay_ms, due_ns;
} cm_elastic_body_t;

/* Appends a document; `action` is its first line, without its end. */
void cm_elastic_body_add(cm_elastic_body_t *body, cm_str_t action, cm_str_t document, bool removes,
                         uint64_t hash);

/* The bytes that these lines take. */
size_t cm_elastic_body_size(cm_str_t action, cm_str_t document, bool removes);

/* Bytes of the first `count` documents. */
size_t cm_elastic_body_bytes(const cm_elastic_body_t *body, size_t count);

/* How many of the first documents fit into `limit` bytes, one at least. */
size_t cm_elastic_body_fitting(const cm_elastic_body_t *body, size_t limit);

cm_str_t cm_elastic_body_action(const cm_elastic_body_t *body, size_t doc);
cm_str_t cm_elastic_body_document(const cm_elastic_body_t *body, size_t doc);

/* Sorting out: after sort(), keep() is called in order for each document that stays; the others are
 * dropped. end_sort() keeps all from `from` on and ends it. */
void cm_elastic_body_sort(cm_elastic_body_t *body);
void cm_elastic_body_keep(cm_elastic_body_t *body, size_t doc);
void cm_elastic_body_end_sort(cm_elastic_body_t *body, size_t from);

/* Compresses the text into `wire`, with a stream that deflateInit2() has prepared for gzip. */
int cm_elastic_body_gzip(z_stream *stream, cm_str_t text, cm_buf_t *wire, cm_err_t *err);

void cm_elastic_body_clear(cm_elastic_body_t *body);
void cm_elastic_body_free(cm_elastic_body_t *body);

#endif
