/* A file, plain or compressed: its bytes are the same in whatever portions they are read, from a
 * file and from a pipe, and its lines are those that a plain search for line ends finds. */
#include "fuzz.h"
#include "source/lines.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SILENT_MAX = 4, /* reads without a byte, one after the other, of what is all there */
    BYTES_MAX = 4 * 1024 * 1024, /* a small file may unpack to a very large one */
    PORTION_MAX = 64 * 1024,     /* no more is read byte by byte, nor through a pipe */
};

/* An input over the bytes; *fd is to be closed after it. */
static cm_input_t *open_bytes(const uint8_t *data, size_t size, bool pipe_wanted, int *fd)
{
    char path[40];
    cm_input_t *input;
    cm_err_t err;
    int ends[2] = {-1, -1};

    if (pipe_wanted) {
        FUZZ_CHECK(pipe2(ends, O_CLOEXEC) == 0);
    } else {
        ends[0] = ends[1] = memfd_create("input", MFD_CLOEXEC);
        FUZZ_CHECK(ends[0] >= 0);
    }
    FUZZ_CHECK(write(ends[1], data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    FUZZ_CHECK(cm_input_open(path, &input, &err) == 0);
    if (pipe_wanted)
        close(ends[1]);
    *fd = ends[0];
    return input;
}

/* Reads all of it, or BYTES_MAX, in portions. The result of the last read. */
static int read_all(const uint8_t *data, size_t size, bool pipe_wanted, size_t portion,
                    cm_buf_t *out, cm_err_t *err)
{
    int fd, rc, silent = 0;
    size_t got;
    uint64_t done, total;
    cm_input_t *input = open_bytes(data, size, pipe_wanted, &fd);

    do {
        cm_buf_reserve(out, portion);
        rc = cm_input_read(input, out->data + out->len, portion, &got, err);
        FUZZ_CHECK(got <= portion && (rc == 1 || got == 0));
        silent = rc > 0 && got == 0 ? silent + 1 : 0;
        FUZZ_CHECK(silent < SILENT_MAX);
        out->len += got;
    } while (rc > 0 && out->len < BYTES_MAX);
    cm_input_progress(input, &done, &total);
    FUZZ_CHECK(done <= size && (rc != 0 || done == size));
    FUZZ_CHECK(total == (pipe_wanted ? 0 : size));
    if (rc < 0) {
        fuzz_check_refusal(rc, CM_EINPUT, err);
        FUZZ_CHECK(cm_input_read(input, out->data, 1, &got, err) == rc && got == 0);
    }
    if (rc == 0 && cm_input_is_plain(input))
        FUZZ_CHECK(out->len == size && (size == 0 || memcmp(out->data, data, size) == 0));
    cm_input_close(input);
    close(fd);
    return rc;
}

/* The next line of `rest` as it should come; false at the end. Without `ended` the rest may be the
 * start of a line, which is not handed out. */
static bool naive_line(cm_str_t *rest, bool ended, cm_str_t *line)
{
    const char *newline = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    if (rest->len == 0 || (newline == NULL && !ended))
        return false;
    *line = (cm_str_t){rest->data, newline ? (size_t)(newline - rest->data) : rest->len};
    size_t used = line->len + (newline != NULL);
    if (line->len > 0 && line->data[line->len - 1] == '\r')
        line->len--;
    rest->data += used;
    rest->len -= used;
    return true;
}

static void check_line(const cm_line_t *line, cm_str_t expected, uint64_t number)
{
    FUZZ_CHECK(line->number == number);
    FUZZ_CHECK(line->too_long == (expected.len > CM_LINE_MAX));
    if (line->too_long)
        expected.len = CM_LINE_HEAD;
    FUZZ_CHECK(cm_str_equal(line->text, expected));
}

static void check_lines(const uint8_t *data, size_t size, cm_str_t bytes, int end)
{
    int fd, rc;
    uint64_t number = 0;
    cm_str_t rest = bytes, expected;
    cm_line_t line;
    cm_lines_t lines;
    cm_err_t err;
    cm_input_t *input = open_bytes(data, size, false, &fd);

    cm_lines_init(&lines, input);
    do {
        rc = cm_lines_fill(&lines, &err);
        while (cm_lines_next(&lines, &line)) {
            if (!naive_line(&rest, lines.ended, &expected)) {
                FUZZ_CHECK(end < 0); /* these portions have brought more before the failure */
                goto done;
            }
            check_line(&line, expected, ++number);
            if (!lines.dropping)
                FUZZ_CHECK(lines.offset == bytes.len - rest.len);
        }
    } while (rc > 0);
    FUZZ_CHECK(rc == end);
    FUZZ_CHECK(rc < 0 || !naive_line(&rest, lines.ended, &expected));
done:
    cm_lines_free(&lines);
    cm_input_close(input);
    close(fd);
}

/* The same bytes; of a file that is broken, as far as both portions have got. */
static void check_same(cm_str_t a, cm_str_t b, int rc)
{
    size_t shorter = a.len < b.len ? a.len : b.len;

    FUZZ_CHECK(rc < 0 || a.len == b.len);
    FUZZ_CHECK(shorter == 0 || memcmp(a.data, b.data, shorter) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t portions[] = {1, 7, 1000};
    cm_buf_t bytes = CM_BUF_INIT;
    cm_err_t err = {0};

    int rc = read_all(data, size, false, PORTION_MAX, &bytes, &err);
    cm_str_t whole = {bytes.data, bytes.len};
    for (size_t i = 0; i < 4 && bytes.len < PORTION_MAX && size < PORTION_MAX; i++) {
        cm_buf_t again = CM_BUF_INIT;
        cm_err_t err_again = {0};
        FUZZ_CHECK(rc == read_all(data, size, i == 3, portions[i % 3], &again, &err_again));
        check_same(whole, (cm_str_t){again.data, again.len}, rc);
        cm_buf_free(&again);
    }
    if (rc <= 0)
        check_lines(data, size, whole, rc);
    cm_buf_free(&bytes);
    return 0;
}
