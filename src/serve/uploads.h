/* Bodies that are not whole yet: how many an address may have, how many bytes of them are kept, and
 * how long one may take.
 *
 * Where an address has too many, or all together become too large, it is the one that has been
 * coming longest that is given up (of the address that has most, in the second case), once it has
 * had a second: a sender of many unfinished bodies takes the room from himself, and whoever sends
 * his at once always has some. libmicrohttpd cannot answer before a body is whole: such a
 * connection gets its answer from here (408 or 429; over TLS none) and is ended.
 *
 * Functions are for any thread, one at a time for each body. */
#ifndef CM_SERVE_UPLOADS_H
#define CM_SERVE_UPLOADS_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_uploads cm_uploads_t;

typedef struct cm_uploads_options {
    size_t max_bytes;   /* of all */
    size_t max_each;    /* of those of one address */
    int most;           /* unfinished bodies of one address */
    int64_t timeout_ms; /* from the end of the head to that of the body */
    bool tls;           /* nothing can be said without the library */
} cm_uploads_options_t;

/* A body that is coming; part of its request, which sets nothing of it. */
typedef struct cm_upload {
    struct cm_upload *before, *after;             /* of all, the longest-coming first */
    struct cm_upload *owner_before, *owner_after; /* of the address's, that have bytes */
    struct cm_upload_owner *owner;                /* NULL: it is not listed */
    int fd;
    int64_t since_ns;
    size_t bytes; /* that are counted */
    bool free;    /* of the limits of an address */
    bool whole;
    bool given_up;
} cm_upload_t;

typedef enum cm_upload_room {
    CM_UPLOAD_FITS,
    CM_UPLOAD_TOTAL_LIMIT,   /* all bodies together are too much */
    CM_UPLOAD_ADDRESS_LIMIT, /* the address has too many others */
} cm_upload_room_t;

/* Starts the thread that looks at the time. CM_EINTERNAL. */
int cm_uploads_start(const cm_uploads_options_t *options, cm_uploads_t **bodies, cm_err_t *err);

/* After the last body. NULL is allowed. */
void cm_uploads_stop(cm_uploads_t *bodies);

/* A head has come, and its body is to come on that socket, which stays open until the end below.
 * `free`: only the limits of all count. */
void cm_uploads_begin(cm_uploads_t *bodies, cm_upload_t *coming, cm_str_t address, int fd,
                      bool free);

/* A piece has come. `last`: it is known to be the last one. Without room nothing is counted. */
cm_upload_room_t cm_uploads_add(cm_uploads_t *bodies, cm_upload_t *coming, size_t len, bool last);

/* It is whole; its bytes still count. False: it has been given up, and its connection with it. */
bool cm_uploads_complete(cm_uploads_t *bodies, cm_upload_t *coming);

/* It is over, whole or not. One that is whole may have moved. */
void cm_uploads_end(cm_uploads_t *bodies, cm_upload_t *coming);

#endif
