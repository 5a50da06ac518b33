#include "serve/body.h"

#include <zlib.h>

enum { STEP = 16 * 1024 };

void cm_body_add(cm_body_t *body, const void *data, size_t len)
{
    body->came += len;
    if (body->came > body->max)
        body->too_large = true;
    else
        cm_buf_add(&body->bytes, data, len);
}

static int unpack(cm_body_t *body, cm_buf_t *out, cm_err_t *err)
{
    z_stream stream = {.next_in = (Bytef *)body->bytes.data, .avail_in = (uInt)body->bytes.len};
    int state = Z_OK;

    if (inflateInit2(&stream, 15 + 16) != Z_OK)
        return cm_fail_memory(err);
    while (!body->too_large && (state == Z_OK || (state == Z_STREAM_END && stream.avail_in > 0))) {
        if (state == Z_STREAM_END)
            inflateReset(&stream);
        cm_buf_reserve(out, STEP);
        stream.next_out = (Bytef *)out->data + out->len;
        stream.avail_out = STEP;
        state = inflate(&stream, Z_NO_FLUSH);
        out->len += STEP - stream.avail_out;
        body->too_large = out->len > body->max;
    }
    inflateEnd(&stream);
    if (body->too_large || state == Z_STREAM_END)
        return 0;
    return cm_fail(err, CM_EREJECT,
                   "Content-Encoding is gzip, but the body is not complete gzip data");
}

int cm_body_end(cm_body_t *body, bool gzip, size_t padding, cm_err_t *err)
{
    cm_buf_t out = CM_BUF_INIT;
    int rc = 0;

    if (gzip && !body->too_large) {
        rc = unpack(body, &out, err);
        cm_buf_free(&body->bytes);
        body->bytes = out;
    }
    cm_buf_reserve(&body->bytes, padding);
    return rc;
}

void cm_body_free(cm_body_t *body)
{
    cm_buf_free(&body->bytes);
}
