/* Allocations that fail, for a test that is linked with --wrap=malloc, calloc and realloc
 * (unit_link_args in tests/meson.build). */
#ifndef CM_TESTS_UNIT_FAILING_MEMORY_H
#define CM_TESTS_UNIT_FAILING_MEMORY_H

typedef struct failing_memory {
    int inside;          /* allocations are counted, and can fail, while this is above 0 */
    long count;          /* how many were counted */
    long from, failures; /* those with numbers in [from, from + failures) fail */
} failing_memory_t;

extern failing_memory_t failing_memory;

#endif
