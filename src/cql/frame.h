/* Frames: the byte stream of a connection is cut into messages, and messages become a byte stream.
 *
 * Protocol v4 (section 2) sends each message after a header of 9 bytes; its body may be compressed.
 * From v5 on (section 2) the same messages, never compressed themselves, are packed into frames
 * with their own checksums and compression, here called segments: several small messages in one, or
 * a large one in several. Segments begin after the answer to STARTUP (v5 2.3.1).
 *
 * Both structs own their buffers and belong to one connection. A decoded message borrows the
 * decoder's memory until the next call on it. One thread for each. */
#ifndef CM_CQL_FRAME_H
#define CM_CQL_FRAME_H

#include "cql/memory.h"

enum {
    CM_CQL_HEADER = 9,
    CM_CQL_SEGMENT_MAX = 128 * 1024 - 1, /* payload: 17 bits of length */
};

enum cm_cql_flag {
    CM_CQL_FLAG_COMPRESSED = 0x01,
    CM_CQL_FLAG_TRACING = 0x02,
    CM_CQL_FLAG_PAYLOAD = 0x04,
    CM_CQL_FLAG_WARNING = 0x08,
};

enum cm_cql_opcode {
    CM_CQL_OP_ERROR = 0x00,
    CM_CQL_OP_STARTUP = 0x01,
    CM_CQL_OP_READY = 0x02,
    CM_CQL_OP_AUTHENTICATE = 0x03,
    CM_CQL_OP_OPTIONS = 0x05,
    CM_CQL_OP_SUPPORTED = 0x06,
    CM_CQL_OP_QUERY = 0x07,
    CM_CQL_OP_RESULT = 0x08,
    CM_CQL_OP_PREPARE = 0x09,
    CM_CQL_OP_EXECUTE = 0x0A,
    CM_CQL_OP_REGISTER = 0x0B,
    CM_CQL_OP_EVENT = 0x0C,
    CM_CQL_OP_BATCH = 0x0D,
    CM_CQL_OP_AUTH_CHALLENGE = 0x0E,
    CM_CQL_OP_AUTH_RESPONSE = 0x0F,
    CM_CQL_OP_AUTH_SUCCESS = 0x10,
};

typedef struct cm_cql_frame {
    int version; /* without the direction bit */
    bool response;
    int flags, stream, opcode;
    cm_str_t body;
} cm_cql_frame_t;

typedef struct cm_cql_decoder {
    cm_buf_t in; /* bytes as they came; those before `at` are done with */
    size_t at;
    bool segments;    /* v5 after the handshake */
    bool lz4;         /* agreed on in STARTUP */
    size_t max_frame; /* limit of the body of a message */
    cm_buf_t plain;   /* a decompressed body or payload */
    cm_buf_t parts;   /* a message that comes in several segments */
    bool parts_used;  /* the caller has got `parts` */
    cm_str_t payload; /* the rest of a segment with several messages */
} cm_cql_decoder_t;

/* Room for at least `want` more bytes, NULL when there is no memory; cm_cql_decoder_took() says how
 * many were put there. */
char *cm_cql_decoder_room(cm_cql_decoder_t *d, size_t want);
void cm_cql_decoder_took(cm_cql_decoder_t *d, size_t len);

/* The next message. Returns 1, 0 when more bytes are needed, or CM_ECORRUPT or CM_ENOMEM: then the
 * stream cannot be read any further. */
int cm_cql_decoder_next(cm_cql_decoder_t *d, cm_cql_frame_t *frame, cm_err_t *err);

void cm_cql_decoder_free(cm_cql_decoder_t *d);

typedef struct cm_cql_encoder {
    int version;
    bool segments, lz4;
    bool response; /* of a server: for tests */
    cm_buf_t out;  /* bytes to send; those before `at` are sent */
    size_t at;
    cm_buf_t plain; /* messages that wait to be packed into segments */
    cm_buf_t scratch;
    size_t begun; /* where the message that is being written begins in its buffer */
} cm_cql_encoder_t;

/* Begins a message; its body is to be appended to the returned buffer, which has room for `size`
 * bytes. NULL, and nothing is begun, when there is no memory. */
cm_buf_t *cm_cql_encoder_begin(cm_cql_encoder_t *e, int stream, int opcode, size_t size);

/* Ends the message. Compresses it where that is agreed on, unless there is no memory for it. */
void cm_cql_encoder_end(cm_cql_encoder_t *e);

/* Moves what was written so far into `out`. False when there is no memory: then the connection must
 * be closed, since a part may have been moved. */
bool cm_cql_encoder_pack(cm_cql_encoder_t *e);

/* Drops the bytes before `*at`, which are sent, when all bytes are, or when they are many and more
 * than half: on a slow line a buffer is never quite empty. */
void cm_cql_drop_sent(cm_buf_t *out, size_t *at);

/* Bytes that are written and not sent yet, packed or not. */
static inline size_t cm_cql_encoder_pending(const cm_cql_encoder_t *e)
{
    return e->out.len - e->at + e->plain.len;
}

void cm_cql_encoder_free(cm_cql_encoder_t *e);

#endif
