#include "cql/message.h"
#include "cql/wire.h"

#include <stdlib.h>

void cm_cql_columns_free(cm_cql_columns_t *columns)
{
    free(columns->list);
    cm_buf_free(&columns->names);
    *columns = (cm_cql_columns_t){.names = CM_BUF_INIT};
}

static cm_str_t keep(cm_buf_t *names, cm_str_t text)
{
    char *at = names->data + names->len; /* the room is reserved: the buffer does not move */
    cm_buf_add_str(names, text);
    return (cm_str_t){at, text.len};
}

bool cm_cql_columns_copy(cm_cql_columns_t *to, const cm_cql_columns_t *from)
{
    size_t total = from->keyspace.len + from->table.len + 1;
    cm_cql_columns_t copy = {.count = from->count, .cap = from->count};

    for (int i = 0; i < from->count; i++)
        total += from->list[i].name.len;
    copy.list = malloc((size_t)(from->count + 1) * sizeof *copy.list);
    if (copy.list == NULL || !cm_buf_try_reserve(&copy.names, total)) {
        cm_cql_columns_free(&copy);
        return false;
    }
    copy.keyspace = keep(&copy.names, from->keyspace);
    copy.table = keep(&copy.names, from->table);
    for (int i = 0; i < from->count; i++) {
        copy.list[i].type = from->list[i].type;
        copy.list[i].name = keep(&copy.names, from->list[i].name);
    }
    cm_cql_columns_free(to);
    *to = copy;
    return true;
}

void cm_cql_parsed_free(cm_cql_parsed_t *parsed)
{
    cm_cql_columns_free(&parsed->columns);
    cm_cql_columns_free(&parsed->bound);
    cm_buf_free(&parsed->warnings);
    free(parsed->rows.cells);
}

cm_cql_elements_t cm_cql_elements(cm_str_t cell)
{
    cm_cql_elements_t elements = {NULL, NULL, 0};
    if (cell.data != NULL && cell.len >= 4) {
        elements.left = cm_cql_load_i32(cell.data);
        elements.at = cell.data + 4;
        elements.end = cell.data + cell.len;
    }
    return elements;
}

bool cm_cql_elements_next(cm_cql_elements_t *elements, cm_str_t *element)
{
    if (elements->left <= 0)
        return false;
    elements->left--;
    cm_cql_reader_t r = {.at = elements->at, .end = elements->end};
    *element = cm_cql_read_bytes(&r);
    elements->at = r.at;
    if (r.bad)
        elements->left = 0;
    return !r.bad;
}

int cm_cql_parse_event(cm_str_t body, cm_cql_event_t *event, cm_err_t *err)
{
    cm_cql_reader_t r = cm_cql_reader(body);

    *event = (cm_cql_event_t){.type = cm_cql_read_string(&r)};
    event->change = cm_cql_read_string(&r);
    if (cm_str_equal(event->type, CM_STR("SCHEMA_CHANGE"))) {
        event->target = cm_cql_read_string(&r);
        event->keyspace = cm_cql_read_string(&r);
    } else {
        event->address = cm_cql_read_len(&r, cm_cql_read_u8(&r));
        event->port = cm_cql_read_i32(&r);
        if (!r.bad && event->address.len != 4 && event->address.len != 16)
            r.bad = true;
    }
    if (r.bad)
        return cm_fail(err, CM_ECORRUPT, "an event of %zu bytes is malformed", body.len);
    return 0;
}

bool cm_cql_supported(cm_str_t body, cm_str_t option, cm_str_t value)
{
    cm_cql_reader_t r = cm_cql_reader(body);
    bool found = false;

    for (int i = cm_cql_read_u16(&r); i > 0 && !r.bad; i--) {
        bool same = cm_str_equal(cm_cql_read_string(&r), option);
        for (int j = cm_cql_read_u16(&r); j > 0 && !r.bad; j--)
            found |= cm_str_equal_nocase(cm_cql_read_string(&r), value) && same;
    }
    return found && !r.bad;
}

enum {
    WITH_VALUES = 0x01,
    WITH_PAGE_SIZE = 0x04,
    WITH_PAGING_STATE = 0x08,
    WITH_SERIAL = 0x10,
    WITH_TIMESTAMP = 0x20,
};

static void add_flags(cm_buf_t *buf, int version, int flags)
{
    if (version >= 5)
        cm_cql_add_i32(buf, flags);
    else
        cm_cql_add_u8(buf, flags);
}

void cm_cql_add_parameters(cm_buf_t *buf, int version, const cm_cql_parameters_t *p)
{
    int flags = (p->values.len > 0 ? WITH_VALUES : 0) | (p->page_size > 0 ? WITH_PAGE_SIZE : 0) |
                (p->paging_state.len > 0 ? WITH_PAGING_STATE : 0) |
                (p->serial >= 0 ? WITH_SERIAL : 0) | (p->timestamp_us > 0 ? WITH_TIMESTAMP : 0);

    cm_cql_add_u16(buf, p->consistency);
    add_flags(buf, version, flags);
    cm_buf_add_str(buf, p->values);
    if (flags & WITH_PAGE_SIZE)
        cm_cql_add_i32(buf, p->page_size);
    if (flags & WITH_PAGING_STATE)
        cm_cql_add_bytes(buf, p->paging_state);
    if (flags & WITH_SERIAL)
        cm_cql_add_u16(buf, p->serial);
    if (flags & WITH_TIMESTAMP)
        cm_cql_add_i64(buf, p->timestamp_us);
}

void cm_cql_add_batch_parameters(cm_buf_t *buf, int version, const cm_cql_parameters_t *p)
{
    int flags = (p->serial >= 0 ? WITH_SERIAL : 0) | (p->timestamp_us > 0 ? WITH_TIMESTAMP : 0);

    cm_cql_add_u16(buf, p->consistency);
    add_flags(buf, version, flags);
    if (flags & WITH_SERIAL)
        cm_cql_add_u16(buf, p->serial);
    if (flags & WITH_TIMESTAMP)
        cm_cql_add_i64(buf, p->timestamp_us);
}

bool cm_cql_add_values(cm_buf_t *buf, const cm_cql_value_t *values, int count)
{
    size_t total = 2;

    for (int i = 0; i < count; i++)
        total += 4 + (values[i].len > 0 ? (size_t)values[i].len : 0);
    if (!cm_buf_try_reserve(buf, total))
        return false;
    char *at = buf->data + buf->len;
    *at++ = (char)(count >> 8);
    *at++ = (char)count;
    for (int i = 0; i < count; i++) {
        uint32_t big = __builtin_bswap32((uint32_t)values[i].len);
        memcpy(at, &big, 4);
        at += 4;
        if (values[i].len <= 0)
            continue;
        memcpy(at, values[i].data ? values[i].data : values[i].fixed, (size_t)values[i].len);
        at += values[i].len;
    }
    buf->len = (size_t)(at - buf->data);
    return true;
}
