/* ERROR and RESULT messages. */
#include "cql/message.h"
#include "cql/wire.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TYPE_DEPTH = 16,
    GLOBAL_TABLE = 0x01, /* flags of metadata, v4 4.2.5.2 */
    HAS_MORE_PAGES = 0x02,
    NO_METADATA = 0x04,
    METADATA_CHANGED = 0x08, /* v5 */
};

/* ---- errors ---- */

/* The fields after the text of some codes (v4 section 9, v5 section 8). */
static void read_error_fields(cm_cql_reader_t *r, cm_cql_parsed_t *parsed)
{
    cm_cql_error_t *error = &parsed->error;

    switch (error->server_code) {
    case CM_CQL_UNAVAILABLE:
        error->consistency = cm_cql_read_u16(r);
        error->required = cm_cql_read_i32(r);
        error->received = cm_cql_read_i32(r);
        break;
    case CM_CQL_WRITE_TIMEOUT:
    case CM_CQL_READ_TIMEOUT:
    case CM_CQL_READ_FAILURE:
    case CM_CQL_WRITE_FAILURE:
    case CM_CQL_CAS_WRITE_UNKNOWN:
        error->consistency = cm_cql_read_u16(r);
        error->received = cm_cql_read_i32(r);
        error->required = cm_cql_read_i32(r);
        break;
    case CM_CQL_UNPREPARED:
        parsed->unprepared_id = cm_cql_read_string(r);
        break;
    default:
        break;
    }
    if (error->consistency >= 0)
        error->consistency += CM_CQL_ANY;
}

static void parse_error(cm_cql_reader_t *r, cm_cql_parsed_t *parsed)
{
    cm_cql_error_t *error = &parsed->error;

    *error =
        (cm_cql_error_t){.code = CM_CQL_SERVER, .consistency = -1, .received = -1, .required = -1};
    error->server_code = cm_cql_read_i32(r);
    cm_str_t text = cm_cql_read_string(r);
    parsed->unprepared_id = (cm_str_t){"", 0};
    read_error_fields(r, parsed);
    snprintf(error->text, sizeof error->text, "%s (0x%04x): %.*s",
             cm_cql_server_code_name(error->server_code), (unsigned)error->server_code,
             cm_utf8_head(text, 380), text.data);
    /* A node that cannot read the roles, because their replicas do not answer, uses this code too.
     */
    static const char unable[] = "Unable to perform authentication";
    if (error->server_code == CM_CQL_BAD_CREDENTIALS &&
        (text.len < sizeof unable - 1 || memcmp(text.data, unable, sizeof unable - 1) != 0))
        error->code = CM_CQL_AUTH;
}

/* ---- columns ---- */

/* An [option]: returns the id of the type, and skips its parameters. */
static int read_type(cm_cql_reader_t *r, int depth)
{
    int type = cm_cql_read_u16(r);

    if (depth > TYPE_DEPTH)
        r->bad = true;
    if (r->bad)
        return 0;
    if (type == CM_CQL_TYPE_CUSTOM)
        cm_cql_read_string(r);
    if (type == CM_CQL_TYPE_LIST || type == CM_CQL_TYPE_SET || type == CM_CQL_TYPE_MAP)
        read_type(r, depth + 1);
    if (type == CM_CQL_TYPE_MAP)
        read_type(r, depth + 1);
    if (type == CM_CQL_TYPE_UDT) {
        cm_cql_read_string(r);
        cm_cql_read_string(r);
    }
    if (type == CM_CQL_TYPE_UDT || type == CM_CQL_TYPE_TUPLE) {
        for (int n = cm_cql_read_u16(r); n > 0 && !r->bad; n--) {
            if (type == CM_CQL_TYPE_UDT)
                cm_cql_read_string(r);
            read_type(r, depth + 1);
        }
    }
    return type;
}

static void read_columns(cm_cql_reader_t *r, int flags, int count, cm_cql_columns_t *columns)
{
    if (count > columns->cap) {
        cm_cql_column_t *list = realloc(columns->list, (size_t)count * sizeof *list);
        if (list == NULL) {
            r->bad = r->no_memory = true;
            return;
        }
        columns->list = list;
        columns->cap = count;
    }
    columns->count = count;
    columns->keyspace = columns->table = (cm_str_t){"", 0};
    if (flags & GLOBAL_TABLE) {
        columns->keyspace = cm_cql_read_string(r);
        columns->table = cm_cql_read_string(r);
    }
    for (int i = 0; i < count && !r->bad; i++) {
        if (!(flags & GLOBAL_TABLE)) {
            cm_str_t keyspace = cm_cql_read_string(r), table = cm_cql_read_string(r);
            if (i == 0) {
                columns->keyspace = keyspace;
                columns->table = table;
            }
        }
        columns->list[i].name = cm_cql_read_string(r);
        columns->list[i].type = read_type(r, 0);
    }
}

/* A number of columns, checked before memory of that size is allocated. */
static int read_count(cm_cql_reader_t *r)
{
    int32_t count = cm_cql_read_i32(r);
    if (count < 0 || count > CM_CQL_MAX_COLUMNS)
        r->bad = true;
    return r->bad ? 0 : count;
}

/* The metadata of rows. */
static void read_metadata(cm_cql_reader_t *r, cm_cql_parsed_t *parsed)
{
    cm_cql_rows_t *rows = &parsed->rows;
    int flags = cm_cql_read_i32(r), count = read_count(r);

    rows->more = (flags & HAS_MORE_PAGES) != 0;
    rows->paging_state = rows->more ? cm_cql_read_bytes(r) : (cm_str_t){"", 0};
    if (rows->more && rows->paging_state.len == 0)
        r->bad = true;
    parsed->metadata_changed = (flags & METADATA_CHANGED) != 0;
    if (parsed->metadata_changed)
        parsed->metadata_id = cm_cql_read_string(r);
    parsed->columns.count = 0;
    if (!(flags & NO_METADATA))
        read_columns(r, flags, count, &parsed->columns);
    else if (parsed->kind == CM_CQL_KIND_ROWS)
        r->bad = true; /* the client never asks for that */
    rows->column_count = parsed->columns.count;
    rows->columns = parsed->columns.list;
}

/* All rows are checked here, so that the cursor needs no checks. */
static void read_rows(cm_cql_reader_t *r, cm_cql_parsed_t *parsed)
{
    cm_cql_rows_t *rows = &parsed->rows;

    rows->row_count = rows->left = cm_cql_read_i32(r);
    rows->at = r->at;
    if (rows->row_count < 0 || (rows->column_count == 0 && rows->row_count > 0))
        r->bad = true;
    const char *at = r->at, *end = r->end;
    int64_t cells = r->bad ? 0 : rows->row_count * rows->column_count;
    for (; cells > 0; cells--) {
        if (end - at < 4)
            break;
        int32_t len = cm_cql_load_i32(at);
        at += 4;
        if (len <= 0)
            continue;
        if (end - at < len)
            break;
        at += len;
    }
    if (cells > 0)
        r->bad = true;
    if (rows->column_count > parsed->cell_cap) {
        cm_str_t *list = realloc(rows->cells, (size_t)rows->column_count * sizeof *list);
        if (list == NULL) {
            r->bad = r->no_memory = true;
            return;
        }
        rows->cells = list;
        parsed->cell_cap = rows->column_count;
    }
}

static void read_prepared(cm_cql_reader_t *r, int version, cm_cql_parsed_t *parsed)
{
    cm_cql_prepared_body_t *prepared = &parsed->prepared;

    *prepared = (cm_cql_prepared_body_t){.id = cm_cql_read_string(r), .metadata_id = {"", 0}};
    if (version >= 5)
        prepared->metadata_id = cm_cql_read_string(r);
    int flags = cm_cql_read_i32(r), count = read_count(r), keys = cm_cql_read_i32(r);
    if (keys < 0 || keys > count)
        r->bad = true;
    for (int i = 0; i < keys && !r->bad; i++) {
        int key = cm_cql_read_u16(r);
        if (key >= count)
            r->bad = true;
        if (i < CM_CQL_MAX_KEYS)
            prepared->keys[i] = (uint16_t)key;
    }
    prepared->key_count = keys <= CM_CQL_MAX_KEYS ? keys : 0;
    read_columns(r, flags, count, &parsed->bound);
    read_metadata(r, parsed);
}

static void parse_result(cm_cql_reader_t *r, int version, cm_cql_parsed_t *parsed)
{
    parsed->kind = cm_cql_read_i32(r);
    parsed->metadata_changed = false;
    switch (parsed->kind) {
    case CM_CQL_KIND_VOID:
    case CM_CQL_KIND_SET_KEYSPACE:
        break;
    case CM_CQL_KIND_ROWS:
        read_metadata(r, parsed);
        read_rows(r, parsed);
        parsed->result.rows = &parsed->rows;
        break;
    case CM_CQL_KIND_PREPARED:
        read_prepared(r, version, parsed);
        break;
    case CM_CQL_KIND_SCHEMA_CHANGE:
        parsed->result.schema_changed = true;
        break;
    default:
        r->bad = true;
    }
}

/* What may come before the message itself (v4 section 2.2, v5 section 4): tracing id, warnings,
 * custom payload. */
static void read_prelude(cm_cql_reader_t *r, int flags, cm_cql_parsed_t *parsed)
{
    if (flags & CM_CQL_FLAG_TRACING)
        cm_cql_read_raw(r, 16);
    if (flags & CM_CQL_FLAG_WARNING) {
        cm_buf_clear(&parsed->warnings);
        for (int n = cm_cql_read_u16(r); n > 0 && !r->bad; n--) {
            cm_str_t text = cm_cql_read_string(r);
            if (!cm_buf_try_reserve(&parsed->warnings, text.len + 1)) {
                r->bad = r->no_memory = true;
                return;
            }
            if (parsed->warnings.len > 0)
                cm_buf_add_char(&parsed->warnings, '\n');
            cm_buf_add_str(&parsed->warnings, text);
        }
        if (parsed->warnings.data != NULL)
            parsed->result.warnings = parsed->warnings.data;
    }
    if (flags & CM_CQL_FLAG_PAYLOAD) {
        for (int n = cm_cql_read_u16(r); n > 0 && !r->bad; n--) {
            cm_cql_read_string(r);
            cm_cql_read_bytes(r);
        }
    }
}

int cm_cql_parse(const cm_cql_frame_t *frame, cm_cql_parsed_t *parsed, cm_err_t *err)
{
    cm_cql_reader_t r = cm_cql_reader(frame->body);

    parsed->result = (cm_cql_result_t){NULL, false, NULL};
    parsed->kind = 0;
    read_prelude(&r, frame->flags, parsed);
    if (frame->opcode == CM_CQL_OP_ERROR)
        parse_error(&r, parsed);
    else if (frame->opcode == CM_CQL_OP_RESULT)
        parse_result(&r, frame->version, parsed);
    else
        return cm_fail(err, CM_ECORRUPT, "a request was answered with a message of kind 0x%02x",
                       (unsigned)frame->opcode);
    if (r.no_memory)
        return cm_cql_fail_memory(err);
    if (r.bad)
        return cm_fail(err, CM_ECORRUPT, "%s of %zu bytes is malformed",
                       frame->opcode == CM_CQL_OP_ERROR ? "an error message" : "a result",
                       frame->body.len);
    return frame->opcode;
}
