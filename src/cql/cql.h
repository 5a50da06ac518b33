/* A client of Apache Cassandra's native protocol, versions 4 and 5.
 *
 * One session (cm_cql_t) serves any number of requests at once over a few connections to each node.
 * It does not block and has no thread of its own: it works inside cm_cql_run(). The caller calls
 * that in a loop, or whenever cm_cql_fd() is readable or cm_cql_wait_ms() has passed. Answers come
 * as callbacks, on the caller's thread, from within cm_cql_run() or cm_cql_close().
 *
 * Ownership: the session owns its prepared statements, its nodes and its connections. The arguments
 * of a callback (results, cells, errors) are borrowed and live until the callback returns. The
 * arguments of a function (texts, values) are copied before it returns, unless a comment says
 * otherwise.
 *
 * Threads: a session and all that belongs to it is used by one thread at a time; different sessions
 * are independent of each other.
 *
 * A callback may call every function except cm_cql_run(), cm_cql_close() and the functions that
 * wait (cm_cql_connect(), cm_cql_query_wait(), cm_cql_prepare_wait()): those return CM_EUSAGE.
 *
 * Memory: without memory the functions return CM_ENOMEM and requests end with CM_CQL_MEMORY; the
 * client never ends the program. Requests that may be sent again and writers try again, and
 * `no_memory` of cm_cql_stats() counts it: so a program can end instead.
 *
 * docs/cql.md describes the client and has an example. In the comments "v4 4.1.4" is a section of
 * Cassandra's doc/native_protocol_v4.spec, "v5" of native_protocol_v5.spec. */
#ifndef CM_CQL_CQL_H
#define CM_CQL_CQL_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

typedef struct cm_cql cm_cql_t;
typedef struct cm_cql_prepared cm_cql_prepared_t;
typedef struct cm_cql_writer cm_cql_writer_t;
typedef struct cm_cql_scan cm_cql_scan_t;

/* ---- errors ---- */

/* The kinds of failure of a request. */
typedef enum cm_cql_code {
    CM_CQL_OK = 0,
    CM_CQL_SERVER,   /* the server answered with an error: see server_code */
    CM_CQL_TIMEOUT,  /* no answer in time; a write may have happened nevertheless */
    CM_CQL_LOST,     /* the connection broke before the answer; a write may have happened */
    CM_CQL_NO_NODE,  /* no node could be reached in time; nothing happened */
    CM_CQL_PROTOCOL, /* the server sent bytes that violate the protocol */
    CM_CQL_AUTH,     /* user name or password refused, or required and not given */
    CM_CQL_TLS, /* no trusted TLS connection: certificate, host name, or the server has no TLS */
    CM_CQL_CANCELLED, /* the session was closed, or the scan stopped by its caller */
    CM_CQL_INVALID,   /* the request cannot be sent as it is */
    CM_CQL_MEMORY,    /* the client is out of memory; a write may have happened */
} cm_cql_code_t;

/* The server's error codes (v4 section 9, v5 section 8). */
enum cm_cql_server_code {
    CM_CQL_SERVER_ERROR = 0x0000,
    CM_CQL_PROTOCOL_ERROR = 0x000A,
    CM_CQL_BAD_CREDENTIALS = 0x0100,
    CM_CQL_UNAVAILABLE = 0x1000,
    CM_CQL_OVERLOADED = 0x1001,
    CM_CQL_IS_BOOTSTRAPPING = 0x1002,
    CM_CQL_TRUNCATE_ERROR = 0x1003,
    CM_CQL_WRITE_TIMEOUT = 0x1100,
    CM_CQL_READ_TIMEOUT = 0x1200,
    CM_CQL_READ_FAILURE = 0x1300,
    CM_CQL_FUNCTION_FAILURE = 0x1400,
    CM_CQL_WRITE_FAILURE = 0x1500,
    CM_CQL_CDC_WRITE_FAILURE = 0x1600,
    CM_CQL_CAS_WRITE_UNKNOWN = 0x1700,
    CM_CQL_SYNTAX_ERROR = 0x2000,
    CM_CQL_UNAUTHORIZED = 0x2100,
    CM_CQL_INVALID_QUERY = 0x2200,
    CM_CQL_CONFIG_ERROR = 0x2300,
    CM_CQL_ALREADY_EXISTS = 0x2400,
    CM_CQL_UNPREPARED = 0x2500,
};

typedef struct cm_cql_error {
    cm_cql_code_t code;
    int32_t server_code; /* with CM_CQL_SERVER (and CM_CQL_AUTH where known), else -1 */
    int consistency;     /* of unavailable, time-out and failure errors, else -1 */
    int received;        /* answers; of unavailable errors the replicas that are alive; else -1 */
    int required;        /* answers that the consistency level needs, else -1 */
    char node[64];       /* "address:port", empty where no node was involved */
    char text[512];      /* one sentence, which contains the server's own text */
} cm_cql_error_t;

/* "server", "timeout", ...: for logs. */
const char *cm_cql_code_name(cm_cql_code_t code);

/* "overloaded", "write_timeout", ...; "unknown" for a code that is not in the list. */
const char *cm_cql_server_code_name(int32_t server_code);

/* Converts the error into a cm_err_t: CM_EUSAGE for credentials, TLS and what the server calls
 * invalid; CM_ECORRUPT for a violated protocol; CM_ESTOP for cancelled; CM_ENOMEM for no memory;
 * CM_EIO for all others. Returns that code, 0 for no error (`error` NULL). */
int cm_cql_error_to_err(const cm_cql_error_t *error, cm_err_t *err);

/* Whether the same request may succeed later or on another node (after overload, time-outs,
 * unavailable replicas, lost connections). False: it will always fail. */
bool cm_cql_error_is_passing(const cm_cql_error_t *error);

/* ---- options ---- */

/* Consistency levels (v4 section 3). In a request CM_CQL_DEFAULT means that of the session. */
typedef enum cm_cql_consistency {
    CM_CQL_DEFAULT = 0, /* in options: LOCAL_QUORUM */
    CM_CQL_ANY = 0x100,
    CM_CQL_ONE,
    CM_CQL_TWO,
    CM_CQL_THREE,
    CM_CQL_QUORUM,
    CM_CQL_ALL,
    CM_CQL_LOCAL_QUORUM,
    CM_CQL_EACH_QUORUM,
    CM_CQL_SERIAL,
    CM_CQL_LOCAL_SERIAL,
    CM_CQL_LOCAL_ONE,
} cm_cql_consistency_t;

/* Reads "ONE", "local_quorum", ...; false on anything else. */
bool cm_cql_consistency_parse(cm_str_t text, cm_cql_consistency_t *consistency);

/* "LOCAL_QUORUM", ... */
const char *cm_cql_consistency_name(cm_cql_consistency_t consistency);

typedef enum cm_cql_compression {
    CM_CQL_UNCOMPRESSED = 0,
    CM_CQL_LZ4, /* if the server offers it; else uncompressed, with a warning in the log */
} cm_cql_compression_t;

/* TLS by OpenSSL, version 1.2 or newer. Files are PEM. */
typedef struct cm_cql_tls {
    bool enabled;
    const char *ca_file;   /* trusted certificates; NULL: those of the system */
    const char *cert_file; /* the client's own certificate and chain; NULL: none */
    const char *key_file;  /* its key; NULL: in cert_file */
    const char *host_name; /* name that every node's certificate must have; NULL: for a contact
                            * point the name as given, for other nodes their address */
    bool insecure;         /* accepts every certificate and every name: encrypts, checks nothing */
} cm_cql_tls_t;

/* Zero and NULL mean the default, so set only what differs. The texts are copied. */
typedef struct cm_cql_options {
    const char *contact_points; /* "host[:port],[v6]:port,..."; default "127.0.0.1" */
    int port;                   /* of contact points without one, and of nodes found by
                                 * system.peers; default 9042 */
    const char *local_dc; /* default: the data centre of the contact point that answers first */
    bool local_only;      /* never sends a request to another data centre */
    const char *username; /* SASL PLAIN; NULL: no credentials */
    const char *password;
    cm_cql_tls_t tls;
    int version; /* 4 or 5; default 0: 5, and 4 where the server does not know 5 */
    cm_cql_compression_t compression;
    int connections;   /* to each node of the local data centre; default 2, to others 1 */
    int max_requests;  /* in flight on one connection; default 2048, at most 32000 */
    int max_in_flight; /* accepted and not answered, in all; default 16384 */
    cm_cql_consistency_t consistency; /* default CM_CQL_LOCAL_QUORUM */
    int connect_timeout_ms;           /* TCP, TLS and log-in together; default 5000 */
    int request_timeout_ms;   /* of one attempt, a wait for a node included; default 12000 */
    int heartbeat_ms;         /* idle time after which a connection is probed; default 15000 */
    int heartbeat_timeout_ms; /* idle time after the probe that closes it; default 5000 */
    int max_retries;          /* of an idempotent request; default 5, -1 for none */
    int retry_min_ms;         /* first wait before a retry, doubled each time; default 50 */
    int retry_max_ms;         /* default 5000 */
    int reconnect_min_ms;     /* the same for connections; default 200 */
    int reconnect_max_ms;     /* default 10000 */
    int refresh_ms;           /* how often the topology is read again; default 60000 */
    size_t max_frame;         /* bytes of an answer at most; default 256 MiB (v4 2.5) */
    const cm_clock_t *clock;  /* milliseconds that never go back; NULL: the monotonic clock */
    uint64_t seed;            /* of the jitter; 0: from the clock */
    const cm_log_t *log;      /* NULL: no log; must outlive the session */
    const char *application;  /* name and version that the server displays (STARTUP DRIVER_NAME, */
    const char *application_version; /* DRIVER_VERSION); default "cm_cql" and its version */
} cm_cql_options_t;

/* ---- session ---- */

typedef enum cm_cql_state {
    CM_CQL_CONNECTING, /* has not been connected yet; keeps trying */
    CM_CQL_READY,      /* at least one node takes requests */
    CM_CQL_DOWN,       /* was ready, no node takes requests now; keeps trying, requests wait */
    CM_CQL_FAILED,     /* the first connect failed for a reason that a retry does not change:
                        * credentials, TLS, protocol version; see cm_cql_last_error() */
} cm_cql_state_t;

typedef struct cm_cql_stats {
    uint64_t requests;    /* answered with a result */
    uint64_t failures;    /* ended with an error */
    uint64_t retries;     /* sent again */
    uint64_t timeouts;    /* of requests, in the client */
    uint64_t reprepares;  /* statements prepared again after UNPREPARED */
    uint64_t connects;    /* connections that became ready */
    uint64_t disconnects; /* connections that broke */
    uint64_t refreshes;   /* topologies read */
    uint64_t events;      /* received from the server */
    uint64_t no_memory;   /* how often there was no memory to send or to take something */
    uint64_t bytes_sent, bytes_received;
    int nodes, nodes_up; /* known ones; those with a ready connection */
    int connections;     /* ready ones, the control connection not counted */
    int in_flight;       /* requests accepted and not answered */
    int version;         /* of the protocol; 0 before the first connect */
} cm_cql_stats_t;

/* Creates a session and begins to connect. Names of contact points are resolved here and whenever
 * all of them have failed; this may block as long as the system's resolver does. Addresses do not
 * block. CM_EUSAGE for invalid options, an unreadable certificate, an unknown host name; CM_ENOMEM.
 */
int cm_cql_open(const cm_cql_options_t *options, cm_cql_t **session, cm_err_t *err);

/* Runs the session until it is ready, at most `timeout_ms`. CM_EUSAGE for refused credentials and
 * TLS failures at once, CM_EIO when no contact point answers in time; the sentence names the last
 * node and the reason. After CM_EIO the session keeps trying while it is run. */
int cm_cql_connect(cm_cql_t *session, int timeout_ms, cm_err_t *err);

/* Does the work that is pending, and waits at most `timeout_ms` for more (0: does not wait, -1: no
 * limit). Returns the number of requests answered. A negative code means that the event loop itself
 * has failed (requests are still cancelled by cm_cql_close()), or that a callback has called it. */
int cm_cql_run(cm_cql_t *session, int timeout_ms, cm_err_t *err);

/* A descriptor that is readable when cm_cql_run() has work, for the caller's own poll(). */
int cm_cql_fd(const cm_cql_t *session);

/* Milliseconds until cm_cql_run() should be called even if cm_cql_fd() is not readable; -1: no
 * limit.
 */
int cm_cql_wait_ms(const cm_cql_t *session);

cm_cql_state_t cm_cql_state(const cm_cql_t *session);

/* Why the last connection failed; NULL when none did, or when a node has been connected since.
 * Lives until the next call of the session. */
const cm_cql_error_t *cm_cql_last_error(const cm_cql_t *session);

void cm_cql_stats(const cm_cql_t *session, cm_cql_stats_t *stats);

/* Reads the topology again soon, without waiting for the timer. */
void cm_cql_refresh(cm_cql_t *session);

/* Cancels the requests in flight (each callback is called with CM_CQL_CANCELLED) and frees
 * everything. Writers and scans of the session must have been closed before. NULL is allowed. */
void cm_cql_close(cm_cql_t *session);

/* ---- values and results ---- */

/* A value to bind, encoded as in the protocol (v4 section 6): build it with the functions below. */
typedef struct cm_cql_value {
    const char *data; /* NULL: the first `len` bytes of `fixed` */
    int32_t len;      /* -1 null, -2 not set */
    char fixed[16];
} cm_cql_value_t;

static inline cm_cql_value_t cm_cql_null(void)
{
    return (cm_cql_value_t){.len = -1};
}

/* Leaves the column as it is. */
static inline cm_cql_value_t cm_cql_unset(void)
{
    return (cm_cql_value_t){.len = -2};
}

/* text, ascii, blob, or a value that is already encoded; borrowed until the value is used. */
static inline cm_cql_value_t cm_cql_text(cm_str_t text)
{
    return (cm_cql_value_t){.data = text.data ? text.data : "", .len = (int32_t)text.len};
}

/* bigint, timestamp (ms since the epoch), counter, time. */
static inline cm_cql_value_t cm_cql_i64(int64_t value)
{
    cm_cql_value_t v = {.len = 8};
    uint64_t big = __builtin_bswap64((uint64_t)value);
    memcpy(v.fixed, &big, 8);
    return v;
}

/* int, date. */
static inline cm_cql_value_t cm_cql_i32(int32_t value)
{
    cm_cql_value_t v = {.len = 4};
    uint32_t big = __builtin_bswap32((uint32_t)value);
    memcpy(v.fixed, &big, 4);
    return v;
}

static inline cm_cql_value_t cm_cql_bool(bool value)
{
    return (cm_cql_value_t){.len = 1, .fixed = {(char)value}};
}

static inline cm_cql_value_t cm_cql_double(double value)
{
    int64_t bits;
    memcpy(&bits, &value, 8);
    return cm_cql_i64(bits);
}

/* uuid, timeuuid: 16 bytes, copied. */
static inline cm_cql_value_t cm_cql_uuid(const void *bytes)
{
    cm_cql_value_t v = {.len = 16};
    memcpy(v.fixed, bytes, 16);
    return v;
}

/* Type ids of columns (v4 4.2.5.2). */
enum cm_cql_type {
    CM_CQL_TYPE_CUSTOM = 0x00,
    CM_CQL_TYPE_ASCII = 0x01,
    CM_CQL_TYPE_BIGINT = 0x02,
    CM_CQL_TYPE_BLOB = 0x03,
    CM_CQL_TYPE_BOOLEAN = 0x04,
    CM_CQL_TYPE_COUNTER = 0x05,
    CM_CQL_TYPE_DECIMAL = 0x06,
    CM_CQL_TYPE_DOUBLE = 0x07,
    CM_CQL_TYPE_FLOAT = 0x08,
    CM_CQL_TYPE_INT = 0x09,
    CM_CQL_TYPE_TIMESTAMP = 0x0B,
    CM_CQL_TYPE_UUID = 0x0C,
    CM_CQL_TYPE_TEXT = 0x0D,
    CM_CQL_TYPE_VARINT = 0x0E,
    CM_CQL_TYPE_TIMEUUID = 0x0F,
    CM_CQL_TYPE_INET = 0x10,
    CM_CQL_TYPE_DATE = 0x11,
    CM_CQL_TYPE_TIME = 0x12,
    CM_CQL_TYPE_SMALLINT = 0x13,
    CM_CQL_TYPE_TINYINT = 0x14,
    CM_CQL_TYPE_DURATION = 0x15,
    CM_CQL_TYPE_LIST = 0x20,
    CM_CQL_TYPE_MAP = 0x21,
    CM_CQL_TYPE_SET = 0x22,
    CM_CQL_TYPE_UDT = 0x30,
    CM_CQL_TYPE_TUPLE = 0x31,
};

typedef struct cm_cql_column {
    cm_str_t name;
    int type; /* of the column itself, not of a collection's elements */
} cm_cql_column_t;

enum { CM_CQL_MAX_COLUMNS = 1024 };

/* The rows of one page, read by a cursor. The whole page is checked before a callback gets it, so
 * moving the cursor cannot fail. */
typedef struct cm_cql_rows {
    int column_count;
    const cm_cql_column_t *columns;
    int64_t row_count;
    cm_str_t *cells; /* of the row that cm_cql_next() moved to; `data` is NULL for null */
    bool more;       /* another page follows this one */
    cm_str_t paging_state;
    /* private to the cursor */
    const char *at;
    int64_t left;
} cm_cql_rows_t;

/* Moves to the next row (the first call: to the first row) and points `cells` at its columns; false
 * after the last one. */
bool cm_cql_next(cm_cql_rows_t *rows);

/* Decode a cell; 0, 0.0 and false if it is null or does not have the size of that type. */
int64_t cm_cql_get_i64(cm_str_t cell);
int32_t cm_cql_get_i32(cm_str_t cell);
double cm_cql_get_double(cm_str_t cell);
bool cm_cql_get_bool(cm_str_t cell);

/* The result of a request. `rows` is NULL unless the statement has rows. */
typedef struct cm_cql_result {
    cm_cql_rows_t *rows;
    bool schema_changed;  /* it created, altered or dropped something */
    const char *warnings; /* the server's, each on a line; NULL: none */
} cm_cql_result_t;

/* Called once for each page of rows while `rows->more`, else once. Either `error` or `result` is
 * NULL. */
typedef void (*cm_cql_done_t)(void *context, const cm_cql_error_t *error,
                              const cm_cql_result_t *result);

/* ---- requests ---- */

/* NULL for a cm_cql_request_t, and zeros in it, mean the default. */
typedef struct cm_cql_request {
    cm_cql_consistency_t consistency;
    cm_cql_consistency_t serial; /* of conditional writes: CM_CQL_SERIAL or CM_CQL_LOCAL_SERIAL */
    bool idempotent;             /* may be sent again when it is unknown whether it was executed */
    int timeout_ms;              /* for each page; -1: never */
    int page_size;               /* rows; default 0: all in one page */
    bool one_page;               /* stops after the first page; paging_state continues it */
    cm_str_t paging_state;       /* where an earlier page ended */
    int64_t timestamp_us;        /* of a write, us since the epoch; default 0: the server's */
    bool at_control; /* asks the node of the control connection if possible: what one node says
                      * about itself and about its peers is consistent */
} cm_cql_request_t;

/* Sends a statement; its `count` values, if any, are bound by position. CM_EBUSY when
 * max_in_flight requests are in flight: run the session and try again. CM_EUSAGE when the session
 * has failed; CM_ENOMEM. Reads and schema changes may be marked idempotent (CREATE ... IF NOT
 * EXISTS). The callback may be NULL. */
int cm_cql_query(cm_cql_t *session, cm_str_t text, const cm_cql_value_t *values, int count,
                 const cm_cql_request_t *request, cm_cql_done_t done, void *context, cm_err_t *err);

/* Prepares a statement on one node, and on each other node when it is first used there.
 * `*prepared` is set at once, belongs to the session and lives as long as the session; it can be
 * executed after `done` was called without an error. The same text gives the same handle. Errors as
 * cm_cql_query(). */
int cm_cql_prepare(cm_cql_t *session, cm_str_t text, cm_cql_prepared_t **prepared,
                   cm_cql_done_t done, void *context, cm_err_t *err);

/* How many values a prepared statement binds; -1 when it is not prepared yet. */
int cm_cql_prepared_values(const cm_cql_prepared_t *prepared);

/* Executes a prepared statement on a replica of the row where its partition key is bound. Errors as
 * cm_cql_query(); CM_EUSAGE when the number of values is wrong or it is not prepared yet. */
int cm_cql_execute(cm_cql_t *session, cm_cql_prepared_t *prepared, const cm_cql_value_t *values,
                   int count, const cm_cql_request_t *request, cm_cql_done_t done, void *context,
                   cm_err_t *err);

/* These two wait, for start-up and tools: they run the session until the answer has come. After a
 * change of the schema cm_cql_query_wait() also waits until all nodes agree on it (at most 10 s).
 * `done` gets the pages and may be NULL. It is not called with an error: that is returned. */
int cm_cql_query_wait(cm_cql_t *session, cm_str_t text, const cm_cql_request_t *request,
                      cm_cql_done_t done, void *context, cm_err_t *err);
int cm_cql_prepare_wait(cm_cql_t *session, cm_str_t text, cm_cql_prepared_t **prepared,
                        cm_err_t *err);

/* Reads the topology until all nodes that can be reached have the same schema, 10 s at most;
 * returns 0 then as well. For use after a change by cm_cql_query(), or by another client. */
int cm_cql_agree(cm_cql_t *session, cm_err_t *err);

/* ---- writer: many rows by one prepared, idempotent statement ---- */

/* The rows before number `durable` are done: acknowledged by the server at the consistency level,
 * or taken over by the caller in cm_cql_refused_t. Called when that number has increased. */
typedef void (*cm_cql_durable_t)(void *context, uint64_t durable);

/* The server will not accept the row with the number `row`, however often it is sent. True: the
 * caller has taken it over, and it counts as done. False: it is tried again after a wait, like
 * rows with other errors. */
typedef bool (*cm_cql_refused_t)(void *context, uint64_t row, const cm_cql_error_t *error);

typedef struct cm_cql_writer_options {
    cm_cql_consistency_t consistency; /* default: the session's */
    int batch_rows;                   /* in an unlogged batch at most; default 50; 1: no batches */
    size_t batch_bytes;               /* default 24 KiB (by default the server refuses more than
                                       * 50 KiB: batch_size_fail_threshold) */
    int linger_ms;   /* how long an incomplete batch waits for more rows; default 5 */
    int max_rows;    /* added and not done; default 65536 */
    int max_batches; /* in flight at most; default 128, and 1024 where
                      * batch_rows is 1. Overload and time-outs
                      * halve it for a time, success increases it */
    int timeout_ms;  /* of one attempt; default: the session's */
    int retry_min_ms, retry_max_ms; /* waits between attempts; default: the session's. A writer
                                     * never gives a row up */
    int speculative_ms;             /* a batch that its node has not answered for this time is
                                     * also sent to another replica of its rows; default 500,
                                     * -1: never */
    bool held;                      /* rows are not sent before cm_cql_writer_release() */
    bool timestamps;                /* the time of a batch's first row is the time of its writes,
                                     * so that a retry never overwrites a later write */
    cm_cql_durable_t durable;       /* may be NULL */
    cm_cql_refused_t refused;       /* NULL: such rows are tried without end */
    void *context;
} cm_cql_writer_options_t;

/* Opens a writer. The statement must be prepared and idempotent (INSERT, UPDATE without counters or
 * list appends, DELETE). Rows may reach the server in a different order from that in which they
 * were added. CM_EUSAGE, CM_ENOMEM. */
int cm_cql_writer_open(cm_cql_t *session, cm_cql_prepared_t *prepared,
                       const cm_cql_writer_options_t *options, cm_cql_writer_t **writer,
                       cm_err_t *err);

/* Adds a row; rows are numbered from 0 in the order in which they are added. CM_EBUSY when max_rows
 * are not done yet: run the session, then add it again. CM_EUSAGE when the number of values is
 * wrong; CM_ENOMEM. After an error the row has not been added. */
int cm_cql_writer_add(cm_cql_writer_t *writer, const cm_cql_value_t *values, int count,
                      cm_err_t *err);

/* For a writer that is `held`: the rows before that number may be sent. A smaller number than
 * before has no effect. */
void cm_cql_writer_release(cm_cql_writer_t *writer, uint64_t rows);

/* Sends incomplete batches now instead of after linger_ms. */
void cm_cql_writer_flush(cm_cql_writer_t *writer);

/* The number of rows added, and the number of the first row that is not done. Equal: all are done.
 */
uint64_t cm_cql_writer_added(const cm_cql_writer_t *writer);
uint64_t cm_cql_writer_durable(const cm_cql_writer_t *writer);

typedef struct cm_cql_writer_stats {
    uint64_t batches;          /* sent, attempts counted once each */
    uint64_t retries;          /* attempts after the first */
    uint64_t refused;          /* rows that the caller took over */
    uint64_t copies;           /* batches that were also sent to another node (speculative_ms) */
    uint64_t rescued;          /* of those: how often the other node answered first */
    int in_flight;             /* batches that wait for an answer */
    int waiting;               /* batches that wait for their turn, or to be tried again */
    int window;                /* batches that may be in flight now */
    cm_cql_error_t last_error; /* of the last attempt that failed; code CM_CQL_OK: none did */
} cm_cql_writer_stats_t;

void cm_cql_writer_stats(const cm_cql_writer_t *writer, cm_cql_writer_stats_t *stats);

/* Why the first row that is not done is delayed: which node has not answered it, and for how long,
 * or why its last attempt failed. False when all is done, or no node has it. */
bool cm_cql_writer_stall(const cm_cql_writer_t *writer, cm_cql_error_t *why);

/* Flushes and runs the session until every row is done, at most `timeout_ms` (-1: no limit). CM_EIO
 * when rows are left; the sentence contains the last error. */
int cm_cql_writer_drain(cm_cql_writer_t *writer, int timeout_ms, cm_err_t *err);

/* Frees the writer. Rows that are not done may or may not reach the server; no callback is called
 * any more. NULL is allowed. A callback of the writer itself must not call it. */
void cm_cql_writer_close(cm_cql_writer_t *writer);

/* ---- scan: all rows of a table, by token ranges in parallel ---- */

/* Gets a page of rows; pages of different ranges come in any order. A result other than 0 stops the
 * scan. */
typedef int (*cm_cql_page_t)(void *context, cm_cql_rows_t *rows);

/* Called once, at the end: `error` is NULL when every row was delivered exactly once. */
typedef void (*cm_cql_scanned_t)(void *context, const cm_cql_error_t *error);

typedef struct cm_cql_scan_options {
    const char *keyspace, *table;
    const char *columns;              /* of the SELECT; default "*" */
    cm_cql_consistency_t consistency; /* default: the session's */
    int ranges;      /* the ring is read in at least this many pieces; default 64 */
    int parallel;    /* pieces that are read at the same time; default 8 */
    int page_size;   /* rows; default 5000 */
    int timeout_ms;  /* of one page; default: the session's */
    int max_retries; /* of one page; default 10 */
} cm_cql_scan_options_t;

typedef struct cm_cql_scan_stats {
    uint64_t rows, pages, retries;
    int ranges, ranges_done;
} cm_cql_scan_stats_t;

/* Starts to read a whole table. Each row is delivered once, in pages that were read completely;
 * rows written during the scan may or may not be delivered. A page is read again, on another node,
 * after an error that may pass (cm_cql_error_is_passing()). CM_EUSAGE, CM_ENOMEM. */
int cm_cql_scan_open(cm_cql_t *session, const cm_cql_scan_options_t *options, cm_cql_page_t page,
                     cm_cql_scanned_t scanned, void *context, cm_cql_scan_t **scan, cm_err_t *err);

void cm_cql_scan_stats(const cm_cql_scan_t *scan, cm_cql_scan_stats_t *stats);

/* Stops the scan if it still runs (without a callback) and frees it. NULL is allowed. A callback of
 * the scan itself must not call it. */
void cm_cql_scan_close(cm_cql_scan_t *scan);

/* ---- tokens ---- */

/* The token of a serialised partition key: Cassandra's Murmur3Partitioner. */
int64_t cm_cql_token(const void *key, size_t len);

#endif
