#include "source/file/csv.h"

/* What follows a field. */
typedef enum stop {
    MORE, /* the data ends before the field does */
    COMMA,
    LINE_END,
    BROKEN,
} stop_t;

/* Reads the byte after a field and skips it. */
static stop_t stop_at(cm_str_t data, bool last, size_t *at)
{
    if (*at < data.len && data.data[*at] == ',') {
        (*at)++;
        return COMMA;
    }
    if (*at < data.len && data.data[*at] == '\r') {
        if (*at + 1 == data.len && !last)
            return MORE;
        (*at)++;
    }
    if (*at < data.len && data.data[*at] == '\n') {
        (*at)++;
        return LINE_END;
    }
    if (*at < data.len)
        return BROKEN;
    return last ? LINE_END : MORE;
}

static size_t skip_blanks(cm_str_t data, size_t at)
{
    while (at < data.len && (data.data[at] == ' ' || data.data[at] == '\t'))
        at++;
    return at;
}

static stop_t split_quoted(cm_str_t data, bool last, size_t *at, cm_csv_field_t *field)
{
    size_t from = ++*at;

    field->doubled = false;
    for (;;) {
        const char *quote = memchr(data.data + *at, '"', data.len - *at);
        if (quote == NULL)
            return last ? BROKEN : MORE;
        *at = (size_t)(quote - data.data) + 1;
        if (*at == data.len && !last)
            return MORE; /* the quote may be the first of two */
        if (*at == data.len || data.data[*at] != '"')
            break;
        field->doubled = true;
        (*at)++;
    }
    field->text = (cm_str_t){data.data + from, *at - 1 - from};
    *at = skip_blanks(data, *at);
    return stop_at(data, last, at);
}

static stop_t split_plain(cm_str_t data, bool last, size_t *at, cm_csv_field_t *field)
{
    size_t from = *at;

    while (*at < data.len && data.data[*at] != ',' && data.data[*at] != '\n')
        (*at)++;
    size_t end = *at;
    bool line_end = *at == data.len || data.data[*at] == '\n';
    if (line_end && end > from && data.data[end - 1] == '\r')
        end--;
    field->doubled = false;
    field->text = (cm_str_t){data.data + from, end - from};
    return stop_at(data, last, at);
}

int cm_csv_split(cm_str_t data, bool last, cm_csv_record_t *record, size_t *used, cm_err_t *err)
{
    size_t at = 0, count = 0;
    stop_t stop = COMMA;

    while (stop == COMMA) {
        cm_csv_field_t field;
        size_t begin = skip_blanks(data, at);
        bool quoted = begin < data.len && data.data[begin] == '"';
        if (quoted)
            at = begin;
        stop =
            quoted ? split_quoted(data, last, &at, &field) : split_plain(data, last, &at, &field);
        field.quoted = quoted;
        if (stop == BROKEN)
            return cm_fail(err, CM_EREJECT, "field %zu opens a quote and does not close it",
                           count + 1);
        if (stop == MORE)
            return 0;
        if (count < CM_CSV_FIELDS)
            record->fields[count] = field;
        count++;
    }
    if (count > CM_CSV_FIELDS)
        return cm_fail(err, CM_EREJECT, "the record has %zu fields, the limit is %d", count,
                       CM_CSV_FIELDS);
    record->count = count;
    *used = at;
    return 1;
}

cm_str_t cm_csv_text(const cm_csv_field_t *field, cm_arena_t *arena)
{
    if (!field->doubled)
        return field->text;
    cm_str_t copy = cm_arena_copy(arena, field->text);
    char *to = (char *)copy.data;
    for (size_t i = 0; i < field->text.len; i++) {
        *to++ = field->text.data[i];
        if (field->text.data[i] == '"')
            i++;
    }
    copy.len = (size_t)(to - copy.data);
    return copy;
}

/* The addresses and user agents of visitors are read from JSON alone. */
static unsigned char find_field(cm_str_t name, const cm_event_map_t *map)
{
    const unsigned field = cm_event_map_field(map, name);
    return field < CM_MAP_STORED ? (unsigned char)field : CM_MAP_NONE;
}

/* Counts one column: CM_EINPUT when another one gives the same field. */
static int take_column(cm_csv_columns_t *columns, unsigned char field, const cm_event_map_t *map,
                       bool seen[CM_MAP_STORED], cm_err_t *err)
{
    if (field == CM_MAP_NONE) {
        columns->unknown++;
        return 0;
    }
    if (seen[field])
        return cm_fail(err, CM_EINPUT, "the CSV header names %.*s twice; rename one of the two",
                       (int)cm_event_map_path(map, field).len, cm_event_map_path(map, field).data);
    seen[field] = true;
    columns->has_extra |= field >= CM_MAP_NINE;
    return 0;
}

int cm_csv_header(const cm_csv_record_t *header, const cm_event_map_t *map,
                  cm_csv_columns_t *columns, cm_err_t *err)
{
    bool seen[CM_MAP_STORED] = {false};

    columns->count = header->count;
    columns->unknown = 0;
    columns->has_extra = false;
    columns->map = map;
    for (size_t i = 0; i < header->count; i++) {
        columns->field[i] = find_field(cm_str_trim(header->fields[i].text), map);
        int rc = take_column(columns, columns->field[i], map, seen, err);
        if (rc < 0)
            return rc;
    }
    for (unsigned i = CM_MAP_USER_ID; i <= CM_MAP_URL; i++) {
        const cm_str_t path = cm_event_map_path(map, i);
        if (!seen[i])
            return cm_fail(err, CM_EINPUT,
                           "the first line does not name the column %.*s; CSV needs a header with "
                           "user_id, timestamp and url%s",
                           (int)path.len, path.data,
                           map != NULL ? ", or the columns that event.map names" : "");
    }
    return 0;
}

/* In nearly all cases the first and the last byte show that there is nothing to trim. */
static inline cm_str_t trim(cm_str_t text)
{
    if (text.len > 0 &&
        ((unsigned char)text.data[0] <= ' ' || (unsigned char)text.data[text.len - 1] <= ' '))
        return cm_str_trim(text);
    return text;
}

/* Reads the optional fields from the texts of a record. */
static int take_extra(const cm_csv_columns_t *columns, const cm_str_t texts[CM_MAP_STORED],
                      cm_arena_t *arena, cm_event_t *event, cm_err_t *err)
{
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;

    for (size_t i = 0; i < columns->count; i++) {
        const unsigned char field = columns->field[i];
        if (field == CM_MAP_NONE || field < CM_MAP_NINE)
            continue;
        int rc = cm_event_extra_set(&extra, (cm_extra_field_t)(field - CM_MAP_NINE), texts[field],
                                    arena, err);
        if (rc < 0)
            return rc;
    }
    event->extra = cm_event_extra_keep(&extra, arena);
    return 0;
}

/* Puts the texts of a record in the order of the contract's fields. */
static void arrange(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                    cm_arena_t *arena, cm_str_t texts[CM_MAP_STORED])
{
    for (size_t i = 0; i < columns->count; i++) {
        const unsigned char field = columns->field[i];
        if (field == CM_MAP_NONE)
            continue;
        /* An exported text has its blanks in quotes. The nine fields of the first edition never
         * kept them, and props and engaged_ms are no texts. */
        const bool kept = record->fields[i].quoted && field >= CM_MAP_NINE &&
                          field < CM_MAP_NINE + (unsigned)CM_EXTRA_PROPS;
        const cm_str_t text = cm_csv_text(&record->fields[i], arena);
        texts[field] = kept ? text : trim(text);
    }
}

static int make_event(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                      const cm_timestamp_format_t *times, cm_arena_t *arena, cm_event_t *event,
                      cm_err_t *err)
{
    cm_str_t texts[CM_MAP_STORED] = {{NULL, 0}};

    if (record->count != columns->count)
        return cm_fail(err, CM_EREJECT, "the record has %zu fields, the header names %zu",
                       record->count, columns->count);
    arrange(columns, record, arena, texts);
    if (texts[CM_MAP_TIMESTAMP].len == 0)
        return cm_fail(err, CM_EREJECT, "timestamp is missing or empty");
    *event = (cm_event_t){
        .user_id = texts[CM_MAP_USER_ID],
        .url = texts[CM_MAP_URL],
        .country = texts[CM_MAP_COUNTRY],
        .city = texts[CM_MAP_CITY],
        .browser = texts[CM_MAP_BROWSER],
        .os = texts[CM_MAP_OS],
        .device = texts[CM_MAP_DEVICE],
        .row_key = texts[CM_MAP_ROW_KEY],
    };
    int rc = cm_timestamp_parse(texts[CM_MAP_TIMESTAMP], times, &event->timestamp, err);
    if (rc == 0 && columns->has_extra)
        rc = take_extra(columns, texts, arena, event, err);
    if (rc < 0)
        return rc;
    cm_event_complete(event);
    return cm_event_check(event, false, err);
}

int cm_csv_event(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                 const cm_timestamp_format_t *times, cm_arena_t *arena, cm_event_t *event,
                 cm_err_t *err)
{
    int rc = make_event(columns, record, times, arena, event, err);
    if (rc < 0)
        cm_event_map_explain(columns->map, err);
    return rc;
}
