/* Preloaded into clickmill, a memory allocator that fails.
 *
 * CM_MEMORY_FAIL=N lets the Nth allocation fail: malloc(), calloc(), realloc() and the aligned
 * ones return NULL once, with errno ENOMEM. Allocations count from the moment when the program
 * has installed its signal handlers, because the libraries' own start is not under test.
 * CM_MEMORY_COUNT=FILE writes their number there at the end. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* glibc's own names, so that no dlsym() is needed before the first allocation. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_bool begun;
static atomic_ullong allocations;
static unsigned long long failing; /* 0: none */

static bool fails(void)
{
    if (!atomic_load_explicit(&begun, memory_order_acquire))
        return false;
    if (atomic_fetch_add(&allocations, 1) + 1 != failing)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (fails())
        return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory == NULL ? ENOMEM : 0;
}

static void write_count(void)
{
    const char *path = getenv("CM_MEMORY_COUNT");
    FILE *out = path != NULL ? fopen(path, "w") : NULL;

    if (out == NULL)
        return;
    fprintf(out, "%llu\n", (unsigned long long)atomic_load(&allocations));
    fclose(out);
}

int sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    int (*real)(int, const struct sigaction *, struct sigaction *) =
        (__typeof__(real))dlsym(RTLD_NEXT, "sigaction");

    if (number == SIGTERM && action != NULL && !atomic_load(&begun)) {
        const char *text = getenv("CM_MEMORY_FAIL");
        failing = text != NULL ? strtoull(text, NULL, 10) : 0;
        atexit(write_count);
        atomic_store_explicit(&begun, true, memory_order_release);
    }
    return real(number, action, before);
}
