/* The body of a request as it comes in, and unpacked. One thread at a time. */
#ifndef CM_SERVE_BODY_H
#define CM_SERVE_BODY_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_body {
    cm_buf_t bytes;
    size_t max;     /* bytes that may come */
    size_t came;    /* kept or not */
    bool too_large; /* more have come, and were not kept */
} cm_body_t;

/* Keeps the bytes unless they are too many. */
void cm_body_add(cm_body_t *body, const void *data, size_t len);

/* Makes `padding` bytes behind the body readable, and unpacks gzip (RFC 1952, several members too)
 * into other memory. CM_EREJECT when it is not whole gzip; `too_large` is set where it unpacks to
 * more than may come. */
int cm_body_end(cm_body_t *body, bool gzip, size_t padding, cm_err_t *err);

void cm_body_free(cm_body_t *body);

#endif
