/* Reads lines of an input, as slices of one large buffer: no line is copied or allocated.
 *
 * Slices stay valid until cm_lines_fill() is called while cm_lines_must_move() is true. Every slice
 * is followed by CM_EVENT_JSON_PADDING readable bytes. A cm_lines_t owns its buffer and borrows the
 * input. One thread at a time. */
#ifndef CM_SOURCE_LINES_H
#define CM_SOURCE_LINES_H

#include "base/input.h"
#include "base/str.h"

enum {
    CM_LINE_MAX = 1024 * 1024, /* bytes of a line; a longer line is not returned whole */
    CM_LINE_HEAD = 4 * 1024,   /* bytes of a longer line that are returned */
    CM_LINES_BUFFER = 3 * 1024 * 1024,
};

/* The reason to reject a longer line. */
#define CM_LINE_TOO_LONG "the line is longer than 1 MiB; its first 4 KiB are kept"

typedef struct cm_line {
    cm_str_t text; /* without LF or CRLF; the first CM_LINE_HEAD bytes of a line that is too long */
    uint64_t number; /* the first line of the file is 1 */
    bool too_long;
} cm_line_t;

typedef struct cm_lines {
    cm_input_t *input;
    char *buffer;
    size_t at, end;
    uint64_t offset; /* unpacked bytes before buffer[at] */
    uint64_t number; /* lines before buffer[at] */
    bool ended;      /* the input has ended: the rest is in the buffer */
    bool dropping;   /* inside a line that is too long */
    size_t head_len;
    char head[CM_LINE_HEAD];
} cm_lines_t;

void cm_lines_init(cm_lines_t *lines, cm_input_t *input);
void cm_lines_free(cm_lines_t *lines);

/* Reads more input: 1 when the window may have grown (a pipe without data adds nothing), 0 at the
 * end, or the error of cm_input_read(); whole lines before an error can still be taken. */
int cm_lines_fill(cm_lines_t *lines, cm_err_t *err);

/* True when the next cm_lines_fill() moves the bytes that slices point to. */
bool cm_lines_must_move(const cm_lines_t *lines);

/* Drops the NUL bytes at the start of the next line: a log has a hole there when it was truncated
 * and its writer kept the old offset. */
void cm_lines_skip_hole(cm_lines_t *lines);

/* Takes the next line. False when no whole line is in the buffer: the caller fills it, or stops at
 * the end of the input. The end of the input also ends a line. */
bool cm_lines_next(cm_lines_t *lines, cm_line_t *line);

/* A position to return to, valid until the next cm_lines_fill(). */
typedef struct cm_lines_mark {
    size_t at;
    uint64_t offset, number;
} cm_lines_mark_t;

cm_lines_mark_t cm_lines_mark(const cm_lines_t *lines);
void cm_lines_rewind(cm_lines_t *lines, cm_lines_mark_t mark);

/* The bytes in the buffer that have not been taken yet, for records that are not lines. */
cm_str_t cm_lines_window(const cm_lines_t *lines);

/* Takes `len` bytes of the window. They must end at the end of a line. */
void cm_lines_take(cm_lines_t *lines, size_t len);

/* Drops a UTF-8 byte order mark. To be called before the first line is taken. */
void cm_lines_skip_mark(cm_lines_t *lines);

/* True for a line of white space only, which is not an event. */
bool cm_line_blank(cm_str_t line);

/* The line without the LF or CRLF it ends in. */
cm_str_t cm_line_trim_end(cm_str_t line);

#endif
