#include "source/file/values.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(cm_str_t data, size_t at)
{
    while (at < data.len && is_blank(data.data[at]))
        at++;
    return at;
}

static size_t line_end(cm_str_t data, size_t at)
{
    const char *newline = at < data.len ? memchr(data.data + at, '\n', data.len - at) : NULL;

    return newline != NULL ? (size_t)(newline - data.data) : data.len;
}

/* Returns the position after the string that begins at `at`. The end of a line ends a string, too:
 * JSON has no line ends in strings, and after a missing quote the rest of the file must still be
 * read correctly. */
static size_t skip_string(cm_str_t data, size_t at)
{
    for (at++; at < data.len && data.data[at] != '"' && data.data[at] != '\n'; at++)
        at += data.data[at] == '\\' && at + 1 < data.len;
    return at < data.len ? at + 1 : data.len;
}

/* The end of the element at `at`: the comma or bracket after it or, for an object outside of
 * arrays, its closing brace. `data.len` when it does not end. With `last`, the end of the file also
 * ends it, when nothing in it is open. */
static size_t element_end(cm_str_t data, size_t at, bool inside, bool last, bool *whole)
{
    size_t depth = 0;

    for (*whole = true; at < data.len;) {
        const char c = data.data[at];
        if (c == '"') {
            at = skip_string(data, at);
            continue;
        }
        if (depth == 0 && inside && (c == ',' || c == ']'))
            return at;
        at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0 && --depth == 0 && !inside)
            return at;
    }
    const cm_str_t text = cm_str_trim(data);
    *whole = last && inside && depth == 0 && text.len > 0 && text.data[text.len - 1] == '}';
    return at;
}

/* Skips the separators between elements. True when the byte at `*at` begins an element, or is a
 * comma or bracket where an element should be. */
static bool skip_between(cm_values_t *values, cm_str_t data, size_t *at)
{
    for (*at = skip_blanks(data, *at); *at < data.len; *at = skip_blanks(data, *at + 1)) {
        const char c = data.data[*at];
        if (!values->inside && c == '[')
            *values = (cm_values_t){.inside = true};
        else if (values->inside && values->behind && c == ',')
            *values = (cm_values_t){.inside = true, .comma = true};
        else if (values->inside && !values->comma && c == ']')
            *values = (cm_values_t){0};
        else
            return true;
    }
    return false;
}

/* The element that was found in the window. */
typedef struct found {
    size_t at, end; /* of the element */
    bool whole;
    const char *reason;
} found_t;

/* Handles a comma or bracket where an element should be. */
static void find_missing(cm_values_t *values, char c, found_t *found)
{
    found->end = found->at + 1;
    found->reason = "an event is missing in the array";
    values->inside = values->comma = c == ',';
    values->behind = false;
}

/* Finds the next element, or its available part. False: there are only separators, up to
 * `found->at`. */
static bool find(cm_values_t *values, cm_str_t data, bool last, found_t *found)
{
    *found = (found_t){.whole = true};
    bool any = skip_between(values, data, &found->at);
    found->end = found->at;
    if (!any) {
        if (!last || !values->inside)
            return false;
        values->inside = values->behind = values->comma = false;
        found->reason = "the array is not closed: the file ends before its bracket";
        return true;
    }
    const char c = data.data[found->at];
    if (values->inside && (c == ',' || c == ']')) {
        find_missing(values, c, found);
    } else if (!values->inside && c != '{') {
        found->end = line_end(data, found->at);
        found->whole = found->end < data.len || last;
        found->reason = "neither an array nor an object begins here";
    } else {
        found->end = element_end(data, found->at, values->inside, last, &found->whole);
    }
    return true;
}

static void set_behind(cm_values_t *values)
{
    values->behind = values->inside;
    values->comma = false;
}

static uint64_t count_lines(const char *at, size_t len)
{
    uint64_t count = 0;

    for (const char *end = at + len; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        count++;
    return count;
}

static void skip(cm_lines_t *lines, size_t len)
{
    lines->number += count_lines(lines->buffer + lines->at, len);
    lines->at += len;
    lines->offset += len;
}

/* Takes `len` bytes of the window as an element, which is rejected or passed to the parser. */
static void hand_out(cm_values_t *values, cm_lines_t *lines, size_t len, const char *reason,
                     cm_value_t *value)
{
    value->line.text = cm_str_trim((cm_str_t){lines->buffer + lines->at, len});
    value->line.number = lines->number + 1;
    value->line.too_long = value->line.text.len > CM_LINE_MAX;
    value->reason = reason;
    if (value->line.too_long)
        value->line.text.len = CM_LINE_HEAD;
    skip(lines, len);
    values->end = lines->offset;
}

/* Whether the first line of a broken element is followed by a line that begins an object or array.
 */
static bool ends_with_line(cm_str_t element, size_t *len)
{
    if (element.len > CM_LINE_MAX)
        element.len = CM_LINE_MAX;
    *len = line_end(element, 0);
    size_t next = skip_blanks(element, *len);
    return next < element.len && (element.data[next] == '{' || element.data[next] == '[');
}

/* Skips the rest of an element that is too long. False: it does not end in the window. */
static bool drop(cm_values_t *values, cm_lines_t *lines, cm_value_t *value)
{
    const char *data = lines->buffer + lines->at;
    const size_t len = lines->end - lines->at;
    size_t at = 0;
    bool ended = false;

    for (; at < len && !ended; at++) {
        const char c = data[at];
        if (values->quoted) {
            values->quoted = (c != '"' || values->escaped) && c != '\n';
            values->escaped = c == '\\' && !values->escaped;
            continue;
        }
        if (values->depth == 0 && values->inside && (c == ',' || c == ']'))
            break;
        values->quoted = c == '"';
        values->escaped = false;
        if (c == '{' || c == '[')
            values->depth++;
        else if ((c == '}' || c == ']') && values->depth > 0)
            ended = --values->depth == 0 && !values->inside;
    }
    ended = ended || at < len || lines->ended;
    skip(lines, at);
    if (!ended)
        return false;
    values->dropping = false;
    values->end = lines->offset;
    set_behind(values);
    *value = (cm_value_t){{{lines->head, lines->head_len}, values->line, true}, NULL};
    return true;
}

static void begin_dropping(cm_values_t *values, cm_lines_t *lines)
{
    values->dropping = true;
    values->quoted = values->escaped = false;
    values->depth = 0;
    values->line = lines->number + 1;
    lines->head_len = CM_LINE_HEAD;
    memcpy(lines->head, lines->buffer + lines->at, CM_LINE_HEAD);
}

bool cm_values_take(cm_values_t *values, cm_lines_t *lines, cm_value_t *value)
{
    found_t found;
    size_t line;

    if (values->dropping)
        return drop(values, lines, value);
    const cm_str_t window = cm_lines_window(lines);
    bool any = find(values, window, lines->ended, &found);
    skip(lines, found.at);
    if (!any)
        return false;
    const cm_str_t element = {window.data + found.at, found.end - found.at};
    const bool broken = !found.whole && lines->ended;
    if (found.whole && element.len <= CM_LINE_MAX) {
        hand_out(values, lines, element.len, found.reason, value);
        if (found.reason == NULL)
            set_behind(values);
        return true;
    }
    if (!broken && element.len <= CM_LINE_MAX)
        return false;
    if (ends_with_line(element, &line)) {
        hand_out(values, lines, line, "not valid JSON: the event is not closed in its line", value);
        set_behind(values);
        values->comma = values->inside;
        values->behind = false;
        return true;
    }
    if (element.len > CM_LINE_MAX) {
        begin_dropping(values, lines);
        return drop(values, lines, value);
    }
    hand_out(values, lines, element.len, "the file ends inside of this event", value);
    *values = (cm_values_t){.end = values->end};
    return true;
}

/* Whether everything that the line opens is also closed in it. */
static bool is_balanced(cm_str_t line)
{
    bool whole;

    return element_end(line, 0, false, true, &whole) <= line.len && whole;
}

bool cm_values_recognise(cm_str_t line, cm_str_t next)
{
    line = cm_str_trim(line);
    next = cm_str_trim(next);
    if (line.len > 0 && line.data[0] == '[')
        return true;
    if (line.len == 0 || line.data[0] != '{' || is_balanced(line))
        return false;
    /* A cut line is followed by another event; the first line of a long event is followed by
     * fields. */
    return strchr("{[,:", line.data[line.len - 1]) != NULL && next.len > 0 && next.data[0] != '{';
}
