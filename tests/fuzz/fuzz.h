/* What the fuzz targets share.
 *
 * A target is one file with LLVMFuzzerTestOneInput(): it gives any bytes to one parser and checks
 * what must hold whatever they are. libFuzzer calls it (`make fuzz`), or driver.c with the corpus
 * and mutations of it (`make test`). It keeps nothing from one input to the next. */
#ifndef CM_TESTS_FUZZ_H
#define CM_TESTS_FUZZ_H

#include "event/event.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process with the condition when it does not hold: that is how a target fails. */
#define FUZZ_CHECK(condition)                                                                      \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, __func__, #condition))

static inline void fuzz_fail(const char *file, int line, const char *function,
                             const char *condition)
{
    fprintf(stderr, "%s:%d: %s: this does not hold: %s\n", file, line, function, condition);
    abort();
}

/* A copy of exactly its size and `padding` bytes of `fill` behind it, so that AddressSanitizer
 * sees every read beyond. The caller frees it. */
static inline char *fuzz_copy(const void *data, size_t size, size_t padding, char fill)
{
    char *copy = malloc(size + padding + (size + padding == 0));

    FUZZ_CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    memset(copy + size, fill, padding);
    return copy;
}

/* Whether the slice is a part of `whole`, or empty. */
static inline bool fuzz_inside(cm_str_t slice, cm_str_t whole)
{
    return slice.len == 0 || (slice.data >= whole.data && slice.len <= whole.len &&
                              slice.data - whole.data <= (ptrdiff_t)(whole.len - slice.len));
}

/* A refusal is a sentence in UTF-8, because dead letters keep it as text. */
static inline void fuzz_check_refusal(int rc, int code, const cm_err_t *err)
{
    FUZZ_CHECK(rc == code && err->code == code);
    FUZZ_CHECK(strlen(err->text) > 10);
    FUZZ_CHECK(cm_utf8_valid(err->text, strlen(err->text)));
}

static inline bool fuzz_same_event(const cm_event_t *a, const cm_event_t *b)
{
    return a->timestamp == b->timestamp && cm_str_equal(a->user_id, b->user_id) &&
           cm_str_equal(a->url, b->url) && cm_str_equal(a->country, b->country) &&
           cm_str_equal(a->city, b->city) && cm_str_equal(a->browser, b->browser) &&
           cm_str_equal(a->os, b->os) && cm_str_equal(a->device, b->device) &&
           cm_str_equal(a->row_key, b->row_key) && cm_event_extra_equal(a->extra, b->extra);
}

/* An accepted event keeps the rules of the contract, with no field empty but the row key. */
static inline void fuzz_check_event(const cm_event_t *event)
{
    FUZZ_CHECK(cm_event_check(event, false, NULL) == 0);
    FUZZ_CHECK(event->country.len > 0 && event->city.len > 0 && event->browser.len > 0 &&
               event->os.len > 0 && event->device.len > 0);
}

#endif
