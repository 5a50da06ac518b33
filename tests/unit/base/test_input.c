#include "base/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <zstd.h>

#include "temp_file.h"

/* Reads everything, `step` bytes at a time; returns the result of the last read. */
static int read_all(const char *path, size_t step, cm_buf_t *all, cm_err_t *err)
{
    cm_input_t *input;
    size_t got;
    int rc = cm_input_open(path, &input, err);

    if (rc < 0)
        return rc;
    do {
        cm_buf_reserve(all, step);
        rc = cm_input_read(input, all->data + all->len, step, &got, err);
        all->len += rc > 0 ? got : 0;
    } while (rc > 0);
    if (rc < 0) { /* the error is returned again */
        cm_err_t again = {0, ""};
        assert_int_equal(rc, cm_input_read(input, all->data, step, &got, &again));
        assert_string_equal(err->text, again.text);
    }
    cm_input_close(input);
    return rc;
}

static void expect(const char *path, cm_str_t text)
{
    static const size_t steps[] = {1, 7, 4096, 1 << 20};

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        cm_buf_t all = CM_BUF_INIT;
        cm_err_t err = {0, ""};
        int rc = read_all(path, steps[i], &all, &err);
        assert_string_equal("", err.text);
        assert_int_equal(0, rc);
        assert_int_equal(text.len, all.len);
        assert_memory_equal(text.data, all.len ? all.data : "", text.len);
        cm_buf_free(&all);
    }
}

static void expect_failure(const char *path, cm_str_t before, const char *sentence)
{
    cm_buf_t all = CM_BUF_INIT;
    cm_err_t err = {0, ""};

    assert_int_equal(CM_EINPUT, read_all(path, 64, &all, &err));
    assert_string_equal(sentence, err.text);
    assert_int_equal(before.len, all.len);
    assert_memory_equal(before.data, all.len ? all.data : "", before.len);
    cm_buf_free(&all);
}

/* Text that compresses to more than the input's own buffer. */
static cm_buf_t long_text(void)
{
    cm_buf_t text = CM_BUF_INIT;
    uint64_t x = 1;
    for (int i = 0; i < 60000; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        cm_buf_printf(&text, "%016llx\n", (unsigned long long)x);
    }
    return text;
}

static void reads_plain(void **state)
{
    cm_buf_t text = long_text();

    (void)state;
    expect(temp_write("empty", "", 0), CM_STR(""));
    expect(temp_write("short", "a\n", 2), CM_STR("a\n"));
    expect(temp_write("long", text.data, text.len), (cm_str_t){text.data, text.len});
    cm_buf_free(&text);
}

static void reads_gzip(void **state)
{
    cm_buf_t text = long_text(), packed = CM_BUF_INIT, three = CM_BUF_INIT;

    (void)state;
    add_gzip(&packed, (cm_str_t){text.data, text.len});
    assert_true(packed.len > 200000);
    expect(temp_write("a.txt", packed.data, packed.len), (cm_str_t){text.data, text.len});
    /* Several members, one of them empty, and padding. */
    add_gzip(&three, CM_STR("one\n"));
    add_gzip(&three, CM_STR(""));
    add_gzip(&three, CM_STR("two\n"));
    cm_buf_add(&three, "\0\0\0", 3);
    expect(temp_write("b.gz", three.data, three.len), CM_STR("one\ntwo\n"));
    cm_buf_free(&text);
    cm_buf_free(&packed);
    cm_buf_free(&three);
}

static void reads_zstd(void **state)
{
    cm_buf_t text = long_text(), packed = CM_BUF_INIT, frames = CM_BUF_INIT;

    (void)state;
    add_zstd(&packed, (cm_str_t){text.data, text.len});
    assert_true(packed.len > 200000);
    expect(temp_write("a.txt", packed.data, packed.len), (cm_str_t){text.data, text.len});
    /* A skippable frame of 2 bytes, then frames. */
    cm_buf_add(&frames, "\x50\x2a\x4d\x18\x02\0\0\0xy", 10);
    add_zstd(&frames, CM_STR("one\n"));
    add_zstd(&frames, CM_STR("two\n"));
    expect(temp_write("b.zst", frames.data, frames.len), CM_STR("one\ntwo\n"));
    cm_buf_free(&text);
    cm_buf_free(&packed);
    cm_buf_free(&frames);
}

static void says_what_is_truncated(void **state)
{
    cm_buf_t gzip = CM_BUF_INIT, zstd = CM_BUF_INIT;
    char sentence[512];
    const char *path;

    (void)state;
    add_gzip(&gzip, CM_STR("one\n"));
    size_t whole = gzip.len;
    add_gzip(&gzip, CM_STR("two\n"));
    path = temp_write("t.gz", gzip.data, whole + 3);
    snprintf(
        sentence, sizeof sentence,
        "%s is truncated: it ends at byte %zu in the middle of a gzip member; get a whole copy "
        "and run the import again",
        path, whole + 3);
    expect_failure(path, CM_STR("one\n"), sentence);
    add_zstd(&zstd, CM_STR("one\n"));
    whole = zstd.len;
    add_zstd(&zstd, CM_STR("two\n"));
    path = temp_write("t.zst", zstd.data, whole + 8);
    snprintf(sentence, sizeof sentence,
             "%s is truncated: it ends at byte %zu in the middle of a zstd frame; get a whole copy "
             "and run the import again",
             path, whole + 8);
    expect_failure(path, CM_STR("one\n"), sentence);
    cm_buf_free(&gzip);
    cm_buf_free(&zstd);
}

static void says_what_is_corrupt(void **state)
{
    cm_buf_t gzip = CM_BUF_INIT;
    char sentence[512];
    const char *path;

    (void)state;
    add_gzip(&gzip, CM_STR("one\n"));
    size_t whole = gzip.len;
    cm_buf_add_text(&gzip, "garbage");
    path = temp_write("garbage.gz", gzip.data, gzip.len);
    snprintf(sentence, sizeof sentence,
             "%s is corrupt at byte %zu: what follows its last gzip member is not gzip (trailing "
             "bytes); get a good copy and run the import again",
             path, whole);
    expect_failure(path, CM_STR("one\n"), sentence);

    gzip.data[whole - 8] ^= 1; /* the check sum */
    path = temp_write("sum.gz", gzip.data, whole);
    snprintf(
        sentence, sizeof sentence,
        "%s is corrupt at byte %zu: not valid gzip (incorrect data check); get a good copy and "
        "run the import again",
        path, whole - 4);
    expect_failure(path, CM_STR("one\n"), sentence);
    cm_buf_free(&gzip);
}

static void says_why_it_does_not_open(void **state)
{
    char sentence[512];
    cm_input_t *input;
    cm_err_t err;

    (void)state;
    assert_int_equal(CM_EINPUT, cm_input_open("/nowhere/x.log", &input, &err));
    assert_string_equal("cannot open /nowhere/x.log: No such file or directory; check the path",
                        err.text);
    assert_int_equal(CM_EINPUT, cm_input_open(temp_dir, &input, &err));
    snprintf(sentence, sizeof sentence, "%s is a directory; name the files in it", temp_dir);
    assert_string_equal(sentence, err.text);
    const char *path = temp_write("secret", "x", 1);
    assert_int_equal(0, chmod(path, 0));
    if (geteuid() != 0) { /* root may read all files */
        snprintf(sentence, sizeof sentence,
                 "cannot open %s: Permission denied; give this user the right to read it", path);
        assert_int_equal(CM_EINPUT, cm_input_open(path, &input, &err));
        assert_string_equal(sentence, err.text);
    }
    path = temp_write("x.xz", "\xfd\x37zXZ\0more", 10);
    snprintf(sentence, sizeof sentence,
             "%s is compressed with xz, which is not read directly; unpack it on the way: "
             "xz -dc FILE | clickmill import -",
             path);
    expect_failure(path, CM_STR(""), sentence);
}

static void notices_a_file_that_shrinks(void **state)
{
    char buffer[16], sentence[512];
    cm_buf_t text = long_text();
    const char *path = temp_write("shrinks", text.data, text.len);
    cm_input_t *input;
    cm_err_t err = {0, ""};
    size_t got;
    int rc;

    (void)state;
    assert_int_equal(0, cm_input_open(path, &input, &err));
    assert_int_equal(1, cm_input_read(input, buffer, sizeof buffer, &got, &err));
    assert_int_equal(0, truncate(path, 500000));
    do
        rc = cm_input_read(input, buffer, sizeof buffer, &got, &err);
    while (rc > 0);
    assert_int_equal(CM_EINPUT, rc);
    snprintf(sentence, sizeof sentence,
             "%s ended at byte 500000 of 1020000, it was cut while it was read; restore it and run "
             "the import again",
             path);
    assert_string_equal(sentence, err.text);
    cm_input_close(input);
    cm_buf_free(&text);
}

static void knows_how_far_it_is(void **state)
{
    cm_buf_t text = long_text();
    cm_input_t *input;
    cm_err_t err;
    uint64_t done, total;
    size_t got;
    char *buffer = cm_alloc(300000);

    (void)state;
    assert_int_equal(0, cm_input_open(temp_write("long", text.data, text.len), &input, &err));
    assert_true(cm_input_is_regular(input));
    cm_input_progress(input, &done, &total);
    assert_int_equal(0, done);
    assert_int_equal(1020000, total);
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(1, cm_input_read(input, buffer, 300000, &got, &err));
        sum += got;
        cm_input_progress(input, &done, &total);
        assert_int_equal(sum, done);
    }
    cm_input_close(input);
    free(buffer);
    cm_buf_free(&text);
}

static void a_silent_pipe_returns(void **state)
{
    int ends[2];
    char path[32], buffer[64];
    cm_input_t *input;
    cm_err_t err;
    size_t got;

    (void)state;
    assert_int_equal(0, pipe(ends));
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(0, cm_input_open(path, &input, &err));
    assert_false(cm_input_is_regular(input));
    assert_int_equal(1, cm_input_read(input, buffer, sizeof buffer, &got, &err));
    assert_int_equal(0, got);
    assert_int_equal(10, write(ends[1], "0123456789", 10));
    do
        assert_int_equal(1, cm_input_read(input, buffer, sizeof buffer, &got, &err));
    while (got == 0);
    assert_int_equal(10, got);
    close(ends[1]);
    assert_int_equal(0, cm_input_read(input, buffer, sizeof buffer, &got, &err));
    cm_input_close(input);
    close(ends[0]);
}

/* Data that a compressor has flushed is returned although the frame goes on, for any step. */
static void a_silent_pipe_holds_nothing_back(void **state)
{
    enum { SIZE = 5000 };
    int ends[2];
    char path[32], text[SIZE], packed[2 * SIZE], buffer[64];
    cm_input_t *input;
    cm_err_t err;
    size_t got, sum = 0;
    ZSTD_CCtx *zstd = ZSTD_createCCtx();

    (void)state;
    for (int i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i * i % 26);
    ZSTD_inBuffer in = {text, sizeof text, 0};
    ZSTD_outBuffer out = {packed, sizeof packed, 0};
    assert_int_equal(0, ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_flush));
    assert_int_equal(0, pipe(ends));
    assert_int_equal(out.pos, write(ends[1], packed, out.pos));
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(0, cm_input_open(path, &input, &err));
    do {
        assert_int_equal(1, cm_input_read(input, buffer, sizeof buffer, &got, &err));
        assert_memory_equal(text + sum, buffer, got);
        sum += got;
    } while (got > 0);
    assert_int_equal(SIZE, sum);
    cm_input_close(input);
    close(ends[0]);
    close(ends[1]);
    ZSTD_freeCCtx(zstd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_plain),
        cmocka_unit_test(reads_gzip),
        cmocka_unit_test(reads_zstd),
        cmocka_unit_test(says_what_is_truncated),
        cmocka_unit_test(says_what_is_corrupt),
        cmocka_unit_test(says_why_it_does_not_open),
        cmocka_unit_test(notices_a_file_that_shrinks),
        cmocka_unit_test(knows_how_far_it_is),
        cmocka_unit_test(a_silent_pipe_returns),
        cmocka_unit_test(a_silent_pipe_holds_nothing_back),
    };
    return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
