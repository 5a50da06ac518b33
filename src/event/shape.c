#include "event/shape.h"

#include "base/clock.h"
#include "event/props.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where a value of the nine fields is stored. After these come the optional fields, in the order of
 * cm_extra_field_t. All are strings, but TIMESTAMP and ENGAGED are integers and PROPS is an object.
 */
static const struct {
    size_t offset;
    size_t max;
} fields[CM_MAP_NINE] = {
    {offsetof(cm_event_t, row_key), CM_ROW_KEY_MAX},
    {offsetof(cm_event_t, user_id), CM_USER_ID_MAX},
    {offsetof(cm_event_t, timestamp), 0},
    {offsetof(cm_event_t, url), CM_URL_MAX},
    {offsetof(cm_event_t, country), CM_FIELD_MAX},
    {offsetof(cm_event_t, city), CM_FIELD_MAX},
    {offsetof(cm_event_t, browser), CM_FIELD_MAX},
    {offsetof(cm_event_t, os), CM_FIELD_MAX},
    {offsetof(cm_event_t, device), CM_FIELD_MAX},
};

enum {
    TIMESTAMP = CM_MAP_TIMESTAMP,
    PROPS = CM_MAP_NINE + CM_EXTRA_PROPS,
    ENGAGED = CM_MAP_NINE + CM_EXTRA_ENGAGED,
    DIGITS_MAX = 13, /* 13 digits of ms reach the year 2286 */
};

static inline bool is_number(unsigned field)
{
    return field == TIMESTAMP || field == ENGAGED;
}

/* The first byte from `at` on that is a quote, a backslash, a control character or not ASCII. That
 * is the end of a plain value, or the reason why it is not plain. If there is no such byte it is
 * `line_end` or up to 15 bytes later. Reads up to 15 bytes after the line. */
static inline const char *plain_end(const char *at, const char *line_end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    for (; at < line_end; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        /* A signed comparison: bytes from 0x80 on are negative, so they are less than a space. */
        __m128i stop = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
            _mm_cmplt_epi8(bytes, space));
        int mask = _mm_movemask_epi8(stop);
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
    }
#else
    while (at < line_end && (signed char)*at >= ' ' && *at != '"' && *at != '\\')
        at++;
#endif
    return at;
}

/* The closing quote of the string that begins at `at`; NULL when it has escapes, control characters
 * or invalid UTF-8. */
static const char *text_end(const char *at, const char *line_end)
{
    const char *from = at;

    for (at = plain_end(at, line_end); at < line_end && (signed char)*at < 0;
         at = plain_end(at, line_end)) {
        while (at < line_end && (signed char)*at < 0)
            at++;
    }
    if (at >= line_end || *at != '"')
        return NULL;
    return cm_utf8_valid(from, (size_t)(at - from)) ? at : NULL;
}

/* Reads the eight digits at `at`; false when one of them is not a digit. Pairs of digits become
 * numbers, then pairs of these, then pairs of those, all within one word. */
static inline bool eight_digits(const char *at, int64_t *value)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t bytes = 0;

    for (int i = 0; i < 8; i++)
        bytes |= (uint64_t)(uint8_t)at[i] << (8 * i); /* one load on little-endian machines */
    /* For '0' to '9' the high half is 3, and still is after adding 6. */
    if ((bytes & 0xF0 * ones) != 0x30 * ones || ((bytes + 6 * ones) & 0xF0 * ones) != 0x30 * ones)
        return false;
    bytes -= '0' * ones;
    bytes = (bytes * 10 + (bytes >> 8)) & UINT64_C(0x00FF00FF00FF00FF);
    bytes = (bytes * 100 + (bytes >> 16)) & UINT64_C(0x0000FFFF0000FFFF);
    bytes = bytes * 10000 + (bytes >> 32);
    *value = (int64_t)(bytes & UINT32_MAX);
    return true;
}

/* Reads the digits at `at` as a number and returns their end; NULL when there are none or too many,
 * or when the first is a zero. */
static const char *digits_end(const char *at, const char *line_end, int64_t *value)
{
    const char *from = at;
    int64_t sum = 0;

    if (line_end - at >= 8 && eight_digits(at, &sum))
        at += 8;
    for (; at < line_end && *at >= '0' && *at <= '9'; at++) {
        if (at - from == DIGITS_MAX)
            return NULL;
        sum = sum * 10 + (*at - '0');
    }
    if (at == from || *from == '0')
        return NULL;
    *value = sum;
    return at;
}

/* Whether the bytes at `at` are the gap; reads up to 15 bytes after it. */
static inline bool gap_fits(const char *at, const char *gap, size_t len)
{
#ifdef __SSE2__
    for (size_t i = 0; i < len; i += 16) {
        __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(at + i)),
                                      _mm_loadu_si128((const __m128i *)(gap + i)));
        unsigned differ = ~(unsigned)_mm_movemask_epi8(same) & 0xFFFF;
        if (len - i < 16)
            differ &= (1u << (len - i)) - 1;
        if (differ != 0)
            return false;
    }
    return true;
#else
    return memcmp(at, gap, len) == 0;
#endif
}

/* What is read of a line; the optional fields only by shapes that have some. */
typedef struct reading {
    cm_arena_t *arena;
    cm_event_t *event;
    cm_event_extra_t *extra;
} reading_t;

/* Reads the properties at `at` and returns their end; NULL when the full parser must read them. */
static const char *read_props(const char *at, const char *line_end, reading_t *into)
{
    cm_err_t ignored;

    const char *end = cm_member_object_end(at, line_end);
    if (end == NULL || !cm_utf8_valid(at, (size_t)(end - at)) ||
        cm_props_read((cm_str_t){at, (size_t)(end - at)}, into->arena,
                      &into->extra->text[CM_EXTRA_PROPS], &ignored) < 0)
        return NULL;
    return end;
}

/* Reads the value of a field at `at` and returns its end; NULL when it does not fit. */
static inline const char *read_value(unsigned field, const char *at, const char *line_end,
                                     reading_t *into)
{
    if (is_number(field)) {
        int64_t ms = 0;
        const char *end = digits_end(at, line_end, &ms);
        if (field == TIMESTAMP)
            into->event->timestamp = ms;
        else if (ms <= CM_ENGAGED_MAX)
            into->extra->engaged_ms = (int32_t)ms;
        else
            return NULL;
        return end;
    }
    if (field == PROPS)
        return read_props(at, line_end, into);
    const char *end = plain_end(at, line_end);
    if ((end >= line_end || *end != '"') && (end = text_end(at, line_end)) == NULL)
        return NULL;
    const bool nine = field < CM_MAP_NINE;
    cm_str_t *text = nine ? (cm_str_t *)((char *)into->event + fields[field].offset)
                          : &into->extra->text[field - CM_MAP_NINE];
    *text = (cm_str_t){at, (size_t)(end - at)};
    if (text->len > (nine ? fields[field].max : cm_extra_limits[field - CM_MAP_NINE]))
        return NULL;
    return end;
}

/* Gives the event its optional fields; false when they break a rule, which the full parser
 * reports. */
static bool keep_extra(reading_t *into)
{
    cm_err_t ignored;

    into->event->extra = cm_event_extra_keep(into->extra, into->arena);
    return cm_event_extra_check(into->extra, true, &ignored) == 0;
}

bool cm_shape_read(const cm_shape_t *shape, cm_str_t line, cm_arena_t *arena, cm_event_t *event)
{
    const char *at = line.data, *line_end = line.data + line.len;
    cm_event_extra_t extra;
    reading_t into = {arena, event, &extra};

    if (shape->count == 0)
        return false;
    /* One by one: to clear the whole event, the compiler uses an instruction that is slow to start.
     */
    event->timestamp = 0;
    event->user_id = event->url = event->country = event->city = event->browser = event->os =
        event->device = event->row_key = (cm_str_t){0};
    event->extra = NULL;
    if (shape->has_extra)
        extra = CM_EVENT_EXTRA_NONE;
    for (unsigned i = 0; i < shape->count; i++) {
        const struct cm_shape_value *value = &shape->values[i];
        if (line_end - at < value->gap_len || !gap_fits(at, value->gap, value->gap_len))
            return false;
        at = read_value(value->field, at + value->gap_len, line_end, &into);
        if (at == NULL)
            return false;
    }
    if (line_end - at != shape->end_len || !gap_fits(at, shape->end, shape->end_len))
        return false;
    if (event->user_id.len == 0 || event->url.len == 0 || event->timestamp <= 0 ||
        event->timestamp >= CM_TIME_END ||
        (event->timestamp >= CM_SECONDS_FIRST && event->timestamp <= CM_SECONDS_LAST))
        return false;
    if (shape->has_extra && !keep_extra(&into))
        return false;
    cm_event_complete(event);
    return true;
}

/* ---- learning ---- */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* The field with the quoted name at `*at`; -1 when no field is kept that the name gives, or when
 * members inside its value give others. */
static int take_name(const char **at, const char *end, const cm_event_map_t *map)
{
    const char *name = *at + 1;

    if (*at >= end || **at != '"')
        return -1;
    const char *close = memchr(name, '"', (size_t)(end - name));
    if (close == NULL)
        return -1;
    *at = close + 1;
    const cm_str_t path = {name, (size_t)(close - name)};
    const unsigned field = cm_event_map_field(map, path);
    return field < CM_MAP_STORED && !cm_event_map_is_parent(map, path) ? (int)field : -1;
}

/* Learns one `"name": value` and the gap before it, which begins at `gap`; false when it is too
 * unusual. */
static bool learn_value(cm_shape_t *shape, const char **at, const char *gap, const char *end,
                        const cm_event_map_t *map)
{
    struct cm_shape_value *value = &shape->values[shape->count];
    int64_t ignored;

    int field = take_name(at, end, map);
    *at = skip_space(*at, end);
    if (field < 0 || shape->count == CM_MAP_STORED || *at >= end || **at != ':')
        return false;
    *at = skip_space(*at + 1, end);
    if (field == PROPS ? *at >= end || **at != '{'
                       : !is_number((unsigned)field) && (*at >= end || *(*at)++ != '"'))
        return false;
    if (*at - gap > CM_SHAPE_GAP)
        return false;
    value->gap_len = (unsigned char)(*at - gap);
    value->field = (unsigned char)field;
    memcpy(value->gap, gap, value->gap_len);
    *at = is_number((unsigned)field) ? digits_end(*at, end, &ignored)
          : field == PROPS           ? cm_member_object_end(*at, end)
                                     : text_end(*at, end);
    shape->has_extra |= field >= CM_MAP_NINE;
    shape->count++;
    return *at != NULL;
}

/* True when a field occurs twice: then the last one counts, and only the full parser can tell. */
static bool has_twin(const cm_shape_t *shape)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < shape->count; i++) {
        if (seen & 1u << shape->values[i].field)
            return true;
        seen |= 1u << shape->values[i].field;
    }
    return false;
}

void cm_shape_learn(cm_shape_t *shape, cm_str_t line, const cm_event_map_t *map)
{
    const char *at = line.data, *end = line.data + line.len, *gap = at;

    shape->count = 0;
    shape->has_extra = false;
    at = skip_space(at, end);
    do {
        /* Skip the closing quote of the value before, then the brace or comma. */
        if (shape->count > 0 && at < end && *at == '"')
            at++;
        at = skip_space(at, end);
        if (at >= end || *at != (shape->count == 0 ? '{' : ','))
            break;
        at = skip_space(at + 1, end);
        if (!learn_value(shape, &at, gap, end, map)) {
            shape->count = 0;
            return;
        }
        gap = at;
    } while (at < end);
    /* Only the closing brace may follow the last value. A carriage return before a comma also ends
     * the loop; the values of the fields after it would be learnt as punctuation. */
    if (at >= end || *at != '}' || skip_space(at + 1, end) != end || end - gap > CM_SHAPE_GAP ||
        has_twin(shape)) {
        shape->count = 0;
        return;
    }
    shape->end_len = (unsigned char)(end - gap);
    memcpy(shape->end, gap, shape->end_len);
}
