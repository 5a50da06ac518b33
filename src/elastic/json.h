/* Reads answers of Elasticsearch: the items of a bulk, the reason of an error, a version.
 *
 * A parser is used by one thread at a time; strings that it returns live until its next parse, or
 * in the parsed text. Built on simdjson. */
#ifndef CM_ELASTIC_JSON_H
#define CM_ELASTIC_JSON_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_elastic_json cm_elastic_json_t;

cm_elastic_json_t *cm_elastic_json_new(void);
void cm_elastic_json_free(cm_elastic_json_t *json);

/* Why a request failed; strings that the server did not give are empty. */
typedef struct cm_elastic_reason {
    cm_str_t type, reason;
    cm_str_t cause; /* the cause of the reason, where it is a different text */
} cm_elastic_reason_t;

/* An item of a bulk: its position, status of HTTP, and reason (empty where it went well). Non-zero
 * ends the walk and is returned. */
typedef int (*cm_elastic_item_fn)(void *context, size_t position, int status,
                                  const cm_elastic_reason_t *reason, cm_err_t *err);

/* Walks the items of an answer of _bulk; there must be `count`. CM_ECORRUPT, before the first item
 * is given, when it is not such an answer. */
int cm_elastic_json_items(cm_elastic_json_t *json, cm_str_t body, size_t count,
                          cm_elastic_item_fn take, void *context, cm_err_t *err);

/* A short answer of _bulk: it says whether anything failed, but not what. False where it is not
 * one: it has items, or is not an answer of _bulk. */
bool cm_elastic_json_errors(cm_elastic_json_t *json, cm_str_t body, bool *errors);

/* The reason in the body of an error; false where there is none. */
bool cm_elastic_json_reason(cm_elastic_json_t *json, cm_str_t body, cm_elastic_reason_t *reason);

/* Appends "type: reason (cause)". */
void cm_elastic_add_reason(cm_buf_t *buf, const cm_elastic_reason_t *reason);

/* The version in an answer of GET /; `distribution` is empty where the answer has none. */
bool cm_elastic_json_version(cm_elastic_json_t *json, cm_str_t body, cm_str_t *number,
                             cm_str_t *distribution);

/* Index and id in the action line of a bulk. */
bool cm_elastic_json_action(cm_elastic_json_t *json, cm_str_t line, cm_str_t *index, cm_str_t *id);

#endif
