/* What the unit tests share: cmocka, random numbers that are the same everywhere, directories that
 * go away, batches of events from plain words. */
#ifndef CM_TESTS_UNIT_SUPPORT_H
#define CM_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "event/batch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* splitmix64 */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Fails the test with the sentence when `rc` is not 0. */
#define assert_ok(rc, err)                                                                         \
    do {                                                                                           \
        if ((rc) != 0)                                                                             \
            fail_msg("%s", (err).text);                                                            \
    } while (0)

/* A new directory under $TMPDIR or /tmp; test_remove() takes it away and frees the name. */
static inline char *test_directory(void)
{
    const char *base = getenv("TMPDIR");
    size_t size = strlen(base ? base : "/tmp") + 40;
    char *path = malloc(size);
    assert_non_null(path);
    snprintf(path, size, "%s/clickmill-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline int test_remove_one(const char *path, const struct stat *stat, int type,
                                  struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void test_remove(char *path)
{
    nftw(path, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

/* An event as a source gives it: complete, its texts borrowed. `key` may be NULL. */
static inline cm_event_t test_event(const char *user, int64_t time, const char *url,
                                    const char *country, const char *key)
{
    cm_event_t event = {.timestamp = time,
                        .user_id = cm_str(user),
                        .url = cm_str(url),
                        .country = cm_str(country),
                        .row_key = cm_str(key)};
    cm_event_complete(&event);
    return event;
}

static inline void test_add(cm_batch_t *batch, cm_event_t event)
{
    *cm_batch_slot(batch) = event;
    cm_batch_accept(batch);
}

/* Gives the batch this one position. */
static inline void test_mark(cm_batch_t *batch, const char *source, int64_t position)
{
    batch->position_count = 0;
    cm_batch_mark(batch, cm_str(source), position);
}

#endif
