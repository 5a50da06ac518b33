/* A listening TCP socket, from the text of --listen. The caller owns the socket; for any thread. */
#ifndef CM_SERVE_LISTEN_H
#define CM_SERVE_LISTEN_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CM_LISTEN_TEXT = 64 };

typedef struct cm_listen {
    int fd;                       /* owned by the caller */
    uint16_t port;                /* the port that was bound, also where 0 was given */
    char address[CM_LISTEN_TEXT]; /* "127.0.0.1:8080", "[::1]:8080": as it stands in a URL */
    bool loopback;                /* only this machine can connect */
} cm_listen_t;

/* Binds "ADDRESS:PORT", the address numeric (IPv6 in brackets) or "localhost", and listens;
 * "PORT" and ":PORT" mean 127.0.0.1.
 * CM_EUSAGE: another text, or not an address of this machine. CM_EBUSY: the port is in use. CM_EIO:
 * no permission, or another error of the system. */
int cm_listen_open(const char *text, cm_listen_t *out, cm_err_t *err);

#endif
