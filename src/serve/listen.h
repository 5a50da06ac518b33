/* A listening TCP socket from the text that a user gives to --listen. */
#ifndef CM_SERVE_LISTEN_H
#define CM_SERVE_LISTEN_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CM_LISTEN_TEXT = 64 };

typedef struct cm_listen {
    int fd;                       /* owned by the caller */
    uint16_t port;                /* the one that was bound, also when 0 was asked for */
    char address[CM_LISTEN_TEXT]; /* "127.0.0.1:8080", "[::1]:8080": as it stands in a URL */
    bool loopback;                /* only this machine can reach it */
} cm_listen_t;

/* Binds "ADDRESS:PORT", the address numeric (IPv6 in brackets) or "localhost", and listens;
 * "PORT" and ":PORT" are of 127.0.0.1.
 * CM_EUSAGE: not such a text, or no address of this machine. CM_EBUSY: the port is in use. CM_EIO:
 * no permission and the like. */
int cm_listen_open(const char *text, cm_listen_t *out, cm_err_t *err);

#endif
