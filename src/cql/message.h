/* Messages: what requests contain, and what is in the answers.
 *
 * Parsers borrow the body that they read. One thread. */
#ifndef CM_CQL_MESSAGE_H
#define CM_CQL_MESSAGE_H

#include "cql/cql.h"
#include "cql/frame.h"

/* Result kinds (v4 4.2.5). */
enum cm_cql_kind {
    CM_CQL_KIND_VOID = 1,
    CM_CQL_KIND_ROWS = 2,
    CM_CQL_KIND_SET_KEYSPACE = 3,
    CM_CQL_KIND_PREPARED = 4,
    CM_CQL_KIND_SCHEMA_CHANGE = 5,
};

/* Columns of a result or of bound values; the names are borrowed, or copies in `names`. */
typedef struct cm_cql_columns {
    cm_cql_column_t *list;
    int count, cap;
    cm_str_t keyspace, table; /* of the first column */
    cm_buf_t names;
} cm_cql_columns_t;

void cm_cql_columns_free(cm_cql_columns_t *columns);

/* Makes `to` an independent copy of `from`. False, and `to` is as it was, when there is no memory.
 */
bool cm_cql_columns_copy(cm_cql_columns_t *to, const cm_cql_columns_t *from);

enum { CM_CQL_MAX_KEYS = 16 };

/* A PREPARED result (v4 4.2.5.4, v5 4.2.5.4). */
typedef struct cm_cql_prepared_body {
    cm_str_t id, metadata_id; /* metadata_id: v5 only, else empty */
    int key_count;
    uint16_t keys[CM_CQL_MAX_KEYS]; /* which value is which part of the partition key */
} cm_cql_prepared_body_t;

/* What an answer is parsed into; its memory is reused for the next one. */
typedef struct cm_cql_parsed {
    cm_cql_columns_t columns; /* of rows, or of a prepared statement's result */
    cm_cql_columns_t bound;   /* of a prepared statement's values */
    cm_cql_rows_t rows;
    int cell_cap;
    cm_buf_t warnings;
    cm_cql_error_t error;
    cm_str_t unprepared_id;
    cm_cql_prepared_body_t prepared;
    int kind;
    bool metadata_changed; /* v5: the rows contain new columns and their id */
    cm_str_t metadata_id;
    cm_cql_result_t result;
} cm_cql_parsed_t;

void cm_cql_parsed_free(cm_cql_parsed_t *parsed);

/* Parses an ERROR or RESULT message, with what precedes it (tracing id, warnings, payload). Returns
 * CM_CQL_OP_ERROR or CM_CQL_OP_RESULT, CM_ECORRUPT with what is wrong, or CM_ENOMEM. The client
 * never asks to leave the metadata out: a page of rows is large compared with it, and the table may
 * have been altered since it was read. */
int cm_cql_parse(const cm_cql_frame_t *frame, cm_cql_parsed_t *parsed, cm_err_t *err);

/* A map<text, text>, set<text> or list<text> read element by element (v4 6.12 to 6.14). */
typedef struct cm_cql_elements {
    const char *at, *end;
    int32_t left;
} cm_cql_elements_t;

cm_cql_elements_t cm_cql_elements(cm_str_t cell);
bool cm_cql_elements_next(cm_cql_elements_t *elements, cm_str_t *element);

/* An EVENT (v4 4.2.6): `change` is "UP", "DOWN", "NEW_NODE", ..., or "CREATED", ... of a schema. */
typedef struct cm_cql_event {
    cm_str_t type, change;
    cm_str_t address; /* 4 or 16 bytes, empty for the schema */
    int port;
    cm_str_t target, keyspace; /* of the schema: "KEYSPACE", "TABLE", ... */
} cm_cql_event_t;

/* Returns 0 or CM_ECORRUPT. */
int cm_cql_parse_event(cm_str_t body, cm_cql_event_t *event, cm_err_t *err);

/* Whether SUPPORTED (v4 4.2.4) names `value` for `option`; false for a malformed body too. */
bool cm_cql_supported(cm_str_t body, cm_str_t option, cm_str_t value);

/* What comes after the text or the id in QUERY and EXECUTE, and after the statements in BATCH. */
typedef struct cm_cql_parameters {
    int consistency; /* as on the wire */
    int serial;      /* as on the wire, -1: none */
    int page_size;   /* 0: none */
    cm_str_t paging_state;
    int64_t timestamp_us; /* 0: none */
    cm_str_t values;      /* [short] n and n [value]; empty: none */
} cm_cql_parameters_t;

enum { CM_CQL_PARAMETERS = 32 }; /* bytes of them at most, without paging state and values */

/* v4 4.1.4; from v5 on the flags are an [int]. */
void cm_cql_add_parameters(cm_buf_t *buf, int version, const cm_cql_parameters_t *p);

/* v4 4.1.7: the same for a BATCH. */
void cm_cql_add_batch_parameters(cm_buf_t *buf, int version, const cm_cql_parameters_t *p);

/* Appends [short] n and n [value]. False when there is no memory. */
bool cm_cql_add_values(cm_buf_t *buf, const cm_cql_value_t *values, int count);

#endif
