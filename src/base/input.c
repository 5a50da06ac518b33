#include "base/input.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
    RAW_SIZE = 128 * 1024,
    MAGIC_SIZE = 6, /* the longest of the magic numbers below */
};

typedef enum packing {
    UNKNOWN, /* the first bytes are not read yet */
    PLAIN,
    GZIP,
    ZSTD,
} packing_t;

struct cm_input {
    int fd;
    bool close_fd;
    char *path; /* as the user wrote it, for messages */
    bool regular;
    uint64_t size;  /* of a regular file, when it was opened */
    uint64_t taken; /* bytes read from fd */

    /* Bytes that are read and not yet decompressed (of a plain file: not yet returned). */
    unsigned char *raw;
    size_t raw_at, raw_len;
    bool raw_ended;

    packing_t packing;
    bool inside; /* within a gzip member or zstd frame */
    bool held;   /* the last step filled the caller's buffer, so there may be more */
    z_stream gzip;
    ZSTD_DStream *zstd;
    cm_err_t failure; /* code 0: none yet */
};

static const char *stream_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int fail_open(const char *path, int error, cm_err_t *err)
{
    const char *advice = "check the path";
    if (error == EACCES)
        advice = "give this user the right to read it";
    else if (error == EMFILE || error == ENFILE)
        advice = "raise the limit of open files";
    return cm_fail(err, CM_EINPUT, "cannot open %s: %s; %s", path, strerror(error), advice);
}

int cm_input_open(const char *path, cm_input_t **input, cm_err_t *err)
{
    struct stat status;
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail_open(path, errno, err);
    if (fstat(fd, &status) != 0) {
        int error = errno;
        if (!is_stdin)
            close(fd);
        return fail_open(stream_name(path), error, err);
    }
    if (S_ISDIR(status.st_mode)) {
        if (!is_stdin)
            close(fd);
        return cm_fail(err, CM_EINPUT, "%s is a directory; name the files in it",
                       stream_name(path));
    }

    cm_input_t *self = cm_alloc_zero(1, sizeof *self);
    self->fd = fd;
    self->close_fd = !is_stdin;
    self->path = cm_strdup(stream_name(path));
    /* Standard input may be a file, but the shell decides where reading starts in it. */
    self->regular = S_ISREG(status.st_mode) && !is_stdin;
    self->size = self->regular ? (uint64_t)status.st_size : 0;
    self->raw = cm_alloc(RAW_SIZE);
    *input = self;
    return 0;
}

/* True when a read will not block for long. Regular files never block. */
static bool readable(const cm_input_t *input)
{
    struct pollfd wait = {.fd = input->fd, .events = POLLIN};
    return input->regular || poll(&wait, 1, CM_INPUT_TIMEOUT_MS) > 0;
}

static unsigned long long offset(const cm_input_t *input)
{
    return input->taken - (input->raw_len - input->raw_at);
}

/* Reads from the descriptor; 1 (with *got possibly 0), 0 at the end, or CM_EINPUT. */
static int read_fd(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err)
{
    *got = 0;
    if (!readable(input))
        return 1;
    ssize_t len = read(input->fd, buffer, cap);
    if (len < 0 && (errno == EINTR || errno == EAGAIN))
        return 1;
    if (len < 0)
        return cm_fail(err, CM_EINPUT,
                       "cannot read %s at byte %llu: %s; repair it and run the import again",
                       input->path, (unsigned long long)input->taken, strerror(errno));
    if (len == 0 && input->taken < input->size)
        return cm_fail(err, CM_EINPUT,
                       "%s ended at byte %llu of %llu, it was cut while it was read; "
                       "restore it and run the import again",
                       input->path, (unsigned long long)input->taken,
                       (unsigned long long)input->size);
    input->taken += (uint64_t)len;
    *got = (size_t)len;
    return len > 0;
}

/* Makes at least one more raw byte available; returns the same as read_fd(). */
static int more_raw(cm_input_t *input, size_t *got, cm_err_t *err)
{
    size_t left = input->raw_len - input->raw_at;

    *got = 0;
    if (input->raw_ended)
        return 0;
    if (input->raw_at > 0)
        memmove(input->raw, input->raw + input->raw_at, left);
    input->raw_at = 0;
    input->raw_len = left;
    int rc = read_fd(input, input->raw + left, RAW_SIZE - left, got, err);
    input->raw_len += *got;
    input->raw_ended = rc == 0;
    return rc;
}

static bool starts_with(const cm_input_t *input, const char *magic, size_t len)
{
    return input->raw_len - input->raw_at >= len &&
           memcmp(input->raw + input->raw_at, magic, len) == 0;
}

static bool is_gzip(const cm_input_t *input)
{
    return starts_with(input, "\x1f\x8b", 2);
}

/* The beginning of a zstd frame or of a skippable frame, which pzstd writes first (RFC 8878,
 * sections 3.1.1 and 3.1.2). */
static bool is_zstd(const cm_input_t *input)
{
    return starts_with(input, "\x28\xb5\x2f\xfd", 4) ||
           (input->raw_len - input->raw_at >= 4 && (input->raw[input->raw_at] & 0xF0) == 0x50 &&
            memcmp(input->raw + input->raw_at + 1, "\x2a\x4d\x18", 3) == 0);
}

static int fail_packing(const cm_input_t *input, const char *name, const char *tool, cm_err_t *err)
{
    return cm_fail(err, CM_EINPUT,
                   "%s is compressed with %s, which is not read directly; unpack it on the way: "
                   "%s -dc FILE | clickmill import -",
                   input->path, name, tool);
}

static int open_gzip(cm_input_t *input, cm_err_t *err)
{
    /* 16 added to the window size means that a gzip header is expected. */
    if (inflateInit2(&input->gzip, MAX_WBITS + 16) != Z_OK)
        return cm_fail_memory(err);
    input->packing = GZIP;
    input->inside = true;
    return 1;
}

static int open_zstd(cm_input_t *input, cm_err_t *err)
{
    input->zstd = ZSTD_createDStream();
    if (input->zstd == NULL)
        return cm_fail_memory(err);
    input->packing = ZSTD;
    return 1;
}

/* Finds the compression from the first bytes. 1 when it is known, or may be in the next call. */
static int detect(cm_input_t *input, cm_err_t *err)
{
    size_t got;

    if (input->raw_len < MAGIC_SIZE && !input->raw_ended) {
        int rc = more_raw(input, &got, err);
        if (rc < 0 || (rc > 0 && input->raw_len < MAGIC_SIZE))
            return rc;
    }
    if (is_gzip(input))
        return open_gzip(input, err);
    if (is_zstd(input))
        return open_zstd(input, err);
    if (starts_with(input,
                    "\xfd"
                    "7zXZ\0",
                    6))
        return fail_packing(input, "xz", "xz", err);
    if (starts_with(input, "BZh", 3))
        return fail_packing(input, "bzip2", "bzip2", err);
    input->packing = PLAIN;
    return 1;
}

static int read_plain(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err)
{
    size_t left = input->raw_len - input->raw_at;

    if (left == 0)
        return input->raw_ended ? 0 : read_fd(input, buffer, cap, got, err);
    *got = left < cap ? left : cap;
    memcpy(buffer, input->raw + input->raw_at, *got);
    input->raw_at += *got;
    return 1;
}

static int fail_truncated(const cm_input_t *input, const char *what, cm_err_t *err)
{
    return cm_fail(err, CM_EINPUT,
                   "%s is truncated: it ends at byte %llu in the middle of a %s; "
                   "get a whole copy and run the import again",
                   input->path, offset(input), what);
}

static int fail_corrupt(const cm_input_t *input, const char *what, const char *detail,
                        cm_err_t *err)
{
    return cm_fail(err, CM_EINPUT,
                   "%s is corrupt at byte %llu: %s (%s); get a good copy and run the import again",
                   input->path, offset(input), what, detail);
}

/* Between two gzip members. 1: another one begins. 0: the end, or more bytes are needed to decide
 * (then input->raw_ended is still false). Zeros may follow the last member, as padding of tapes. */
static int next_member(cm_input_t *input, cm_err_t *err)
{
    if (is_gzip(input)) {
        inflateReset(&input->gzip);
        input->inside = true;
        return 1;
    }
    while (input->raw_at < input->raw_len && input->raw[input->raw_at] == 0)
        input->raw_at++;
    if (input->raw_at == input->raw_len)
        return 0;
    /* The last byte that was read may be the first byte of a magic number. */
    if (input->raw_len - input->raw_at == 1 && input->raw[input->raw_at] == 0x1f &&
        !input->raw_ended)
        return 0;
    return fail_corrupt(input, "what follows its last gzip member is not gzip", "trailing bytes",
                        err);
}

/* Decompresses from the raw bytes that are there; *got may stay 0. 1 or CM_EINPUT. */
static int step_gzip(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err)
{
    z_stream *gzip = &input->gzip;

    gzip->next_in = input->raw + input->raw_at;
    gzip->avail_in = (uInt)(input->raw_len - input->raw_at);
    gzip->next_out = buffer;
    gzip->avail_out = (uInt)(cap < UINT32_MAX ? cap : UINT32_MAX);
    size_t room = gzip->avail_out;
    int rc = inflate(gzip, Z_NO_FLUSH);
    input->raw_at = input->raw_len - gzip->avail_in;
    *got = room - gzip->avail_out;
    if (rc == Z_STREAM_END)
        input->inside = false;
    if (rc == Z_MEM_ERROR)
        return cm_fail_memory(err);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return fail_corrupt(input, "not valid gzip", gzip->msg ? gzip->msg : zError(rc), err);
    return 1;
}

static int step_zstd(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err)
{
    ZSTD_inBuffer in = {input->raw, input->raw_len, input->raw_at};
    ZSTD_outBuffer out = {buffer, cap, 0};
    size_t rc = ZSTD_decompressStream(input->zstd, &out, &in);

    input->raw_at = in.pos;
    *got = out.pos;
    if (ZSTD_isError(rc))
        return fail_corrupt(input, "not valid zstd", ZSTD_getErrorName(rc), err);
    input->inside = rc != 0;
    return 1;
}

/* Decompresses until there is a byte, the end, an error or a timeout. */
static int read_packed(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err)
{
    const char *unit = input->packing == GZIP ? "gzip member" : "zstd frame";

    for (;;) {
        bool have = input->raw_at < input->raw_len;
        if (have && input->packing == GZIP && !input->inside) {
            int rc = next_member(input, err);
            if (rc < 0)
                return rc;
            have = rc > 0;
        }
        if (have || input->held) {
            int rc = input->packing == GZIP ? step_gzip(input, buffer, cap, got, err)
                                            : step_zstd(input, buffer, cap, got, err);
            input->held = *got == cap && input->inside;
            if (rc < 0 || *got > 0)
                return rc;
            if (input->raw_at < input->raw_len)
                continue;
        }
        size_t fresh;
        int rc = more_raw(input, &fresh, err);
        if (rc < 0 || (rc > 0 && fresh == 0))
            return rc;
        if (rc == 0 && input->inside)
            return fail_truncated(input, unit, err);
        if (rc == 0 && input->raw_at == input->raw_len)
            return 0;
    }
}

int cm_input_read(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err)
{
    int rc = 1;

    *got = 0;
    if (input->failure.code == 0) {
        if (input->packing == UNKNOWN)
            rc = detect(input, &input->failure);
        if (rc >= 0 && input->packing == PLAIN)
            rc = read_plain(input, buffer, cap, got, &input->failure);
        else if (rc > 0 && input->packing != UNKNOWN)
            rc = read_packed(input, buffer, cap, got, &input->failure);
    }
    if (input->failure.code == 0)
        return rc;
    /* Bytes that were decompressed before the error are returned first. */
    if (*got > 0)
        return 1;
    if (err != NULL)
        *err = input->failure;
    return input->failure.code;
}

bool cm_input_is_plain(const cm_input_t *input)
{
    return input->packing == PLAIN;
}

bool cm_input_is_regular(const cm_input_t *input)
{
    return input->regular;
}

void cm_input_progress(const cm_input_t *input, uint64_t *done, uint64_t *total)
{
    *done = offset(input);
    *total = input->size;
}

void cm_input_close(cm_input_t *input)
{
    if (input == NULL)
        return;
    if (input->packing == GZIP)
        inflateEnd(&input->gzip);
    ZSTD_freeDStream(input->zstd);
    if (input->close_fd)
        close(input->fd);
    free(input->raw);
    free(input->path);
    free(input);
}
