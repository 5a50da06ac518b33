/* A scripted Cassandra cluster for the tests of the client: up to FAKE_NODES nodes on loopback
 * sockets, in the test's own thread, pumped by hand, with every fault that a test asks for.
 *
 * It uses the client's own encoder and decoder for the framing; the messages it writes byte by byte
 * after the specification, so that the client's parser is not tested against itself. */
#ifndef CM_TESTS_UNIT_CQL_FAKE_H
#define CM_TESTS_UNIT_CQL_FAKE_H

#include "cql/frame.h"
#include "cql/wire.h"
#include "support.h"

#include <openssl/ssl.h>

enum { FAKE_NODES = 4, FAKE_CONNS = 16, FAKE_STATEMENTS = 8, FAKE_ROWS = 20000 };
enum { FAKE_VALUES = 12 }; /* of a row: those that are looked at */

/* What the next request of a user's (QUERY of no system table, EXECUTE, BATCH) meets. */
typedef enum fault {
    NO_FAULT,
    CUT,          /* half of the answer, then the connection is closed */
    CLOSE,        /* the connection is closed */
    WRONG_CRC,    /* a bit of the answer is another on the wire */
    WRONG_HEADER, /* a bit of its frame header */
    GARBAGE,      /* bytes of something else */
    DONE_UNHEARD, /* it does what is asked, and the connection is closed without an answer */
    SILENCE,      /* no answer */
    MALFORMED,    /* a whole frame with a body that makes no sense */
    WRONG_STREAM, /* an answer to something else */
    SERVER_SAYS,  /* an ERROR with the code fault_code */
    FORGET,       /* the node has been restarted: UNPREPARED */
} fault_t;

typedef struct cql_fake cql_fake_t;
typedef struct cql_fake_node cql_fake_node_t;

typedef struct cql_fake_conn {
    cql_fake_node_t *node;
    int fd, version, registered;
    bool lz4, started;
    SSL *ssl;
    bool shaken;
    cm_cql_decoder_t decoder;
    cm_cql_encoder_t encoder;
} cql_fake_conn_t;

struct cql_fake_node {
    cql_fake_t *fake;
    int index, listener, port;
    char address[16];
    bool present;  /* a member of the cluster: others name it */
    bool alive;    /* listens */
    bool hangs_up; /* closes every connection at once */
    bool frozen;   /* stopped as by SIGSTOP: what is sent to it waits in its sockets */
    const char *dc, *rack;
    int64_t tokens[8];
    int token_count;
    cql_fake_conn_t conns[FAKE_CONNS];
    char prepared[FAKE_STATEMENTS][300];
    int prepared_count;
    fault_t fault;
    int32_t fault_code;
    int fault_count;                       /* how many requests it lasts; -1: for ever */
    int skip;                              /* requests before it begins */
    int requests, rows, batches, prepares; /* served */
};

struct cql_fake {
    cql_fake_node_t nodes[FAKE_NODES];
    int count;
    int max_version; /* of the protocol */
    bool no_peers_v2;
    const char *username, *password; /* NULL: no log-in */
    int roles_away;                  /* log-ins that nobody can judge */
    bool ready_for_prepare;          /* PREPARE is answered with READY, which makes no sense */
    bool no_lz4;
    size_t chunk;                  /* bytes written at once to each connection; 0: all */
    const char *replication[6];    /* of the keyspace ks: keys and values */
    int page_rows;                 /* rows in a page of SELECT ... FROM ks.many */
    int many;                      /* rows there */
    const char *poison;            /* a row with this key is invalid */
    unsigned char seen[FAKE_ROWS]; /* by number of key: how often it was written */
    SSL_CTX *tls;
    /* Is told of every row that is written, with the values of its statement, of the first
     * FAKE_VALUES at least. NULL: nobody is. */
    void (*wrote)(void *context, const cm_str_t *values, int count);
    void *wrote_context;
    /* Answers a query, or a SELECT that is executed with `first` as its first value; false: leaves
     * it to us. NULL: none. */
    bool (*answer)(cql_fake_conn_t *c, int stream, const char *text, cm_str_t first);
    struct {
        const char *match; /* the next `count` statements with these words, as QUERY or PREPARE, */
        int32_t code;      /* are answered with this error */
        const char *text;
        int count, done;
    } refuse;
    int moved; /* bytes in this pump */
    int accepted;
    char last_id_metadata[40];
};

/* ---- the cluster ---- */

void cql_fake_accept(cql_fake_node_t *node);

/* Serves whatever there is; returns how much moved. */
int cql_fake_pump(cql_fake_t *fake);

/* Opens a node's port; a node that comes back keeps its port. */
void cql_fake_start(cql_fake_node_t *node);

/* The node is gone like a process that was killed; it forgets what it had prepared. */
void cql_fake_stop(cql_fake_node_t *node);

void cql_fake_open(cql_fake_t *fake, int count);

void cql_fake_shut(cql_fake_t *fake);

/* An event to every connection that has registered (v4 4.2.6). */
void cql_fake_event(cql_fake_t *fake, const char *type, const char *change,
                    const cql_fake_node_t *about);

/* ---- answers, for tests with some of their own ---- */

void cql_put_text(cm_buf_t *buf, const char *text);

void cql_put_cell_text(cm_buf_t *buf, const char *text);

void cql_put_cell(cm_buf_t *buf, const void *data, size_t len);

/* Metadata of rows: "name:type" separated by blanks, type in hexadecimal. */
void cql_put_metadata(cm_buf_t *buf, const char *columns, const char *paging_state);

cm_buf_t *cql_fake_begin(cql_fake_conn_t *c, int stream, int opcode);

void cql_fake_end(cql_fake_conn_t *c);

void cql_fake_void(cql_fake_conn_t *c, int stream);

/* An ERROR with the fields that belong to its code (v4 section 9). */
void cql_fake_error(cql_fake_conn_t *c, int stream, int32_t code, const char *text, cm_str_t id);

/* ---- answers of the cluster itself: between its two files ---- */

void cql_answer_startup(cql_fake_conn_t *c, const cm_cql_frame_t *frame);

void cql_answer_auth(cql_fake_conn_t *c, const cm_cql_frame_t *frame);

void cql_answer_local(cql_fake_conn_t *c, int stream);

void cql_answer_peers(cql_fake_conn_t *c, int stream, bool v2);

void cql_answer_keyspaces(cql_fake_conn_t *c, int stream);

void cql_answer_columns(cql_fake_conn_t *c, int stream);

/* Rows of ks.many: their numbers as text and as bigint; `from` to `until`, a page at a time. */
void cql_answer_many(cql_fake_conn_t *c, int stream, int from, int until);

/* Whether the test wants the statement refused. */
bool cql_answer_refused(cql_fake_conn_t *c, int stream, cm_str_t text);

void cql_answer_prepare(cql_fake_conn_t *c, const cm_cql_frame_t *frame);

void cql_answer_execute(cql_fake_conn_t *c, const cm_cql_frame_t *frame);

void cql_answer_batch(cql_fake_conn_t *c, const cm_cql_frame_t *frame);

void cql_fake_close(cql_fake_conn_t *c);

#endif
