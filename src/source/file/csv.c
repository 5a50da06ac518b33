#include "source/file/csv.h"

/* The contract's fields in the contract's order, which is also that of cm_event_add_csv_header().
 * The optional ones follow the nine, in the order of cm_extra_field_t. */
enum { ROW_KEY, USER_ID, TIMESTAMP, URL, COUNTRY, CITY, BROWSER, OS, DEVICE, NINE };
enum { FIELDS = NINE + CM_EXTRA_COUNT, UNKNOWN = 255 };

static const char *const names[NINE] = {"row_key", "user_id", "timestamp", "url",   "country",
                                        "city",    "browser", "os",        "device"};

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

static unsigned char find_name(cm_str_t name)
{
    for (unsigned char i = 0; i < NINE; i++) {
        if (cm_str_equal(name, cm_str(names[i])))
            return i;
    }
    const cm_extra_field_t extra = cm_extra_find(name);
    return extra == CM_EXTRA_COUNT ? UNKNOWN : (unsigned char)(NINE + extra);
}

static const char *name_of(unsigned char field)
{
    return field < NINE ? names[field] : cm_extra_names[field - NINE];
}

int cm_csv_header(const cm_csv_record_t *header, cm_csv_columns_t *columns, cm_err_t *err)
{
    bool seen[FIELDS] = {false};

    columns->count = header->count;
    columns->unknown = 0;
    columns->has_extra = false;
    for (size_t i = 0; i < header->count; i++) {
        unsigned char field = find_name(cm_str_trim(header->fields[i].text));
        columns->field[i] = field;
        if (field == UNKNOWN) {
            columns->unknown++;
            continue;
        }
        columns->has_extra |= field >= NINE;
        if (seen[field])
            return cm_fail(err, CM_EINPUT, "the CSV header names %s twice; rename one of the two",
                           name_of(field));
        seen[field] = true;
    }
    for (int i = USER_ID; i <= URL; i++) {
        if (!seen[i])
            return cm_fail(err, CM_EINPUT,
                           "the first line does not name the column %s; CSV needs a header with "
                           "user_id, timestamp and url",
                           names[i]);
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
static int take_extra(const cm_csv_columns_t *columns, const cm_str_t texts[FIELDS],
                      cm_arena_t *arena, cm_event_t *event, cm_err_t *err)
{
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;

    for (size_t i = 0; i < columns->count; i++) {
        const unsigned char field = columns->field[i];
        if (field == UNKNOWN || field < NINE)
            continue;
        int rc =
            cm_event_extra_set(&extra, (cm_extra_field_t)(field - NINE), texts[field], arena, err);
        if (rc < 0)
            return rc;
    }
    event->extra = cm_event_extra_keep(&extra, arena);
    return 0;
}

/* Puts the texts of a record in the order of the contract's fields. */
static void arrange(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                    cm_arena_t *arena, cm_str_t texts[FIELDS])
{
    for (size_t i = 0; i < columns->count; i++) {
        if (columns->field[i] != UNKNOWN)
            texts[columns->field[i]] = trim(cm_csv_text(&record->fields[i], arena));
    }
}

int cm_csv_event(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                 const cm_timestamp_format_t *times, cm_arena_t *arena, cm_event_t *event,
                 cm_err_t *err)
{
    cm_str_t texts[FIELDS] = {{NULL, 0}};

    if (record->count != columns->count)
        return cm_fail(err, CM_EREJECT, "the record has %zu fields, the header names %zu",
                       record->count, columns->count);
    arrange(columns, record, arena, texts);
    if (texts[TIMESTAMP].len == 0)
        return cm_fail(err, CM_EREJECT, "timestamp is missing or empty");
    *event = (cm_event_t){
        .user_id = texts[USER_ID],
        .url = texts[URL],
        .country = texts[COUNTRY],
        .city = texts[CITY],
        .browser = texts[BROWSER],
        .os = texts[OS],
        .device = texts[DEVICE],
        .row_key = texts[ROW_KEY],
    };
    int rc = cm_timestamp_parse(texts[TIMESTAMP], times, &event->timestamp, err);
    if (rc == 0 && columns->has_extra)
        rc = take_extra(columns, texts, arena, event, err);
    if (rc < 0)
        return rc;
    cm_event_complete(event);
    return cm_event_check(event, false, err);
}
