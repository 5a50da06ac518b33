#include "store/wide.h"

#include <stdlib.h>

enum {
    LENGTH = 4, /* bytes of the length of a string */
    ENGAGED_WIDTH = 4,
    TEXT_STREAMS = 3, /* of a text: numbers, lengths, bytes */
    TOGETHER = 32,    /* strings that are looked up together */
};

/* Makes room for `count` events, whose values are not set. */
static void reserve(cm_wide_t *wide, uint32_t count)
{
    if (count <= wide->cap)
        return;
    uint32_t cap = wide->cap ? wide->cap : 256;
    while (cap < count)
        cap *= 2;
    for (int field = 0; field < CM_EXTRA_TEXTS; field++)
        wide->ids[field] = cm_realloc(wide->ids[field], cap * sizeof *wide->ids[field]);
    wide->engaged = cm_realloc(wide->engaged, cap * sizeof *wide->engaged);
    wide->cap = cap;
}

/* Counts the strings that a column got after the first `before`. */
static void count_bytes(cm_wide_t *wide, int field, uint32_t before)
{
    const cm_dict_t *dict = &wide->strings[field];

    for (uint32_t id = before; id < dict->count; id++)
        wide->bytes += cm_dict_string(dict, id).len;
}

/* Sets the values of events that have none. */
static void set_absent(cm_wide_t *wide, uint32_t from, uint32_t to)
{
    const size_t size = (to - from) * sizeof(uint32_t);

    for (int field = 0; field < CM_EXTRA_TEXTS; field++)
        memset(wide->ids[field] + from, 0, size);
    memset(wide->engaged + from, 0, size);
}

/* Sets the values of a field of at most TOGETHER events. Short strings are repeated often; the
 * others (referrers, props) are looked up together, for speed. */
static void set_texts(cm_wide_t *wide, int field, uint32_t row,
                      const cm_event_extra_t *const *extras, uint32_t count)
{
    cm_dict_t *dict = &wide->strings[field];
    uint32_t *to[TOGETHER], hashes[TOGETHER], ids[TOGETHER], some = 0;
    const uint32_t before = dict->count;
    cm_str_t strings[TOGETHER];

    for (uint32_t i = 0; i < count; i++) {
        const cm_str_t text = extras[i] != NULL ? extras[i]->text[field] : (cm_str_t){NULL, 0};
        if (text.len > CM_DICT_SHORT_MAX) {
            strings[some] = text;
            hashes[some] = cm_dict_hash(text);
            to[some++] = &wide->ids[field][row + i];
        } else if (text.len > 0) {
            wide->ids[field][row + i] = 1 + cm_dict_put_often(dict, text);
        }
    }
    if (some > 0)
        cm_dict_put_many(dict, strings, hashes, some, ids);
    for (uint32_t i = 0; i < some; i++)
        *to[i] = 1 + ids[i];
    count_bytes(wide, field, before);
}

/* Adds rows without values; false when there are no columns, and none are needed. */
static bool add_rows(cm_wide_t *wide, uint32_t count, bool some)
{
    const uint32_t row = wide->count;

    wide->count += count;
    if (!wide->any && !some)
        return false;
    reserve(wide, wide->count);
    set_absent(wide, wide->any ? row : 0, wide->count);
    wide->any = true;
    return some;
}

void cm_wide_add(cm_wide_t *wide, const cm_event_extra_t *const *extras, uint32_t count)
{
    const uint32_t row = wide->count;
    bool some = false;

    for (uint32_t i = 0; i < count; i++)
        some |= extras[i] != NULL;
    if (!add_rows(wide, count, some))
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (extras[i] != NULL)
            wide->engaged[row + i] = (uint32_t)(extras[i]->engaged_ms + 1);
    }
    for (int field = 0; field < CM_EXTRA_TEXTS; field++) {
        for (uint32_t i = 0; i < count; i += TOGETHER)
            set_texts(wide, field, row + i, extras + i,
                      count - i < TOGETHER ? count - i : TOGETHER);
    }
}

void cm_wide_append(cm_wide_t *to, const cm_wide_t *from, uint32_t count)
{
    const uint32_t row = to->count;

    if (!add_rows(to, count, from->any))
        return;
    memcpy(to->engaged + row, from->engaged, count * sizeof *to->engaged);
    for (int field = 0; field < CM_EXTRA_TEXTS; field++) {
        const cm_dict_t *own = &from->strings[field];
        const uint32_t before = to->strings[field].count;
        uint32_t *ids = cm_alloc((own->count + 1) * sizeof *ids); /* by number; 0: absent */
        ids[0] = 0;
        for (uint32_t id = 0; id < own->count; id++)
            ids[id + 1] = 1 + cm_dict_put(&to->strings[field], cm_dict_string(own, id));
        for (uint32_t i = 0; i < count; i++)
            to->ids[field][row + i] = ids[from->ids[field][i]];
        free(ids);
        count_bytes(to, field, before);
    }
}

bool cm_wide_at(const cm_wide_t *wide, uint32_t row, cm_event_extra_t *extra)
{
    bool found = false;

    if (!wide->any)
        return false;
    for (int field = 0; field < CM_EXTRA_TEXTS; field++) {
        const uint32_t id = wide->ids[field][row];
        extra->text[field] =
            id == 0 ? (cm_str_t){NULL, 0} : cm_dict_string(&wide->strings[field], id - 1);
        found |= id != 0;
    }
    extra->engaged_ms = (int32_t)wide->engaged[row] - 1;
    return found || extra->engaged_ms >= 0;
}

void cm_wide_move(cm_wide_t *wide, uint32_t from, uint32_t to)
{
    if (wide->any || wide->names)
        wide->ids[CM_EXTRA_NAME][to] = wide->ids[CM_EXTRA_NAME][from];
    if (!wide->any)
        return;
    for (int field = CM_EXTRA_NAME + 1; field < CM_EXTRA_TEXTS; field++)
        wide->ids[field][to] = wide->ids[field][from];
    wide->engaged[to] = wide->engaged[from];
}

void cm_wide_encode(const cm_wide_t *wide, const cm_stream_writer_t *writer)
{
    for (int field = 0; field < CM_EXTRA_TEXTS; field++) {
        const cm_dict_t *dict = &wide->strings[field];
        cm_str_t *strings = cm_alloc((dict->count + 1) * sizeof *strings);
        for (uint32_t id = 0; id < dict->count; id++)
            strings[id] = cm_dict_string(dict, id);
        cm_stream_add_ids(writer, wide->ids[field], wide->count);
        cm_stream_add_strings(writer, strings, dict->count, LENGTH);
        free(strings);
    }
    cm_stream_add_ids(writer, wide->engaged, wide->count);
}

/* The column whose strings are read. */
typedef struct taking {
    cm_wide_t *wide;
    int field;
    bool empty; /* one is empty */
} taking_t;

static void take_string(void *context, cm_str_t string)
{
    taking_t *taking = context;

    cm_dict_append(&taking->wide->strings[taking->field], string);
    taking->wide->bytes += string.len;
    taking->empty |= string.len == 0;
}

static uint32_t max_of(const uint32_t *values, uint32_t count)
{
    uint32_t max = 0;
    for (uint32_t i = 0; i < count; i++)
        max = values[i] > max ? values[i] : max;
    return max;
}

static int decode_field(cm_wide_t *wide, int field, cm_stream_reader_t *reader)
{
    taking_t taking = {.wide = wide, .field = field};
    cm_stream_t stream = {0};

    int rc = cm_stream_next_numbers(reader, wide->count, sizeof(uint32_t), &stream);
    if (rc < 0)
        return rc;
    cm_stream_gather(&stream, wide->count, wide->ids[field]);
    /* Each string has an event, so the greatest number is how many there are. */
    const uint32_t strings = max_of(wide->ids[field], wide->count);
    if (strings > wide->count)
        return cm_stream_corrupt(reader->err, "it has more texts than events");
    rc = cm_stream_next_strings(reader, strings, LENGTH, cm_extra_limits[field], take_string,
                                &taking);
    if (rc == 0 && taking.empty)
        rc = cm_stream_corrupt(reader->err, "a string is empty");
    return rc;
}

int cm_wide_decode_views(cm_wide_t *wide, uint32_t count, cm_stream_reader_t *reader)
{
    cm_stream_t stream = {0};

    cm_wide_clear(wide);
    reserve(wide, count);
    int rc = cm_stream_next_numbers(reader, count, sizeof(uint32_t), &stream);
    if (rc < 0)
        return rc;
    cm_stream_gather(&stream, count, wide->ids[CM_EXTRA_NAME]);
    wide->count = count;
    wide->names = true;
    return 0;
}

static int decode_engaged(cm_wide_t *wide, cm_stream_reader_t *reader)
{
    cm_stream_t stream = {0};

    int rc = cm_stream_next_numbers(reader, wide->count, ENGAGED_WIDTH, &stream);
    if (rc < 0)
        return rc;
    cm_stream_gather(&stream, wide->count, wide->engaged);
    if (max_of(wide->engaged, wide->count) > CM_ENGAGED_MAX + 1)
        return cm_stream_corrupt(reader->err, "an engaged time is out of range");
    return 0;
}

int cm_wide_decode(cm_wide_t *wide, uint32_t count, uint32_t only, cm_stream_reader_t *reader)
{
    int rc = 0;

    cm_wide_clear(wide);
    reserve(wide, count);
    wide->count = count;
    for (int field = 0; rc == 0 && field < CM_EXTRA_TEXTS; field++)
        rc = only >> field & 1 ? decode_field(wide, field, reader)
                               : cm_stream_skip(reader, TEXT_STREAMS);
    if (rc == 0 && only >> CM_EXTRA_ENGAGED & 1)
        rc = decode_engaged(wide, reader);
    wide->any = rc == 0;
    return rc;
}

void cm_wide_clear(cm_wide_t *wide)
{
    if (wide->any || wide->count > 0) {
        for (int field = 0; field < CM_EXTRA_TEXTS; field++)
            cm_dict_clear(&wide->strings[field]);
    }
    wide->any = wide->names = false;
    wide->count = 0;
    wide->bytes = 0;
}

void cm_wide_free(cm_wide_t *wide)
{
    for (int field = 0; field < CM_EXTRA_TEXTS; field++) {
        free(wide->ids[field]);
        cm_dict_free(&wide->strings[field]);
    }
    free(wide->engaged);
    *wide = (cm_wide_t){0};
}
