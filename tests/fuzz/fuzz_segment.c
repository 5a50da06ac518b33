/* A segment of a dictionary: refused, or as many texts as were asked for, which encode to what
 * decodes to the same.
 *
 * The first byte of the input says whether the checksum is put right (1), so that the inside is
 * reached; the second is the number of texts; the rest is the segment. */
#include "fuzz.h"
#include "store/block.h"

#include <xxhash.h>

enum { HEAD = 2, TEXTS = 256 };

typedef struct taken {
    cm_arena_t arena;
    cm_str_t texts[TEXTS];
    uint32_t count;
} taken_t;

static void take(void *context, cm_str_t text)
{
    taken_t *taken = context;

    FUZZ_CHECK(taken->count < TEXTS);
    taken->texts[taken->count++] = cm_arena_copy(&taken->arena, text);
}

static void check_encoded(const taken_t *taken)
{
    taken_t again = {0};
    cm_buf_t segment = CM_BUF_INIT;
    cm_err_t err;

    cm_segment_encode(taken->texts, taken->count, &segment);
    FUZZ_CHECK(cm_segment_decode((cm_str_t){segment.data, segment.len}, taken->count, take, &again,
                                 &err) == 0);
    FUZZ_CHECK(again.count == taken->count);
    for (uint32_t i = 0; i < taken->count; i++)
        FUZZ_CHECK(cm_str_equal(taken->texts[i], again.texts[i]));
    cm_buf_free(&segment);
    cm_arena_free(&again.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    taken_t taken = {0};
    cm_err_t err = {0};

    if (size < HEAD)
        return 0;
    size_t len = size - HEAD;
    char *segment = fuzz_copy(data + HEAD, len, 0, 0);
    if ((data[0] & 1) && len >= 8) {
        uint64_t sum = XXH3_64bits(segment + 8, len - 8);
        for (int i = 0; i < 8; i++)
            segment[i] = (char)(sum >> (8 * i));
    }
    int rc = cm_segment_decode((cm_str_t){segment, len}, data[1], take, &taken, &err);
    if (rc == 0) {
        FUZZ_CHECK(taken.count == data[1]);
        check_encoded(&taken);
    } else {
        fuzz_check_refusal(rc, CM_ECORRUPT, &err);
        FUZZ_CHECK(taken.count == 0); /* nothing is taken of a bad one */
    }
    cm_arena_free(&taken.arena);
    free(segment);
    return 0;
}
