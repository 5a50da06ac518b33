/* A bulk request's body: lines of NDJSON, where each item of it begins, and which ids are in it.
 * One thread. */
#ifndef CM_ELASTIC_BODY_H
#define CM_ELASTIC_BODY_H

#include "base/str.h"

typedef struct cm_bulk_item {
    size_t at;           /* of its action's line in the text */
    uint32_t action_len; /* with the line end */
    uint32_t len;        /* of action and document, with their line ends */
    bool removal;
    uint64_t id; /* its hash */
} cm_bulk_item_t;

typedef struct cm_bulk_body {
    cm_buf_t text;
    cm_bulk_item_t *items;
    size_t count, cap;
    uint64_t *ids; /* hash table of the items' ids; 0 is free */
    size_t id_slots, id_count;
    cm_buf_t packed; /* as it is sent; empty: not made yet */
    struct cm_bulk_body *next;
} cm_bulk_body_t;

/* Appends an item; `document` is empty for a removal. */
void cm_bulk_body_add(cm_bulk_body_t *body, cm_str_t index, cm_str_t id, cm_str_t document);

/* Appends a copy of an item of another body. */
void cm_bulk_body_take(cm_bulk_body_t *body, const cm_bulk_body_t *from,
                       const cm_bulk_item_t *item);

/* Whether an item of it is about that id (cm_bulk_id()). */
bool cm_bulk_body_has(const cm_bulk_body_t *body, uint64_t id);
uint64_t cm_bulk_id(cm_str_t id);

/* The parts of an item's text. */
cm_str_t cm_bulk_item_document(const cm_bulk_body_t *body, const cm_bulk_item_t *item);

/* The index and the id that an item's action names, appended as they were given. */
void cm_bulk_item_names(const cm_bulk_body_t *body, const cm_bulk_item_t *item, cm_buf_t *index,
                        cm_buf_t *id);

/* Fills `packed` with the text, compressed with gzip. */
void cm_bulk_body_pack(cm_bulk_body_t *body);

void cm_bulk_body_clear(cm_bulk_body_t *body);
void cm_bulk_body_free(cm_bulk_body_t *body);

#endif
