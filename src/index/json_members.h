/* Writes members of a JSON object; answers and documents share them.
 *
 * Each appends one member, with a comma before it unless the buffer ends with "{". For any
 * thread. */
#ifndef CM_INDEX_JSON_MEMBERS_H
#define CM_INDEX_JSON_MEMBERS_H

#include "index/index.h"

void cm_index_json_text(cm_buf_t *buf, const char *name, cm_str_t text);
void cm_index_json_number(cm_buf_t *buf, const char *name, int64_t value);

/* null when the count is 0. */
void cm_index_json_average(cm_buf_t *buf, const char *name, int64_t sum, int64_t count);

#endif
