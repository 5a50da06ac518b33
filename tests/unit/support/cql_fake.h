/* A scripted Cassandra cluster for the tests of the client: up to FAKE_NODES nodes on loopback
 * sockets, in the test's own thread, pumped by hand, with every fault that a test sets.
 *
 * It uses the client's own encoder and decoder for the framing; it writes the messages byte by byte
 * as the specification says, so that the client's parser is not tested against itself. */
#ifndef CM_TESTS_UNIT_CQL_FAKE_H
#define CM_TESTS_UNIT_CQL_FAKE_H

#include "cql/frame.h"
#include "cql/wire.h"
#include "support.h"

#include <openssl/ssl.h>

enum { FAKE_NODES = 4, FAKE_CONNS = 16, FAKE_STATEMENTS = 8, FAKE_ROWS = 20000 };
enum { FAKE_VALUES = 24 }; /* of a row: those that are read */

/* What happens to the next request of the user (QUERY of a table that is not a system table,
 * EXECUTE, BATCH). */
typedef enum fault {
    NO_FAULT,
    CUT,          /* half of the answer, then the connection is closed */
    CLOSE,        /* the connection is closed */
    WRONG_CRC,    /* a bit of the answer is changed */
    WRONG_HEADER, /* a bit of its frame header is changed */
    GARBAGE,      /* bytes of another protocol */
    DONE_UNHEARD, /* the request is executed, and the connection is closed without an answer */
    SILENCE,      /* no answer */
    MALFORMED,    /* a whole frame with an invalid body */
    WRONG_STREAM, /* an answer on another stream */
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
    bool present;  /* a member of the cluster: the other nodes report it */
    bool alive;    /* listens */
    bool hangs_up; /* closes every connection at once */
    bool frozen;   /* stopped as by SIGSTOP: what is sent to it waits in its sockets */
    const char *dc, *rack;
    int64_t tokens[8];
    int token_count;
    cql_fake_conn_t conns[FAKE_CONNS];
    char prepared[FAKE_STATEMENTS][500];
    int prepared_count;
    fault_t fault;
    int32_t fault_code;
    int fault_count;                       /* the number of requests that it lasts; -1: no limit */
    int skip;                              /* requests before it begins */
    int requests, rows, batches, prepares; /* served */
};

struct cql_fake {
    cql_fake_node_t nodes[FAKE_NODES];
    int count;
    int max_version; /* of the protocol */
    bool no_peers_v2;
    const char *username, *password; /* NULL: no log-in */
    int roles_away;                  /* log-ins for which the roles cannot be read */
    bool ready_for_prepare;          /* PREPARE is answered with READY, which is wrong */
    bool no_lz4;
    size_t chunk;                  /* bytes written to each connection in a round; 0: all */
    const char *replication[6];    /* of the keyspace ks: keys and values */
    int page_rows;                 /* rows in a page of SELECT ... FROM ks.many */
    int many;                      /* rows of ks.many */
    const char *poison;            /* a row with this key is invalid */
    unsigned char seen[FAKE_ROWS]; /* by number of key: how often it was written */
    SSL_CTX *tls;
    /* Called for every row that is written, with at least the first FAKE_VALUES values of its
     * statement. May be NULL. */
    void (*wrote)(void *context, const cm_str_t *values, int count);
    void *wrote_context;
    /* Answers a query, or a SELECT that is executed with `first` as its first value; false: the
     * cluster answers. May be NULL. */
    bool (*answer)(cql_fake_conn_t *c, int stream, const char *text, cm_str_t first);
    struct {
        /* The next `count` statements that contain `match`, as QUERY or PREPARE, are answered with
         * this error. */
        const char *match;
        int32_t code;
        const char *text;
        int count, done;
    } refuse;
    int moved; /* bytes in this pump */
    int accepted;
    char last_id_metadata[40];
};

/* ---- the cluster ---- */

void cql_fake_accept(cql_fake_node_t *node);

/* Serves all connections once; returns the number of bytes moved. */
int cql_fake_pump(cql_fake_t *fake);

/* Opens the port of a node; a node that returns keeps its port. */
void cql_fake_start(cql_fake_node_t *node);

/* Stops the node like a process that is killed; it forgets its prepared statements. */
void cql_fake_stop(cql_fake_node_t *node);

void cql_fake_open(cql_fake_t *fake, int count);

void cql_fake_shut(cql_fake_t *fake);

/* Sends an event to every connection that has registered (v4 4.2.6). */
void cql_fake_event(cql_fake_t *fake, const char *type, const char *change,
                    const cql_fake_node_t *about);

/* ---- for tests that write answers themselves ---- */

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

/* ---- between cql_answers.c and cql_fake.c ---- */

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
