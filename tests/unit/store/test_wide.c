/* The columns of optional fields: what was added comes back, through the part of a block as well,
 * and nothing outside the contract is read. */
#include "store/wide.h"

#include "base/clock.h"
#include "random_extra.h"
#include "store/block.h"

enum { EVENTS = 700, GROUP = 32 };

static const uint32_t no_ids[CM_FIELD_COUNT];

static void assert_event(const cm_wide_t *wide, uint32_t row, const cm_event_extra_t *expected)
{
    cm_event_extra_t got;

    assert_int_equal(cm_wide_at(wide, row, &got), expected != NULL);
    if (expected != NULL)
        assert_true(cm_event_extra_equal(&got, expected));
    assert_int_equal(cm_wide_is_view(wide, row),
                     expected == NULL || expected->text[CM_EXTRA_NAME].len == 0);
}

static void assert_events(const cm_wide_t *wide, const cm_event_extra_t *const *expected,
                          uint32_t count)
{
    assert_int_equal(wide->count, count);
    for (uint32_t row = 0; row < count; row++)
        assert_event(wide, row, expected[row]);
}

/* The part of a block with these columns. */
static cm_buf_t encode(cm_columns_t *columns, bool compress)
{
    cm_buf_t part = CM_BUF_INIT;

    columns->count = columns->wide.count;
    cm_block_encode(columns, CM_READ_EXTRA, compress, &part);
    return part;
}

static int decode(const cm_buf_t *part, uint32_t count, cm_columns_t *out, cm_err_t *err)
{
    /* A copy of exactly its size, so that a read beyond it is found. */
    char *bytes = malloc(part->len);
    memcpy(bytes, part->data, part->len);
    const int rc =
        cm_block_decode((cm_str_t){bytes, part->len}, CM_READ_EXTRA, count, no_ids, out, err);
    free(bytes);
    return rc;
}

static void round_trips(void **state)
{
    const cm_event_extra_t *extras[EVENTS];
    cm_columns_t in = {0}, out = {0};
    cm_arena_t arena = {0};
    uint64_t random = 21;
    cm_err_t err;

    (void)state;
    for (int round = 0; round < 12; round++) {
        cm_arena_reset(&arena);
        cm_wide_clear(&in.wide);
        assert_false(in.wide.any);
        uint32_t count = 0;
        /* The first groups of some rounds have no optional field. */
        while (count < EVENTS) {
            const uint32_t some = 1 + (uint32_t)(test_random(&random) % GROUP);
            const uint32_t to = count + some < EVENTS ? count + some : EVENTS;
            for (uint32_t i = count; i < to; i++)
                extras[i] =
                    count < 100 * ((uint32_t)round % 4) ? NULL : random_extra(&random, &arena);
            cm_wide_add(&in.wide, extras + count, to - count);
            count = to;
        }
        assert_events(&in.wide, extras, EVENTS);
        cm_buf_t part = encode(&in, round % 2 == 0);
        assert_ok(decode(&part, EVENTS, &out, &err), err);
        assert_events(&out.wide, extras, EVENTS);
        assert_int_equal(out.wide.bytes, in.wide.bytes);
        cm_buf_free(&part);
    }
    cm_columns_free(&in);
    cm_columns_free(&out);
    cm_arena_free(&arena);
}

/* One field at a time: the others have no strings. */
static void one_field(void **state)
{
    const cm_event_extra_t *extras[EVENTS];
    cm_columns_t in = {0}, out = {0};
    cm_arena_t arena = {0};
    uint64_t random = 22;
    cm_err_t err;

    (void)state;
    for (uint32_t i = 0; i < EVENTS; i++)
        extras[i] = random_extra(&random, &arena);
    cm_wide_add(&in.wide, extras, EVENTS);
    cm_buf_t part = encode(&in, true);
    for (int field = 0; field < CM_EXTRA_COUNT; field++) {
        out.only = (uint32_t)CM_ONLY_EXTRAS << field;
        assert_ok(decode(&part, EVENTS, &out, &err), err);
        assert_true(out.wide.any);
        for (int other = 0; other < CM_EXTRA_TEXTS; other++)
            assert_int_equal(out.wide.strings[other].count,
                             other == field ? in.wide.strings[field].count : 0);
        assert_memory_equal(field == CM_EXTRA_ENGAGED ? out.wide.engaged : out.wide.ids[field],
                            field == CM_EXTRA_ENGAGED ? in.wide.engaged : in.wide.ids[field],
                            EVENTS * sizeof(uint32_t));
    }
    cm_buf_free(&part);
    cm_columns_free(&in);
    cm_columns_free(&out);
    cm_arena_free(&arena);
}

/* Without an optional field there are no columns, only a number of events. */
static void nothing_at_all(void **state)
{
    const cm_event_extra_t *none[3] = {NULL};
    cm_wide_t wide = {0};
    cm_event_extra_t extra;

    (void)state;
    cm_wide_add(&wide, none, 3);
    cm_wide_add(&wide, none, 2);
    assert_int_equal(wide.count, 5);
    assert_false(wide.any);
    assert_null(wide.engaged);
    assert_int_equal(wide.bytes, 0);
    assert_false(cm_wide_at(&wide, 4, &extra));
    assert_true(cm_wide_is_view(&wide, 4));
    cm_wide_free(&wide);
}

/* Equal strings are stored once; `bytes` counts them once. */
static void strings_once(void **state)
{
    cm_event_extra_t a = CM_EVENT_EXTRA_NONE, b = CM_EVENT_EXTRA_NONE;
    cm_wide_t wide = {0};

    (void)state;
    a.text[CM_EXTRA_NAME] = CM_STR("signup");
    a.text[CM_EXTRA_REGION] = CM_STR("a region with a name of more than 16 bytes");
    b.text[CM_EXTRA_REGION] = CM_STR("signup"); /* another field */
    const cm_event_extra_t *const extras[] = {&a, NULL, &b, &a, &b};
    cm_wide_add(&wide, extras, 5);
    assert_int_equal(wide.bytes, 6 + 42 + 6);
    assert_int_equal(wide.strings[CM_EXTRA_NAME].count, 1);
    assert_int_equal(wide.strings[CM_EXTRA_REGION].count, 2);
    assert_int_equal(wide.strings[CM_EXTRA_REFERRER].count, 0);
    assert_events(&wide, extras, 5);
    cm_wide_clear(&wide);
    assert_int_equal(wide.bytes, 0);
    cm_wide_add(&wide, extras + 2, 1); /* nothing of before is left */
    assert_events(&wide, extras + 2, 1);
    cm_wide_free(&wide);
}

/* One event with the name "ab" and 5 ms, as wide.h describes the part. */
static void layout(void **state)
{
    static const uint8_t name[] = {1, 1, 0, 0, 0, 1, 0, 0, 0, 1,             /* number */
                                   4, 4, 0, 0, 0, 4, 0, 0, 0, 2,   0,  0, 0, /* length */
                                   1, 2, 0, 0, 0, 2, 0, 0, 0, 'a', 'b'};
    static const uint8_t absent[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0,
                                     0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t engaged[] = {1, 1, 0, 0, 0, 1, 0, 0, 0, 6};
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
    const cm_event_extra_t *const extras[] = {&extra};
    cm_columns_t columns = {0};

    (void)state;
    extra.text[CM_EXTRA_NAME] = CM_STR("ab");
    extra.engaged_ms = 5;
    cm_wide_add(&columns.wide, extras, 1);
    cm_buf_t part = encode(&columns, true);
    const char *at = part.data + 8;
    assert_int_equal(at[0], 1);
    assert_int_equal(at[1], 37);
    assert_memory_equal(at += 2, name, sizeof name);
    at += sizeof name;
    for (int field = 1; field < CM_EXTRA_TEXTS; field++, at += sizeof absent)
        assert_memory_equal(at, absent, sizeof absent);
    assert_memory_equal(at, engaged, sizeof engaged);
    assert_ptr_equal(at + sizeof engaged, part.data + part.len);
    cm_buf_free(&part);
    cm_columns_free(&columns);
}

/* The part of one event, with one value at a time that the contract does not allow. */
static void beyond_the_contract(void **state)
{
    static char text[2049];
    const struct {
        cm_extra_field_t field;
        size_t len;
        int32_t engaged_ms;
        const char *words; /* NULL: it is allowed */
    } cases[] = {
        {CM_EXTRA_NAME, 64, -1, NULL},
        {CM_EXTRA_NAME, 65, -1, "a string is too long"},
        {CM_EXTRA_REFERRER, 2048, -1, NULL},
        {CM_EXTRA_REFERRER, 2049, -1, "a string is too long"},
        {CM_EXTRA_UTM_CONTENT, 257, -1, "a string is too long"},
        {CM_EXTRA_LANGUAGE, 65, -1, "a string is too long"},
        {CM_EXTRA_NAME, 1, CM_ENGAGED_MAX, NULL},
        {CM_EXTRA_NAME, 1, CM_ENGAGED_MAX + 1, "an engaged time is out of range"},
    };
    cm_columns_t in = {0}, out = {0};
    cm_err_t err;

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_event_extra_t extra = {.engaged_ms = cases[i].engaged_ms};
        const cm_event_extra_t *const extras[] = {&extra};
        extra.text[cases[i].field] = (cm_str_t){text, cases[i].len};
        cm_wide_clear(&in.wide);
        cm_wide_add(&in.wide, extras, 1);
        cm_buf_t part = encode(&in, true);
        assert_int_equal(decode(&part, 1, &out, &err), cases[i].words == NULL ? 0 : CM_ECORRUPT);
        if (cases[i].words != NULL)
            assert_string_equal(err.text, cases[i].words);
        cm_buf_free(&part);
    }
    cm_columns_free(&in);
    cm_columns_free(&out);
}

/* An empty string, and the number of a string that is not there, of which a writer makes none. */
static void forged_strings(void **state)
{
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
    const cm_event_extra_t *const extras[] = {&extra, NULL};
    cm_columns_t in = {0}, out = {0};
    cm_err_t err;

    (void)state;
    extra.text[CM_EXTRA_REGION] = CM_STR("x");
    cm_wide_add(&in.wide, extras, 2);
    in.wide.ids[CM_EXTRA_REGION][1] = 2;
    cm_buf_t part = encode(&in, true);
    assert_int_equal(decode(&part, 2, &out, &err), CM_ECORRUPT);
    assert_string_equal(err.text, "strings are missing");
    cm_buf_free(&part);
    in.wide.ids[CM_EXTRA_REGION][1] = 3;
    part = encode(&in, true);
    assert_int_equal(decode(&part, 2, &out, &err), CM_ECORRUPT);
    assert_string_equal(err.text, "it has more texts than events");
    cm_buf_free(&part);
    in.wide.ids[CM_EXTRA_REGION][1] = 1;
    in.wide.strings[CM_EXTRA_REGION].entries[0].len = 0;
    part = encode(&in, true);
    assert_int_equal(decode(&part, 2, &out, &err), CM_ECORRUPT);
    assert_string_equal(err.text, "a string is empty");
    cm_buf_free(&part);
    cm_columns_free(&in);
    cm_columns_free(&out);
}

/* Every bit that changes and every other length is found. */
static void accidents(void **state)
{
    const cm_event_extra_t *extras[GROUP];
    cm_columns_t in = {0}, out = {0};
    cm_arena_t arena = {0};
    uint64_t random = 22;
    cm_err_t err;

    (void)state;
    for (uint32_t i = 0; i < GROUP; i++)
        extras[i] = random_extra(&random, &arena);
    cm_wide_add(&in.wide, extras, GROUP);
    cm_buf_t part = encode(&in, true);
    for (size_t at = 0; at < part.len; at++) {
        part.data[at] ^= (char)(1 << at % 8);
        assert_int_equal(decode(&part, GROUP, &out, &err), CM_ECORRUPT);
        assert_false(out.wide.any);
        part.data[at] ^= (char)(1 << at % 8);
    }
    const size_t whole = part.len;
    for (part.len = 0; part.len < whole; part.len++)
        assert_int_equal(decode(&part, GROUP, &out, &err), CM_ECORRUPT);
    assert_ok(decode(&part, GROUP, &out, &err), err);
    assert_int_equal(decode(&part, GROUP - 1, &out, &err), CM_ECORRUPT);
    assert_int_equal(decode(&part, GROUP + 1, &out, &err), CM_ECORRUPT);
    cm_buf_free(&part);
    cm_columns_free(&in);
    cm_columns_free(&out);
    cm_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),         cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(strings_once),        cmocka_unit_test(layout),
        cmocka_unit_test(beyond_the_contract), cmocka_unit_test(forged_strings),
        cmocka_unit_test(accidents),           cmocka_unit_test(one_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
