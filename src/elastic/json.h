/* What Elasticsearch answers, read: the items of a bulk, the reason of an error, a version.
 *
 * A parser is used by one thread at a time; texts that it hands out live until its next parse, or
 * in the parsed text. Built on simdjson. */
#ifndef CM_ELASTIC_JSON_H
#define CM_ELASTIC_JSON_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_elastic_json cm_elastic_json_t;

cm_elastic_json_t *cm_elastic_json_new(void);
void cm_elastic_json_free(cm_elastic_json_t *json);

/* Why something was not done; texts that the server did not give are empty. */
typedef struct cm_elastic_reason {
    cm_str_t type, reason;
    cm_str_t cause; /* what is behind the reason, where that is something else */
} cm_elastic_reason_t;

/* An item of a bulk: its position, status of HTTP, and reason (empty where it went well). Non-zero
 * ends the walk and is returned. */
typedef int (*cm_elastic_item_fn)(void *context, size_t position, int status,
                                  const cm_elastic_reason_t *reason, cm_err_t *err);

/* Walks the items of an answer of _bulk, which must be `count`. CM_ECORRUPT, before any item was
 * handed out, when it is no such answer. */
int cm_elastic_json_items(cm_elastic_json_t *json, cm_str_t body, size_t count,
                          cm_elastic_item_fn take, void *context, cm_err_t *err);

/* A short answer of _bulk: whether anything failed, and not what. False where it is none: it has
 * items, or is no answer of _bulk. */
bool cm_elastic_json_errors(cm_elastic_json_t *json, cm_str_t body, bool *errors);

/* The reason in the body of an error; false where there is none. */
bool cm_elastic_json_reason(cm_elastic_json_t *json, cm_str_t body, cm_elastic_reason_t *reason);

/* Appends "type: reason (cause)". */
void cm_elastic_add_reason(cm_buf_t *buf, const cm_elastic_reason_t *reason);

/* The version in an answer of GET /; `distribution` is empty where it is not said. */
bool cm_elastic_json_version(cm_elastic_json_t *json, cm_str_t body, cm_str_t *number,
                             cm_str_t *distribution);

/* Index and id in the line of a bulk that says what to do. */
bool cm_elastic_json_action(cm_elastic_json_t *json, cm_str_t line, cm_str_t *index, cm_str_t *id);

#endif
