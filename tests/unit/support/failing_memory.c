#include "failing_memory.h"

#include <stdbool.h>
#include <stddef.h>

failing_memory_t failing_memory;

static bool fails(void)
{
    if (failing_memory.inside == 0)
        return false;
    const long at = failing_memory.count++;
    return at >= failing_memory.from && at - failing_memory.from < failing_memory.failures;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}
