/* Blocks and dictionary segments: what goes in comes out, and no damage, by accident or by intent,
 * passes or crashes. Also the dictionary itself. */
#include "store/block.h"

#include "base/clock.h"
#include "store/dict.h"
#include "support.h"

#include <xxhash.h>

static const unsigned all_parts[] = {CM_READ_HOT, CM_READ_COLD, CM_READ_KEYS};
static const uint32_t all_ids[CM_FIELD_COUNT] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                                                 UINT32_MAX, UINT32_MAX, UINT32_MAX};

/* Columns whose numbers need up to `width` bytes. */
static void fill(cm_columns_t *columns, uint32_t count, int width, uint64_t *random)
{
    uint64_t mask = width == 0 ? 0 : UINT64_MAX >> (64 - 8 * width);

    cm_columns_reserve(columns, count);
    columns->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t time = 1 + (test_random(random) & (width < 8 ? mask : UINT64_MAX));
        columns->time[i] = (int64_t)(time % (CM_TIME_END - 1)) + (time % (CM_TIME_END - 1) == 0);
        for (int field = 0; field < CM_FIELD_COUNT; field++) {
            uint32_t id = (uint32_t)(test_random(random) & mask);
            columns->ids[field][i] = id == UINT32_MAX ? 0 : id;
        }
        cm_key_t *key = &columns->keys[i];
        key->kind = (uint8_t)(width == 0 ? CM_KEY_DERIVED : test_random(random) % 3);
        if (key->kind == CM_KEY_UUID) {
            for (int b = 0; b < 16; b++)
                key->uuid[b] = (uint8_t)test_random(random);
        } else if (key->kind == CM_KEY_TEXT) {
            char text[CM_ROW_KEY_MAX];
            size_t len = 1 + test_random(random) % CM_ROW_KEY_MAX;
            for (size_t b = 0; b < len; b++)
                text[b] = (char)test_random(random);
            key->text = cm_arena_copy(&columns->key_strings, (cm_str_t){text, len});
        }
    }
}

static void assert_same_part(const cm_columns_t *a, const cm_columns_t *b, unsigned part)
{
    assert_int_equal(a->count, b->count);
    if (part == CM_READ_HOT) {
        assert_memory_equal(a->time, b->time, a->count * sizeof *a->time);
        for (int field = CM_USER; field <= CM_COUNTRY; field++)
            assert_memory_equal(a->ids[field], b->ids[field], a->count * sizeof(uint32_t));
        return;
    }
    if (part == CM_READ_COLD) {
        for (int field = CM_CITY; field < CM_FIELD_COUNT; field++)
            assert_memory_equal(a->ids[field], b->ids[field], a->count * sizeof(uint32_t));
        return;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        assert_int_equal(a->keys[i].kind, b->keys[i].kind);
        if (a->keys[i].kind == CM_KEY_UUID)
            assert_memory_equal(a->keys[i].uuid, b->keys[i].uuid, 16);
        else if (a->keys[i].kind == CM_KEY_TEXT)
            assert_true(cm_str_equal(a->keys[i].text, b->keys[i].text));
    }
}

static int decode(const cm_buf_t *blob, unsigned part, uint32_t count, cm_columns_t *out)
{
    cm_err_t err = {0};
    /* A copy of exactly its size, so that a read beyond is found. */
    char *bytes = malloc(blob->len ? blob->len : 1);
    memcpy(bytes, blob->data, blob->len);
    int rc = cm_block_decode((cm_str_t){bytes, blob->len}, part, count, all_ids, out, &err);
    if (rc < 0) {
        assert_int_equal(rc, CM_ECORRUPT);
        assert_true(strlen(err.text) > 10);
    }
    free(bytes);
    return rc;
}

static void round_trips(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 7, 100, 1000, 5000};
    cm_columns_t in = {0}, out = {0};
    uint64_t random = 11;

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (int width = 0; width <= 8; width++) {
            fill(&in, counts[c], width, &random);
            for (size_t p = 0; p < 3; p++) {
                cm_buf_t blob = CM_BUF_INIT;
                cm_block_encode(&in, all_parts[p], counts[c] != 7, &blob);
                assert_int_equal(decode(&blob, all_parts[p], counts[c], &out), 0);
                assert_same_part(&in, &out, all_parts[p]);
                cm_buf_free(&blob);
            }
        }
    }
    cm_columns_free(&in);
    cm_columns_free(&out);
    assert_null(out.time);
}

/* One column at a time: it is the same as with all of them, and the others are not decoded. */
static void one_column(void **state)
{
    enum { COUNT = 3000 };
    cm_columns_t in = {0}, out = {0};
    uint64_t random = 17;

    (void)state;
    fill(&in, COUNT, 3, &random);
    cm_columns_reserve(&out, COUNT);
    for (int field = 0; field <= CM_FIELD_COUNT; field++) {
        const unsigned part =
            field == CM_FIELD_COUNT || field < CM_CITY ? CM_READ_HOT : CM_READ_COLD;
        cm_buf_t blob = CM_BUF_INIT;
        cm_block_encode(&in, part, true, &blob);
        for (int other = 0; other < CM_FIELD_COUNT; other++)
            out.ids[other][0] = UINT32_MAX;
        out.time[0] = -1;
        out.only =
            field == CM_FIELD_COUNT ? (uint32_t)CM_ONLY_TIME : (uint32_t)CM_ONLY_FIELDS << field;
        assert_int_equal(decode(&blob, part, COUNT, &out), 0);
        assert_int_equal(out.count, COUNT);
        if (field == CM_FIELD_COUNT)
            assert_memory_equal(out.time, in.time, COUNT * sizeof *in.time);
        else
            assert_int_equal(out.time[0], -1);
        for (int other = 0; other < CM_FIELD_COUNT; other++) {
            if (other == field)
                assert_memory_equal(out.ids[other], in.ids[other], COUNT * sizeof *in.ids[0]);
            else if (field < CM_FIELD_COUNT || other != CM_URL) /* scratch memory of times */
                assert_int_equal(out.ids[other][0], UINT32_MAX);
        }
        cm_buf_free(&blob);
    }
    cm_columns_free(&in);
    cm_columns_free(&out);
}

/* The ends of time, in steps as wide as they can be, both ways. */
static void times_at_the_ends(void **state)
{
    static const int64_t times[] = {CM_TIME_END - 1, 1, CM_TIME_END - 1, 1, 1, 2, 1, 500};
    cm_columns_t in = {0}, out = {0};
    cm_buf_t blob = CM_BUF_INIT;
    uint64_t random = 12;

    (void)state;
    fill(&in, 8, 0, &random);
    memcpy(in.time, times, sizeof times);
    cm_block_encode(&in, CM_READ_HOT, true, &blob);
    assert_int_equal(decode(&blob, CM_READ_HOT, 8, &out), 0);
    assert_memory_equal(out.time, times, sizeof times);
    for (int bad = 0; bad < 4; bad++) {
        static const int64_t beyond[] = {0, -1, CM_TIME_END, INT64_MAX};
        in.time[bad * 2] = beyond[bad];
        cm_buf_clear(&blob);
        cm_block_encode(&in, CM_READ_HOT, true, &blob);
        assert_int_equal(decode(&blob, CM_READ_HOT, 8, &out), CM_ECORRUPT);
        in.time[bad * 2] = 7;
    }
    cm_buf_free(&blob);
    cm_columns_free(&in);
    cm_columns_free(&out);
}

/* An id is good below the dictionary's count, and not one further. */
static void ids_beyond(void **state)
{
    cm_columns_t in = {0}, out = {0};
    cm_buf_t hot = CM_BUF_INIT, cold = CM_BUF_INIT;
    uint64_t random = 13;
    cm_err_t err;

    (void)state;
    fill(&in, 3, 0, &random);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        in.ids[field][1] = 300;
    cm_block_encode(&in, CM_READ_HOT, true, &hot);
    cm_block_encode(&in, CM_READ_COLD, true, &cold);
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        const cm_buf_t *blob = field <= CM_COUNTRY ? &hot : &cold;
        unsigned part = field <= CM_COUNTRY ? CM_READ_HOT : CM_READ_COLD;
        uint32_t texts[CM_FIELD_COUNT];
        for (int i = 0; i < CM_FIELD_COUNT; i++)
            texts[i] = 301;
        cm_str_t bytes = {blob->data, blob->len};
        assert_int_equal(cm_block_decode(bytes, part, 3, texts, &out, &err), 0);
        texts[field] = 300;
        assert_int_equal(cm_block_decode(bytes, part, 3, texts, &out, &err), CM_ECORRUPT);
        assert_string_equal(err.text, "it names a text that the dictionary does not have");
    }
    cm_buf_free(&hot);
    cm_buf_free(&cold);
    cm_columns_free(&in);
    cm_columns_free(&out);
}

/* Without compression the streams are there as they are, and read back all the same. */
static void uncompressed(void **state)
{
    cm_columns_t in = {0}, out = {0};
    cm_buf_t plain = CM_BUF_INIT, packed = CM_BUF_INIT;
    uint64_t random = 18;

    (void)state;
    fill(&in, 1000, 2, &random);
    for (uint32_t i = 0; i < 1000; i++)
        in.ids[CM_CITY][i] = 0x4141;
    cm_block_encode(&in, CM_READ_COLD, false, &plain);
    cm_block_encode(&in, CM_READ_COLD, true, &packed);
    assert_int_equal(plain.len, 10 + 4 * (9 + 2000));
    assert_true(packed.len < plain.len - 1900);
    assert_int_equal(decode(&plain, CM_READ_COLD, 1000, &out), 0);
    assert_same_part(&in, &out, CM_READ_COLD);
    cm_buf_free(&plain);
    cm_buf_free(&packed);
    cm_columns_free(&in);
    cm_columns_free(&out);
}

static void fix_checksum(cm_buf_t *blob)
{
    uint64_t sum = XXH3_64bits(blob->data + 8, blob->len - 8);
    for (int i = 0; i < 8; i++)
        blob->data[i] = (char)(sum >> (8 * i));
}

/* The format as its header tells it, written by hand: a reader of other files depends on it. */
static void layout(void **state)
{
    static const uint8_t expected[] = {
        1, 5,                                     /* format, streams */
        1, 2, 0, 0, 0, 2, 0, 0, 0, 3,    4,       /* users */
        2, 2, 0, 0, 0, 2, 0, 0, 0, 0xD0, 7,       /* first time, zigzag of 1000 */
        1, 1, 0, 0, 0, 1, 0, 0, 0, 19,            /* zigzag of -10 */
        2, 4, 0, 0, 0, 4, 0, 0, 0, 1,    2, 0, 1, /* urls 1 and 258 in planes */
        0, 0, 0, 0, 0, 0, 0, 0, 0,                /* countries: zeros */
    };
    cm_columns_t in = {0};
    cm_buf_t blob = CM_BUF_INIT;
    uint64_t random = 1;

    (void)state;
    fill(&in, 2, 0, &random);
    in.ids[CM_USER][0] = 3;
    in.ids[CM_USER][1] = 4;
    in.time[0] = 1000;
    in.time[1] = 990;
    in.ids[CM_URL][0] = 1;
    in.ids[CM_URL][1] = 258;
    cm_block_encode(&in, CM_READ_HOT, true, &blob);
    assert_int_equal(blob.len, 8 + sizeof expected);
    assert_memory_equal(blob.data + 8, expected, sizeof expected);
    cm_buf_t again = CM_BUF_INIT;
    cm_buf_add(&again, blob.data, blob.len);
    fix_checksum(&again);
    assert_memory_equal(again.data, blob.data, blob.len);
    cm_buf_free(&again);
    cm_buf_free(&blob);
    cm_columns_free(&in);
}

/* Every single bit flipped, and every length but the right one. */
static void accidents(void **state)
{
    cm_columns_t in = {0}, out = {0};
    uint64_t random = 14;

    (void)state;
    fill(&in, 40, 2, &random);
    for (size_t p = 0; p < 3; p++) {
        cm_buf_t blob = CM_BUF_INIT;
        cm_block_encode(&in, all_parts[p], true, &blob);
        for (size_t at = 0; at < blob.len; at++) {
            for (int bit = 0; bit < 8; bit++) {
                blob.data[at] ^= (char)(1 << bit);
                assert_int_equal(decode(&blob, all_parts[p], 40, &out), CM_ECORRUPT);
                blob.data[at] ^= (char)(1 << bit);
            }
        }
        size_t whole = blob.len;
        for (blob.len = 0; blob.len < whole; blob.len++)
            assert_int_equal(decode(&blob, all_parts[p], 40, &out), CM_ECORRUPT);
        assert_int_equal(decode(&blob, all_parts[p], 40, &out), 0);
        assert_int_equal(decode(&blob, all_parts[(p + 1) % 3], 40, &out), CM_ECORRUPT);
        assert_int_equal(decode(&blob, all_parts[p], 39, &out), CM_ECORRUPT);
        assert_int_equal(decode(&blob, all_parts[p], 41, &out), CM_ECORRUPT);
        assert_int_equal(decode(&blob, all_parts[p], 0, &out), CM_ECORRUPT);
        assert_int_equal(decode(&blob, all_parts[p], UINT32_MAX, &out), CM_ECORRUPT);
        assert_int_equal(decode(&blob, all_parts[p], CM_BLOCK_EVENTS + 1, &out), CM_ECORRUPT);
        cm_buf_free(&blob);
    }
    cm_columns_free(&in);
    cm_columns_free(&out);
}

static void mutate(cm_buf_t *blob, uint64_t *random)
{
    int changes = 1 + (int)(test_random(random) % 4);
    for (int i = 0; i < changes; i++) {
        size_t at = 10 + test_random(random) % (blob->len - 10);
        uint64_t kind = test_random(random) % 4;
        if (kind == 0)
            blob->data[at] = (char)test_random(random);
        else if (kind == 1)
            blob->data[at] ^= (char)(1 << test_random(random) % 8);
        else if (kind == 2)
            blob->data[at] = (char)(test_random(random) % 2 ? 0xFF : 0);
        else if (blob->len > 20 && i == 0)
            blob->len -= test_random(random) % 10; /* cut */
    }
    fix_checksum(blob);
}

/* A forger knows the checksum: what decodes must still be within the contract's bounds. */
static void forgeries(void **state)
{
    cm_columns_t in = {0}, out = {0};
    uint64_t random = 15, hash = 0;
    int accepted = 0, refused = 0;

    (void)state;
    for (int round = 0; round < 9000; round++) {
        unsigned part = all_parts[round % 3];
        uint32_t texts[CM_FIELD_COUNT] = {300, 300, 300, 300, 300, 300, 300};
        uint32_t count = 1 + (uint32_t)(test_random(&random) % 60);
        cm_buf_t blob = CM_BUF_INIT;
        cm_err_t err;
        fill(&in, count, 1, &random);
        for (uint32_t i = 0; i < count; i += 2) /* something that compresses */
            in.time[i] = 5;
        cm_block_encode(&in, part, round % 4 != 0, &blob);
        mutate(&blob, &random);
        char *bytes = malloc(blob.len);
        memcpy(bytes, blob.data, blob.len);
        int rc = cm_block_decode((cm_str_t){bytes, blob.len}, part, count, texts, &out, &err);
        free(bytes);
        cm_buf_free(&blob);
        cm_arena_reset(&in.key_strings);
        if (rc < 0) {
            assert_int_equal(rc, CM_ECORRUPT);
            refused++;
            continue;
        }
        accepted++;
        for (uint32_t i = 0; i < count; i++) {
            if (part == CM_READ_HOT)
                assert_true(out.time[i] > 0 && out.time[i] < CM_TIME_END);
            if (part == CM_READ_KEYS)
                assert_in_range(out.keys[i].kind, CM_KEY_DERIVED, CM_KEY_TEXT);
            if (part == CM_READ_KEYS && out.keys[i].kind == CM_KEY_TEXT) /* it can be read */
                hash ^= XXH3_64bits(out.keys[i].text.data, out.keys[i].text.len);
            for (int field = 0; field < CM_FIELD_COUNT; field++) {
                bool read = part == (field <= CM_COUNTRY ? CM_READ_HOT : CM_READ_COLD);
                if (read)
                    assert_true(out.ids[field][i] < 300);
            }
        }
    }
    assert_true(accepted > 100 && refused > 100); /* both sides were seen */
    assert_int_not_equal(hash, 0);
    cm_columns_free(&in);
    cm_columns_free(&out);
}

typedef struct taken {
    const cm_str_t *expected; /* NULL: whatever comes */
    uint32_t count;
    size_t bytes;
    uint64_t hash;
} taken_t;

static void take(void *context, cm_str_t text)
{
    taken_t *taken = context;
    if (taken->expected != NULL)
        assert_true(cm_str_equal(text, taken->expected[taken->count]));
    taken->bytes += text.len;
    taken->hash ^= XXH3_64bits(text.data, text.len); /* every byte can be read */
    taken->count++;
}

static void segments(void **state)
{
    static char url[CM_URL_MAX];
    const cm_str_t texts[] = {
        CM_STR("a"), CM_STR(""), {url, sizeof url}, CM_STR("\0\xFF"), CM_STR("a")};
    cm_buf_t blob = CM_BUF_INIT;
    taken_t taken = {.expected = texts};
    uint64_t random = 16;
    cm_err_t err;

    (void)state;
    memset(url, 'u', sizeof url);
    cm_segment_encode(texts, 5, &blob);
    assert_int_equal(cm_segment_decode((cm_str_t){blob.data, blob.len}, 5, take, &taken, &err), 0);
    assert_int_equal(taken.count, 5);
    assert_int_equal(taken.bytes, 1 + CM_URL_MAX + 2 + 1);
    taken = (taken_t){0};
    for (size_t at = 0; at < blob.len; at++) {
        blob.data[at] ^= 0x10;
        assert_int_equal(cm_segment_decode((cm_str_t){blob.data, blob.len}, 5, take, &taken, &err),
                         CM_ECORRUPT);
        blob.data[at] ^= 0x10;
        assert_int_equal(cm_segment_decode((cm_str_t){blob.data, at}, 5, take, &taken, &err),
                         CM_ECORRUPT);
    }
    for (uint32_t count = 0; count < 10; count++) {
        int rc = cm_segment_decode((cm_str_t){blob.data, blob.len}, count, take, &taken, &err);
        assert_int_equal(rc, count == 5 ? 0 : CM_ECORRUPT);
    }
    assert_int_equal(
        cm_segment_decode((cm_str_t){blob.data, blob.len}, UINT32_MAX, take, &taken, &err),
        CM_ECORRUPT);
    assert_int_equal(taken.count, 5); /* nothing is taken of a bad one */
    cm_buf_t forged = CM_BUF_INIT;
    for (int round = 0; round < 3000; round++) {
        cm_buf_clear(&forged);
        cm_buf_add(&forged, blob.data, blob.len);
        mutate(&forged, &random);
        char *bytes = malloc(forged.len);
        memcpy(bytes, forged.data, forged.len);
        int rc = cm_segment_decode((cm_str_t){bytes, forged.len}, 5, take, &taken, &err);
        assert_true(rc == 0 || rc == CM_ECORRUPT);
        free(bytes);
    }
    cm_buf_free(&forged);
    cm_buf_clear(&blob);
    cm_segment_encode(NULL, 0, &blob);
    assert_int_equal(cm_segment_decode((cm_str_t){blob.data, blob.len}, 0, take, NULL, &err), 0);
    cm_buf_free(&blob);
}

/* Many at once, and short ones by the way that remembers: the same ids as one by one. */
static void dictionary_short_cuts(void **state)
{
    enum { COUNT = 5000 };
    cm_dict_t plain = CM_DICT_INIT, many = CM_DICT_INIT, often = CM_DICT_INIT;
    char space[COUNT][24];
    cm_str_t texts[COUNT];
    uint32_t hashes[COUNT], ids[COUNT];

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        /* Every length to 20, of few letters, so that many come again; some with zeros at an end.
         */
        size_t len = i % 21;
        for (size_t k = 0; k < len; k++)
            space[i][k] = "ab\0c"[(i * 7 + k * (i % 5)) % 11 % 4];
        texts[i] = (cm_str_t){space[i], len};
        hashes[i] = cm_dict_hash(texts[i]);
    }
    for (int round = 0; round < 2; round++) {
        cm_dict_put_many(&many, texts, hashes, COUNT, ids);
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t id = cm_dict_put(&plain, texts[i]);
            assert_int_equal(ids[i], id);
            assert_int_equal(cm_dict_put_often(&often, texts[i]), id);
            assert_true(cm_str_equal(cm_dict_string(&often, id), texts[i]));
        }
        assert_in_range(plain.count, 100, COUNT / 2);
        assert_int_equal(many.count, plain.count);
        assert_int_equal(often.count, plain.count);
    }
    /* What is forgotten is forgotten there too. */
    cm_dict_truncate(&often, 0);
    assert_int_equal(cm_dict_put_often(&often, texts[COUNT - 1]), 0);
    cm_dict_clear(&often);
    assert_int_equal(cm_dict_put_often(&often, texts[1]), 0);
    assert_int_equal(cm_dict_put_often(&often, texts[COUNT - 1]), 1);
    cm_dict_free(&plain);
    cm_dict_free(&many);
    cm_dict_free(&often);
}

static void dictionary(void **state)
{
    cm_dict_t dict = CM_DICT_INIT;
    char text[30];
    uint32_t id;

    (void)state;
    assert_false(cm_dict_find(&dict, CM_STR("x"), &id));
    cm_dict_truncate(&dict, 0);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 20000; i++) {
            int len = snprintf(text, sizeof text, "text %u", i);
            assert_int_equal(cm_dict_put(&dict, (cm_str_t){text, (size_t)len}), i);
        }
    }
    assert_int_equal(dict.count, 20000);
    assert_int_equal(cm_dict_put(&dict, (cm_str_t){NULL, 0}), 20000);
    assert_int_equal(cm_dict_put(&dict, CM_STR("")), 20000);
    assert_int_equal(cm_dict_string(&dict, 20000).len, 0);
    cm_dict_truncate(&dict, 30000); /* more than there are: nothing to forget */
    assert_int_equal(dict.count, 20001);
    cm_dict_truncate(&dict, 777);
    assert_int_equal(dict.count, 777);
    for (uint32_t i = 0; i < 20000; i++) {
        int len = snprintf(text, sizeof text, "text %u", i);
        assert_int_equal(cm_dict_find(&dict, (cm_str_t){text, (size_t)len}, &id), i < 777);
        if (i < 777)
            assert_int_equal(id, i);
    }
    assert_int_equal(cm_dict_put(&dict, CM_STR("new")), 777);
    assert_true(cm_str_equal(cm_dict_string(&dict, 776), CM_STR("text 776")));
    assert_true(cm_str_equal(cm_dict_string(&dict, 777), CM_STR("new")));
    cm_dict_clear(&dict);
    assert_false(cm_dict_find(&dict, CM_STR("new"), &id));
    assert_int_equal(cm_dict_put(&dict, CM_STR("first again")), 0);
    assert_int_equal(cm_dict_put_hashed(&dict, CM_STR("first again"), dict.entries[0].hash), 0);
    cm_dict_free(&dict);
    assert_int_equal(dict.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_column),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(times_at_the_ends),
        cmocka_unit_test(ids_beyond),
        cmocka_unit_test(layout),
        cmocka_unit_test(uncompressed),
        cmocka_unit_test(accidents),
        cmocka_unit_test(forgeries),
        cmocka_unit_test(segments),
        cmocka_unit_test(dictionary),
        cmocka_unit_test(dictionary_short_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
