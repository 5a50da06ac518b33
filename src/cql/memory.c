#include "cql/memory.h"

#include <stdlib.h>

bool cm_cql_append(cm_buf_t *buf, cm_str_t bytes)
{
    if (!cm_buf_try_reserve(buf, bytes.len))
        return false;
    cm_buf_add_str(buf, bytes);
    return true;
}

void *cm_cql_grow(void *list, size_t count, size_t *cap, size_t size)
{
    size_t more = *cap ? 2 * *cap : 16;

    if (count < *cap)
        return list;
    void *grown = realloc(list, more * size);
    if (grown != NULL)
        *cap = more;
    return grown;
}

char *cm_cql_copy(cm_str_t text)
{
    char *copy = malloc(text.len + 1);

    if (copy == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

int cm_cql_fail_memory(cm_err_t *err)
{
    return cm_fail(err, CM_ENOMEM, "cql: out of memory");
}
