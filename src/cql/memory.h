/* Memory that may run out. The client is a library: it returns an error where the functions of
 * base/str.h would end the program. So the files of src/cql call these and cm_buf_try_reserve()
 * instead, and append to a buffer only what room is reserved for. Pure functions, for any thread.
 */
#ifndef CM_CQL_MEMORY_H
#define CM_CQL_MEMORY_H

#include "base/err.h"
#include "base/str.h"

/* Appends the bytes; false, and the buffer is as it was, when there is no memory. */
bool cm_cql_append(cm_buf_t *buf, cm_str_t bytes);

/* A list with room for one more element of `size` bytes after its `count`. NULL, and the list is
 * as it was, when there is no memory. */
void *cm_cql_grow(void *list, size_t count, size_t *cap, size_t size)
    __attribute__((warn_unused_result));

/* A copy that ends with a NUL and is freed with free(); NULL when there is no memory. */
char *cm_cql_copy(cm_str_t text) __attribute__((warn_unused_result));

/* Out of memory, in one sentence. Returns CM_ENOMEM. */
int cm_cql_fail_memory(cm_err_t *err) __attribute__((cold));

#endif
