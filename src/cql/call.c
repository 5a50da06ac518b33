#include "cql/call.h"

#include "cql/wire.h"

void cm_cql_list_add(cm_cql_list_t *list, cm_cql_call_t *call)
{
    call->link.next = NULL;
    call->link.prev = list->last;
    if (list->last != NULL)
        list->last->link.next = call;
    else
        list->first = call;
    list->last = call;
    list->count++;
}

void cm_cql_list_remove(cm_cql_list_t *list, cm_cql_call_t *call)
{
    if (call->link.prev != NULL)
        call->link.prev->link.next = call->link.next;
    else
        list->first = call->link.next;
    if (call->link.next != NULL)
        call->link.next->link.prev = call->link.prev;
    else
        list->last = call->link.prev;
    call->link.next = call->link.prev = NULL;
    list->count--;
}

/* ---- encoding ---- */

static cm_cql_parameters_t parameters(const cm_cql_call_t *call)
{
    return (cm_cql_parameters_t){
        .consistency = call->consistency,
        .serial = call->serial,
        .page_size = call->page_size,
        .paging_state = {call->paging_state.data, call->paging_state.len},
        .timestamp_us = call->timestamp_us,
        .values = {call->body.data + call->values_at, call->body.len - call->values_at},
    };
}

/* The rows of a batch: each a u32 length and its values. */
static void add_rows(cm_buf_t *buf, const cm_cql_call_t *call)
{
    const cm_cql_prepared_t *prepared = call->prepared;
    const char *at = call->body.data, *end = at + call->body.len;

    cm_cql_add_u8(buf, 1); /* unlogged */
    cm_cql_add_u16(buf, call->rows);
    while (at < end) {
        uint32_t len;
        memcpy(&len, at, 4);
        cm_cql_add_u8(buf, 1); /* by the id of a prepared statement */
        cm_cql_add_string(buf, (cm_str_t){prepared->id.data, prepared->id.len});
        cm_buf_add(buf, at + 4, len);
        at += 4 + len;
    }
}

size_t cm_cql_call_size(const cm_cql_call_t *call)
{
    size_t size = 4 + call->body.len + 4 + call->paging_state.len + CM_CQL_PARAMETERS;

    if (call->opcode == CM_CQL_OP_BATCH)
        size += (size_t)call->rows * (3 + call->prepared->id.len);
    else if (call->opcode == CM_CQL_OP_EXECUTE)
        size += 4 + call->prepared->id.len + call->prepared->metadata_id.len;
    return size;
}

void cm_cql_call_encode(const cm_cql_call_t *call, int version, cm_buf_t *buf)
{
    const cm_cql_prepared_t *prepared = call->prepared;
    cm_cql_parameters_t p = parameters(call);

    switch (call->opcode) {
    case CM_CQL_OP_QUERY:
        cm_cql_add_bytes(buf, (cm_str_t){call->body.data, call->values_at});
        cm_cql_add_parameters(buf, version, &p);
        break;
    case CM_CQL_OP_EXECUTE:
        cm_cql_add_string(buf, (cm_str_t){prepared->id.data, prepared->id.len});
        if (version >= 5)
            cm_cql_add_string(buf,
                              (cm_str_t){prepared->metadata_id.data, prepared->metadata_id.len});
        cm_cql_add_parameters(buf, version, &p);
        break;
    case CM_CQL_OP_BATCH:
        add_rows(buf, call);
        cm_cql_add_batch_parameters(buf, version, &p);
        break;
    case CM_CQL_OP_PREPARE:
        cm_cql_add_bytes(buf, (cm_str_t){call->body.data, call->body.len});
        if (version >= 5)
            cm_cql_add_i32(buf, 0);
        break;
    default:
        cm_buf_add(buf, call->body.data, call->body.len);
    }
}
