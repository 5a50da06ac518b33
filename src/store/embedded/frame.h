/* Frames between a process that writes events and the process that holds the data directory, over
 * its local socket.
 *
 * A frame is its length after the head (4 bytes), its kind (1 byte), and that many bytes; numbers
 * have the byte order of this machine. The writer begins with HELLO. Batches are not answered; a
 * commit is, when all batches before it are durable. FAIL may come at any time and ends the
 * connection. The functions keep nothing, and any thread may call them. */
#ifndef CM_STORE_EMBEDDED_FRAME_H
#define CM_STORE_EMBEDDED_FRAME_H

#include "event/batch.h"

#include <stdbool.h>

enum { CM_FRAME_VERSION = 2, CM_FRAME_HEAD = 5, CM_FRAME_MAX = 1 << 29 };

#define CM_FRAME_SOCKET "clickmill.sock"

typedef enum cm_frame_kind {
    CM_FRAME_HELLO = 1, /* version */
    CM_FRAME_POSITION,  /* name of a source; the holder commits, and then answers AT */
    CM_FRAME_BATCH,     /* see cm_frame_add_batch() */
    CM_FRAME_COMMIT,    /* answered by DONE */
    CM_FRAME_WELCOME,   /* what cm_frame_welcome_t has */
    CM_FRAME_AT,        /* the position, 8 bytes */
    CM_FRAME_DONE,
    CM_FRAME_FAIL,  /* code, 4 bytes, and the sentence */
    CM_FRAME_OLDER, /* the user was told what older row keys mean; is not answered */
    CM_FRAME_SITE,  /* a host of the site, see cm_store_add_site(); is not answered */
} cm_frame_kind_t;

/* Of the data directory, as its holder knows it. */
typedef struct cm_frame_welcome {
    uint32_t version;
    uint8_t answers;    /* 1: the holder keeps them up to date */
    uint8_t older_keys; /* 1: see cm_store_older_keys() */
    uint8_t older_told; /* 1: the user was told what that means */
    uint8_t unused;
    uint8_t secret[32]; /* the visitors' key */
} cm_frame_welcome_t;

/* A frame as it came: `body` points into the bytes that were received. */
typedef struct cm_frame {
    cm_frame_kind_t kind;
    cm_str_t body;
} cm_frame_t;

/* Appends a whole frame. */
void cm_frame_add(cm_buf_t *buf, cm_frame_kind_t kind, const void *body, size_t len);
void cm_frame_add_batch(cm_buf_t *buf, const cm_batch_t *batch);
void cm_frame_add_fail(cm_buf_t *buf, int code, const char *text);

/* The length of the frame that the bytes begin with, head included; 0 when its head is not whole,
 * -1 when this is no frame. */
int64_t cm_frame_length(cm_str_t bytes);

/* The frame, which is whole. */
cm_frame_t cm_frame_of(cm_str_t bytes);

/* Adds the batch's events, dead letters and positions to `batch`; its events point into the body.
 * False when it is no batch: `batch` is then to be cleared. */
bool cm_frame_read_batch(cm_str_t body, cm_batch_t *batch);

/* Connects to, or listens at (`listening`), the socket of a data directory, whose path may be
 * longer than the system's addresses are. A socket, or -1 with errno. */
int cm_frame_socket(const char *data_dir, bool listening);

#endif
