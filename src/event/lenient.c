#include "event/lenient.h"

#include "event/props.h"

enum { LARGE = 19 }; /* an integer of at least so many digits may have more than 64 bits */

/* Whether the timestamp comes from a member inside this one. */
static bool has_time_inside(cm_str_t name, const cm_event_map_t *map)
{
    const cm_str_t path = cm_event_map_path(map, CM_MAP_TIMESTAMP);

    return path.len > name.len && path.data[name.len] == '.' &&
           cm_bytes_equal(path.data, name.data, name.len);
}

/* Whether the value of this member is read as a number, and so never changed: a timestamp must not
 * become 0. The optional fields are read from the text as it came. */
static bool is_known(cm_str_t name, const cm_event_map_t *map)
{
    if (has_time_inside(name, map))
        return true;
    /* A name with an escape could be any of them. */
    if (name.len > 0 && memchr(name.data, '\\', name.len) != NULL)
        return true;
    const unsigned field = cm_event_map_field(map, name);
    return field < CM_MAP_NINE || field == CM_MAP_ADDRESS || field == CM_MAP_AGENT;
}

/* Whether the number may be one that the parser rejects; its exponent may be beyond a double. */
static bool is_large(cm_str_t number)
{
    size_t at = number.data[0] == '-';
    const size_t from = at;

    while (at < number.len && number.data[at] >= '0' && number.data[at] <= '9')
        at++;
    return at - from >= LARGE || memchr(number.data, 'e', number.len) != NULL ||
           memchr(number.data, 'E', number.len) != NULL;
}

/* Overwrites the number at `at` with 0 when it is large; returns its end. */
static size_t mend_number(char *text, size_t at, size_t len, bool *mended)
{
    const size_t number = cm_member_number((cm_str_t){text + at, len - at});

    if (number == 0) {
        /* Not a number, and no part of it may become one: the parser reports the error. */
        while (at < len && strchr("+-.0123456789Ee", text[at]) != NULL && text[at] != '\0')
            at++;
        return at;
    }
    if (is_large((cm_str_t){text + at, number})) {
        memset(text + at, ' ', number);
        text[at] = '0';
        *mended = true;
    }
    return at + number;
}

/* The end of the string whose opening quote is at `at`. */
static size_t pass_string(const char *text, size_t at, size_t len)
{
    for (at++; at < len && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < len ? at + 1 : len;
}

bool cm_lenient_mend(char *text, size_t len, const cm_event_map_t *map)
{
    size_t depth = 0;
    /* `mend`: inside an unknown field's value. `name`: the next string is a field's name. */
    bool mend = false, name = false, mended = false;

    for (size_t at = 0; at < len;) {
        const char c = text[at];
        if (c == '"') {
            size_t end = pass_string(text, at, len);
            if (name)
                mend = !is_known((cm_str_t){text + at + 1, end > at + 1 ? end - at - 2 : 0}, map);
            name = false;
            at = end;
            continue;
        }
        if (mend && (c == '-' || (c >= '0' && c <= '9'))) {
            at = mend_number(text, at, len, &mended);
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth == 1 && (c == ',' || c == '{')) {
            mend = false;
            name = true;
        }
        at++;
    }
    return mended;
}
