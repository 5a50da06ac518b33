#include "source/lines.h"

#include "event/json.h"

#include <stdlib.h>

enum {
    READ_SIZE = 512 * 1024, /* bytes of one read at most, so that a stop is noticed soon */
    ROOM_MIN = 64 * 1024,   /* with less free space, a read does not pay for its system call */
};

void cm_lines_init(cm_lines_t *lines, cm_input_t *input)
{
    *lines = (cm_lines_t){.input = input};
    /* Zeroed, because the padding after the last line is read before it is first written. */
    lines->buffer = cm_alloc_zero(1, CM_LINES_BUFFER + CM_EVENT_JSON_PADDING);
}

void cm_lines_free(cm_lines_t *lines)
{
    free(lines->buffer);
    lines->buffer = NULL;
}

bool cm_lines_must_move(const cm_lines_t *lines)
{
    return CM_LINES_BUFFER - lines->end < ROOM_MIN;
}

/* Drops `len` bytes at the start of the window. */
static void drop(cm_lines_t *lines, size_t len)
{
    lines->at += len;
    lines->offset += len;
}

/* Keeps the head of a line that is too long and drops the part that was read, so that there is
 * space to read on. */
static void begin_dropping(cm_lines_t *lines)
{
    cm_str_t window = cm_lines_window(lines);
    lines->head_len = window.len < CM_LINE_HEAD ? window.len : CM_LINE_HEAD;
    memcpy(lines->head, window.data, lines->head_len);
    lines->dropping = true;
    drop(lines, window.len);
}

int cm_lines_fill(cm_lines_t *lines, cm_err_t *err)
{
    size_t got, left = lines->end - lines->at;

    if (lines->ended)
        return 0;
    if (cm_lines_must_move(lines)) {
        memmove(lines->buffer, lines->buffer + lines->at, left);
        lines->at = 0;
        lines->end = left;
    }
    size_t room = CM_LINES_BUFFER - lines->end;
    if (room > READ_SIZE)
        room = READ_SIZE;
    int rc = cm_input_read(lines->input, lines->buffer + lines->end, room, &got, err);
    if (rc > 0)
        lines->end += got;
    lines->ended = rc == 0;
    return rc;
}

cm_lines_mark_t cm_lines_mark(const cm_lines_t *lines)
{
    return (cm_lines_mark_t){lines->at, lines->offset, lines->number};
}

void cm_lines_rewind(cm_lines_t *lines, cm_lines_mark_t mark)
{
    lines->at = mark.at;
    lines->offset = mark.offset;
    lines->number = mark.number;
}

cm_str_t cm_lines_window(const cm_lines_t *lines)
{
    return (cm_str_t){lines->buffer + lines->at, lines->end - lines->at};
}

void cm_lines_take(cm_lines_t *lines, size_t len)
{
    const char *at = lines->buffer + lines->at, *end = at + len;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        lines->number++;
        at = newline ? newline + 1 : end;
    }
    drop(lines, len);
}

/* Hands out the head of a line that is too long when its end has been reached. */
static bool end_dropping(cm_lines_t *lines, const char *newline, cm_line_t *line)
{
    cm_str_t window = cm_lines_window(lines);

    if (newline == NULL) {
        drop(lines, window.len);
        if (!lines->ended)
            return false;
    } else {
        drop(lines, (size_t)(newline + 1 - window.data));
    }
    lines->dropping = false;
    *line = (cm_line_t){{lines->head, lines->head_len}, ++lines->number, true};
    return true;
}

void cm_lines_skip_hole(cm_lines_t *lines)
{
    size_t len = 0, left = lines->end - lines->at;
    const char *at = lines->buffer + lines->at;

    while (len < left && at[len] == '\0' && !lines->dropping)
        len++;
    if (len > 0)
        drop(lines, len);
}

bool cm_lines_next(cm_lines_t *lines, cm_line_t *line)
{
    cm_str_t window = cm_lines_window(lines);
    const char *newline = window.len ? memchr(window.data, '\n', window.len) : NULL;

    if (lines->dropping)
        return end_dropping(lines, newline, line);
    if (newline == NULL && !lines->ended) {
        if (window.len > CM_LINE_MAX + 1) /* one more for a CR */
            begin_dropping(lines);
        return false;
    }
    if (window.len == 0)
        return false;
    size_t len = newline ? (size_t)(newline + 1 - window.data) : window.len;
    *line = (cm_line_t){{window.data, len}, ++lines->number, false};
    drop(lines, len);
    line->text = cm_line_trim_end(line->text);
    if (line->text.len > CM_LINE_MAX) {
        line->text.len = CM_LINE_HEAD;
        line->too_long = true;
    }
    return true;
}

void cm_lines_skip_mark(cm_lines_t *lines)
{
    cm_str_t window = cm_lines_window(lines);
    if (window.len >= 3 && memcmp(window.data, "\xef\xbb\xbf", 3) == 0)
        drop(lines, 3);
}

bool cm_line_blank(cm_str_t line)
{
    /* In nearly all cases the first byte decides. */
    return line.len == 0 || ((unsigned char)line.data[0] <= ' ' && cm_str_trim(line).len == 0);
}

cm_str_t cm_line_trim_end(cm_str_t line)
{
    if (line.len > 0 && line.data[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}
