/* A part of a block: whatever the bytes are, they are refused, or they decode within the bounds of
 * the contract and the dictionaries, and encode to what decodes to the same.
 *
 * The first byte of the input chooses the part and whether the checksum is put right, so that the
 * inside is reached; the second is the number of events; the rest is the blob. */
#include "base/clock.h"
#include "fuzz.h"
#include "store/block.h"

#include <xxhash.h>

enum { HEAD = 2, TEXTS = 300, PUT_RIGHT = 4 };

static const uint32_t limits[CM_FIELD_COUNT] = {TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS};

static void put_right(char *blob, size_t len)
{
    if (len < 8)
        return;
    uint64_t sum = XXH3_64bits(blob + 8, len - 8);
    for (int i = 0; i < 8; i++)
        blob[i] = (char)(sum >> (8 * i));
}

static bool in_part(int field, unsigned part)
{
    return part == (field <= CM_COUNTRY ? CM_READ_HOT : CM_READ_COLD);
}

/* Every value is within the limits of the contract. */
static void check_extra(const cm_wide_t *wide, uint32_t count)
{
    cm_event_extra_t extra;

    FUZZ_CHECK(wide->any && wide->count == count);
    for (uint32_t i = 0; i < count; i++) {
        const bool some = cm_wide_at(wide, i, &extra);
        FUZZ_CHECK(some || cm_wide_is_view(wide, i));
        FUZZ_CHECK(extra.engaged_ms >= -1 && extra.engaged_ms <= CM_ENGAGED_MAX);
        for (int field = 0; some && field < CM_EXTRA_TEXTS; field++)
            FUZZ_CHECK(extra.text[field].len <= cm_extra_limits[field]);
    }
}

static void check_bounds(const cm_columns_t *columns, unsigned part)
{
    if (part == CM_READ_EXTRA) {
        check_extra(&columns->wide, columns->count);
        return;
    }

    for (uint32_t i = 0; i < columns->count; i++) {
        const cm_key_t *key = &columns->keys[i];
        if (part == CM_READ_HOT)
            FUZZ_CHECK(columns->time[i] > 0 && columns->time[i] < CM_TIME_END);
        if (part == CM_READ_KEYS)
            FUZZ_CHECK(key->kind <= CM_KEY_TEXT);
        for (int field = 0; field < CM_FIELD_COUNT; field++)
            FUZZ_CHECK(!in_part(field, part) || columns->ids[field][i] < TEXTS);
    }
}

static void check_same_extra(const cm_wide_t *a, const cm_wide_t *b, uint32_t count)
{
    cm_event_extra_t of_a, of_b;

    for (uint32_t i = 0; i < count; i++) {
        const bool some = cm_wide_at(a, i, &of_a);
        FUZZ_CHECK(cm_wide_at(b, i, &of_b) == some);
        FUZZ_CHECK(cm_event_extra_equal(&of_a, &of_b));
    }
}

static void check_same(const cm_columns_t *a, const cm_columns_t *b, unsigned part)
{
    if (part == CM_READ_EXTRA) {
        check_same_extra(&a->wide, &b->wide, a->count);
        return;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const cm_key_t *key_a = &a->keys[i], *key_b = &b->keys[i];
        if (part == CM_READ_HOT)
            FUZZ_CHECK(a->time[i] == b->time[i]);
        for (int field = 0; field < CM_FIELD_COUNT; field++)
            FUZZ_CHECK(!in_part(field, part) || a->ids[field][i] == b->ids[field][i]);
        if (part != CM_READ_KEYS)
            continue;
        FUZZ_CHECK(key_a->kind == key_b->kind);
        if (key_a->kind == CM_KEY_UUID)
            FUZZ_CHECK(memcmp(key_a->uuid, key_b->uuid, 16) == 0);
        if (key_a->kind == CM_KEY_TEXT)
            FUZZ_CHECK(cm_str_equal(key_a->text, key_b->text));
    }
}

static void check_encoded(const cm_columns_t *columns, unsigned part, bool compress)
{
    cm_columns_t again = {0};
    cm_buf_t blob = CM_BUF_INIT;
    cm_err_t err;

    cm_block_encode(columns, part, compress, &blob);
    FUZZ_CHECK(cm_block_decode((cm_str_t){blob.data, blob.len}, part, columns->count, limits,
                               &again, &err) == 0);
    check_same(columns, &again, part);
    cm_buf_free(&blob);
    cm_columns_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned parts[] = {CM_READ_HOT, CM_READ_COLD, CM_READ_KEYS, CM_READ_EXTRA};
    cm_columns_t columns = {0};
    cm_err_t err = {0};

    if (size < HEAD)
        return 0;
    unsigned part = parts[data[0] & 3];
    uint32_t count = data[1];
    char *blob = fuzz_copy(data + HEAD, size - HEAD, 0, 0);
    if (data[0] & PUT_RIGHT)
        put_right(blob, size - HEAD);
    int rc = cm_block_decode((cm_str_t){blob, size - HEAD}, part, count, limits, &columns, &err);
    if (rc == 0) {
        FUZZ_CHECK(columns.count == count);
        check_bounds(&columns, part);
        check_encoded(&columns, part, true);
        check_encoded(&columns, part, false);
    } else {
        fuzz_check_refusal(rc, CM_ECORRUPT, &err);
    }
    cm_columns_free(&columns);
    free(blob);
    return 0;
}
