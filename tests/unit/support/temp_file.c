#include "temp_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

char temp_dir[64];

int temp_setup(void **state)
{
    (void)state;
    snprintf(temp_dir, sizeof temp_dir, "/tmp/clickmill-test-XXXXXX");
    return mkdtemp(temp_dir) == NULL;
}

int temp_teardown(void **state)
{
    char path[512];
    DIR *dir = opendir(temp_dir);

    (void)state;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", temp_dir, entry->d_name);
        unlink(path);
    }
    closedir(dir);
    return rmdir(temp_dir);
}

const char *temp_path(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", temp_dir, name);
    return path;
}

const char *temp_write(const char *name, const void *data, size_t len)
{
    const char *path = temp_path(name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(len, fwrite(data, 1, len, out));
    assert_int_equal(0, fclose(out));
    return path;
}

const char *temp_write_text(const char *name, const char *text)
{
    return temp_write(name, text, strlen(text));
}

void temp_assert_text(const char *expected, const char *got)
{
    cm_buf_t want = CM_BUF_INIT;

    cm_buf_add_text(&want, "");
    for (; *expected != '\0'; expected++) {
        if (*expected == '@')
            cm_buf_add_text(&want, temp_dir);
        else
            cm_buf_add_char(&want, *expected);
    }
    assert_string_equal(want.data, got);
    cm_buf_free(&want);
}

void add_gzip(cm_buf_t *buf, cm_str_t text)
{
    z_stream z = {0};
    assert_int_equal(Z_OK, deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY));
    size_t bound = deflateBound(&z, text.len);
    cm_buf_reserve(buf, bound);
    z.next_in = (unsigned char *)text.data;
    z.avail_in = (unsigned)text.len;
    z.next_out = (unsigned char *)buf->data + buf->len;
    z.avail_out = (unsigned)bound;
    assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
    buf->len += z.total_out;
    deflateEnd(&z);
}

void add_zstd(cm_buf_t *buf, cm_str_t text)
{
    size_t bound = ZSTD_compressBound(text.len);
    cm_buf_reserve(buf, bound);
    size_t len = ZSTD_compress(buf->data + buf->len, bound, text.data, text.len, 3);
    assert_false(ZSTD_isError(len));
    buf->len += len;
}
