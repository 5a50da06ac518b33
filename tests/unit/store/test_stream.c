/* Streams: numbers and strings of any size come back, their bytes are as block.h says, and a reader
 * takes no more than it expects. */
#include "store/stream.h"

#include "base/clock.h"
#include "support.h"

enum { MANY = 3000 };

/* A part, and the memory to write and read it. */
typedef struct part {
    cm_buf_t bytes;
    cm_stream_writer_t writer;
    cm_stream_reader_t reader;
    cm_stream_scratch_t scratch;
    cm_err_t err;
} part_t;

static int set_up(void **state)
{
    part_t *part = calloc(1, sizeof *part);

    part->writer = (cm_stream_writer_t){.out = &part->bytes,
                                        .compress = true,
                                        .most = 255,
                                        .wide = malloc(MANY * sizeof(uint64_t)),
                                        .scratch = malloc(MANY * sizeof(uint64_t))};
    part->reader = (cm_stream_reader_t){.scratch = &part->scratch, .err = &part->err};
    *state = part;
    return 0;
}

static int tear_down(void **state)
{
    part_t *part = *state;

    cm_buf_free(&part->bytes);
    free(part->writer.wide);
    free(part->writer.scratch);
    free(part->scratch.bytes);
    free(part);
    return 0;
}

static void begin(part_t *part, uint8_t streams)
{
    cm_buf_clear(&part->bytes);
    cm_stream_begin(&part->bytes, streams);
}

/* Ends the part and goes to its first stream. */
static void reopen(part_t *part, uint8_t streams)
{
    cm_stream_finish(&part->bytes);
    const cm_str_t bytes = {part->bytes.data, part->bytes.len};
    assert_true(cm_stream_is_whole(bytes));
    assert_ok(cm_stream_open(&part->reader, bytes, streams), part->err);
}

static void assert_corrupt(const part_t *part, int rc, const char *words)
{
    assert_int_equal(rc, CM_ECORRUPT);
    assert_string_equal(part->err.text, words);
}

static void numbers_of_every_width(void **state)
{
    part_t *part = *state;
    uint64_t random = 3;

    for (unsigned width = 0; width <= 8; width++) {
        const uint64_t mask = width == 0 ? 0 : UINT64_MAX >> (64 - 8 * width);
        uint64_t values[MANY];
        uint32_t joined[MANY];
        cm_stream_t stream;
        for (uint32_t i = 0; i < MANY; i++)
            part->writer.wide[i] = values[i] = i == 0 ? mask : test_random(&random) & mask;
        begin(part, 1);
        cm_stream_add_numbers(&part->writer, MANY);
        reopen(part, 1);
        assert_ok(cm_stream_next_numbers(&part->reader, MANY, 8, &stream), part->err);
        assert_int_equal(stream.width, width);
        for (uint32_t i = 0; i < MANY; i++)
            assert_int_equal(cm_stream_number(&stream, MANY, i), values[i]);
        if (width <= 4) {
            cm_stream_gather(&stream, MANY, joined);
            for (uint32_t i = 0; i < MANY; i++)
                assert_int_equal(joined[i], values[i]);
        }
        assert_true(part->reader.at == part->reader.end);
        if (width == 0)
            continue;
        reopen(part, 1);
        assert_corrupt(part, cm_stream_next_numbers(&part->reader, MANY, width - 1, &stream),
                       "a column is longer than its block");
    }
}

typedef struct taken {
    const cm_str_t *expected;
    uint32_t count;
} taken_t;

static void take(void *context, cm_str_t string)
{
    taken_t *taken = context;

    assert_true(cm_str_equal(string, taken->expected[taken->count++]));
}

static void strings_of_every_length(void **state)
{
    static const cm_str_t short_ones[] = {CM_STR("a"), CM_STR(""), CM_STR("\0\xFF"), CM_STR("a")};
    part_t *part = *state;
    char *long_text = malloc(70000);
    taken_t taken;

    memset(long_text, 'x', 70000);
    const cm_str_t strings[] = {
        short_ones[0], {long_text, 70000}, short_ones[1], short_ones[2], {long_text, 65536}};
    begin(part, 2);
    cm_stream_add_strings(&part->writer, strings, 5, 4);
    assert_in_range(part->bytes.len, 10 + 2 * 9 + 20, 400); /* compressed */
    reopen(part, 2);
    taken = (taken_t){.expected = strings};
    assert_ok(cm_stream_next_strings(&part->reader, 5, 4, 70000, take, &taken), part->err);
    assert_int_equal(taken.count, 5);
    reopen(part, 2);
    taken.count = 0;
    assert_corrupt(part, cm_stream_next_strings(&part->reader, 5, 4, 69999, take, &taken),
                   "a string is too long");
    for (uint32_t count = 0; count < 8; count++) {
        if (count == 5)
            continue;
        reopen(part, 2);
        assert_corrupt(part, cm_stream_next_strings(&part->reader, count, 4, 70000, take, &taken),
                       count < 5 ? "a column is longer than its block" : "strings are missing");
    }
    assert_int_equal(taken.count, 0); /* nothing is taken of what is wrong */
    begin(part, 2);
    cm_stream_add_strings(&part->writer, short_ones, 4, 2);
    reopen(part, 2);
    taken = (taken_t){.expected = short_ones};
    assert_ok(cm_stream_next_strings(&part->reader, 4, 2, 2, take, &taken), part->err);
    assert_int_equal(taken.count, 4);
    free(long_text);
}

/* The layout of block.h, byte by byte. */
static void layout(void **state)
{
    static const uint8_t expected[] = {
        1, 3,                                              /* format, streams */
        2, 4, 0, 0, 0, 4, 0, 0, 0, 1, 2, 0,   1,           /* 1 and 258 in planes */
        4, 8, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0,   0,   1,   0, /* lengths */
        0, 0, 1, 3, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c',
    };
    const cm_str_t strings[] = {CM_STR("ab"), CM_STR("c")};
    const uint32_t ids[] = {1, 258};
    part_t *part = *state;

    begin(part, 3);
    cm_stream_add_ids(&part->writer, ids, 2);
    cm_stream_add_strings(&part->writer, strings, 2, 4);
    cm_stream_finish(&part->bytes);
    assert_int_equal(part->bytes.len, 8 + sizeof expected);
    assert_memory_equal(part->bytes.data + 8, expected, sizeof expected);
}

/* A stream is stored as it is when it is short, or when compression does not save enough. */
static void compression(void **state)
{
    part_t *part = *state;
    uint8_t raw[2048];
    cm_stream_t stream;
    uint64_t random = 8;

    memset(raw, 7, 1024);
    for (size_t i = 1024; i < sizeof raw; i++)
        raw[i] = (uint8_t)test_random(&random);
    const struct {
        size_t from, size, most;
        bool compress, smaller;
    } cases[] = {
        {0, 1023, 255, true, false},  {0, 1024, 255, true, true},
        {0, 1024, 255, false, false}, {1024, 1024, 255, true, false},
        {0, 2048, 255, true, true},   {0, 2048, 128, true, false}, /* it saves less than half */
        {0, 0, 255, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(part, 1);
        part->writer.compress = cases[i].compress;
        part->writer.most = cases[i].most;
        cm_stream_add(&part->writer, 1, raw + cases[i].from, cases[i].size);
        assert_int_equal(part->bytes.len < 10 + 9 + cases[i].size, cases[i].smaller);
        reopen(part, 1);
        assert_ok(cm_stream_next(&part->reader, cases[i].size, &stream), part->err);
        assert_int_equal(stream.size, cases[i].size);
        assert_memory_equal(stream.raw, raw + cases[i].from, cases[i].size);
    }
}

static void wrong_parts(void **state)
{
    part_t *part = *state;
    const uint32_t id = 1;
    cm_stream_t stream;

    begin(part, 1);
    cm_stream_add_ids(&part->writer, &id, 1);
    reopen(part, 1);
    cm_str_t bytes = {part->bytes.data, part->bytes.len};
    assert_ok(cm_stream_next(&part->reader, 1, &stream), part->err);
    assert_corrupt(part, cm_stream_next(&part->reader, 1, &stream), "a column is missing");
    assert_corrupt(part, cm_stream_open(&part->reader, bytes, 2), "its format is not known");
    bytes.len = 9;
    assert_false(cm_stream_is_whole(bytes));
    assert_corrupt(part, cm_stream_open(&part->reader, bytes, 1), "it is too short");
    bytes.len = part->bytes.len - 1;
    assert_false(cm_stream_is_whole(bytes));
    assert_corrupt(part, cm_stream_open(&part->reader, bytes, 1),
                   "its checksum does not match its bytes");
    part->bytes.data[8] = 2;
    cm_stream_finish(&part->bytes);
    bytes.len = part->bytes.len;
    assert_corrupt(part, cm_stream_open(&part->reader, bytes, 1), "its format is not known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_of_every_width, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strings_of_every_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compression, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_parts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
