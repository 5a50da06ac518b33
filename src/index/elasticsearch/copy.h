/* The documents of a target index, for finding what differs: the id of each and a fingerprint of
 * its measures, 32 bytes together. One thread. */
#ifndef CM_INDEX_ELASTICSEARCH_COPY_H
#define CM_INDEX_ELASTICSEARCH_COPY_H

#include "index/elasticsearch/document.h"

typedef struct cm_copy cm_copy_t;

/* Of the windows of the mask (1 << cm_window_t); documents of other windows are ignored. */
cm_copy_t *cm_copy_new(unsigned windows);

/* Documents that are added from now on belong to that part of the copy: 0 cells, 1 totals. */
void cm_copy_begin(cm_copy_t *copy, int part);

/* Adds a document; `answer` is NULL when it is not an answer. CM_ENOMEM. */
int cm_copy_add(cm_copy_t *copy, cm_str_t id, const cm_answer_t *answer);

/* Whether the copy has this answer with the same measures. From now on it counts as a document that
 * belongs there. */
bool cm_copy_has(cm_copy_t *copy, const cm_answer_t *answer, const char id[CM_DOCUMENT_ID]);

/* Walks the documents that do not belong there: those for which cm_copy_has() was never called.
 * Non-zero ends the walk. */
int cm_copy_rest(const cm_copy_t *copy, int (*take)(void *context, int part, cm_str_t id),
                 void *context);

void cm_copy_free(cm_copy_t *copy);

#endif
