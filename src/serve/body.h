/* The body of a request while it is received, and when it is unpacked. The struct belongs to its
 * request. One thread at a time. */
#ifndef CM_SERVE_BODY_H
#define CM_SERVE_BODY_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_body {
    cm_buf_t bytes;
    size_t max;     /* bytes that are allowed */
    size_t came;    /* bytes received, whether kept or not */
    bool too_large; /* more than `max` were received, and the rest was not kept */
} cm_body_t;

/* Appends received bytes, unless that makes too many. */
void cm_body_add(cm_body_t *body, const void *data, size_t len);

/* Makes `padding` bytes after the body readable, and unpacks gzip (RFC 1952, several members too)
 * into other memory. CM_EREJECT when the gzip data is not complete; `too_large` is set when more
 * than `max` bytes are unpacked. */
int cm_body_end(cm_body_t *body, bool gzip, size_t padding, cm_err_t *err);

void cm_body_free(cm_body_t *body);

#endif
