/* Uploads: request bodies that are not complete yet. Limits how many an address may have, how many
 * bytes of them are kept, and how long one may take.
 *
 * When an address has too many uploads, or all uploads together are too large, the oldest one is
 * given up (in the second case that of the address with the most bytes), if it is older than a
 * second. So a client with many unfinished bodies takes room only from itself, and a client that
 * sends its body at once always finds room. libmicrohttpd cannot answer before a body is complete,
 * so the answer is sent from here (408 or 429; over TLS there is none), and the connection is
 * ended.
 *
 * Functions are for any thread, one thread at a time for each upload. */
#ifndef CM_SERVE_UPLOADS_H
#define CM_SERVE_UPLOADS_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_uploads cm_uploads_t;

typedef struct cm_uploads_options {
    size_t max_bytes;   /* of all uploads */
    size_t max_each;    /* of the uploads of one address */
    int most;           /* uploads of one address */
    int64_t timeout_ms; /* from the end of the head to the end of the body */
    bool tls;           /* no answer can be sent without the library */
} cm_uploads_options_t;

/* An upload; a member of its request, which does not write to it. */
typedef struct cm_upload {
    struct cm_upload *before, *after;             /* of all, the oldest first */
    struct cm_upload *owner_before, *owner_after; /* of those of the address that have bytes */
    struct cm_upload_owner *owner;                /* NULL: it is in no list */
    int fd;
    int64_t since_ns;
    size_t bytes; /* that are counted */
    bool free;    /* the limits of an address do not apply */
    bool complete;
    bool given_up;
} cm_upload_t;

/* Whether there is room for a piece of an upload. */
typedef enum cm_upload_room {
    CM_UPLOAD_FITS,
    CM_UPLOAD_TOTAL_LIMIT,   /* all uploads together are too large */
    CM_UPLOAD_ADDRESS_LIMIT, /* the address has too many other ones */
} cm_upload_room_t;

/* Starts the thread that checks the times. CM_EINTERNAL. */
int cm_uploads_start(const cm_uploads_options_t *options, cm_uploads_t **uploads, cm_err_t *err);

/* After the last upload. NULL is allowed. */
void cm_uploads_stop(cm_uploads_t *uploads);

/* Begins an upload when the head of its request has arrived. `fd` is the socket of the connection,
 * which stays open until cm_uploads_end(). `free`: only the limits of all uploads apply. */
void cm_uploads_begin(cm_uploads_t *uploads, cm_upload_t *upload, cm_str_t address, int fd,
                      bool free);

/* Counts a piece that has arrived, if there is room for it. `last`: it is known to be the last. */
cm_upload_room_t cm_uploads_add(cm_uploads_t *uploads, cm_upload_t *upload, size_t len, bool last);

/* Marks the upload as complete; its bytes still count. False: the upload and its connection were
 * given up. */
bool cm_uploads_complete(cm_uploads_t *uploads, cm_upload_t *upload);

/* Ends an upload, complete or not. A complete one may be in another place of memory than before. */
void cm_uploads_end(cm_uploads_t *uploads, cm_upload_t *upload);

#endif
