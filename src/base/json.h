/* JSON documents of servers: parsed, with functions to look up values. The JSON of events has a
 * parser of its own (event/json.h).
 *
 * A parser owns its document and is used by one thread. A cm_json_t is a value in the document. It
 * and its strings live until the parser parses again or is freed. */
#ifndef CM_BASE_JSON_H
#define CM_BASE_JSON_H

#include "base/str.h"

typedef struct cm_json_parser cm_json_parser_t;

typedef struct cm_json {
    const void *document;
    size_t at;
} cm_json_t;

#ifdef __cplusplus
extern "C" {
#endif

cm_json_parser_t *cm_json_parser_new(void);
void cm_json_parser_free(cm_json_parser_t *parser);

/* False when the text is not JSON. */
bool cm_json_parse(cm_json_parser_t *parser, cm_str_t text, cm_json_t *root);

/* The value of a member; false when this is not an object, or has no member of that name. */
bool cm_json_get(cm_json_t object, const char *name, cm_json_t *value);

/* The same along a path of names, "hits/hits"; none of them may have a slash. */
bool cm_json_find(cm_json_t object, const char *path, cm_json_t *value);

/* False when the value is of another kind. An integer is also a double. */
bool cm_json_text(cm_json_t value, cm_str_t *text);
bool cm_json_i64(cm_json_t value, int64_t *number);
bool cm_json_double(cm_json_t value, double *number);
bool cm_json_bool(cm_json_t value, bool *truth);

/* Walk an object or an array, in order; non-zero ends the walk and is returned. 0 for any other
 * kind. */
int cm_json_members(cm_json_t object, int (*take)(void *context, cm_str_t name, cm_json_t value),
                    void *context);
int cm_json_items(cm_json_t array, int (*take)(void *context, cm_json_t item), void *context);

#ifdef __cplusplus
}
#endif

#endif
