/* Reads lines of an input, as slices of one large buffer: no line is copied or allocated.
 *
 * Slices stay valid until cm_lines_fill() is called while cm_lines_must_move() is true. Every slice
 * is followed by CM_EVENT_JSON_PADDING readable bytes. A cm_lines_t owns its buffer and borrows the
 * input; one thread at a time. */
#ifndef CM_SOURCE_LINES_H
#define CM_SOURCE_LINES_H

#include "base/input.h"
#include "base/str.h"

enum {
    CM_LINE_MAX = 1024 * 1024, /* of a line; a longer line is not handed out whole */
    CM_LINE_HEAD = 4 * 1024,   /* bytes of a longer line that are handed out */
    CM_LINES_BUFFER = 3 * 1024 * 1024,
};

/* The reason to reject a longer line. */
#define CM_LINE_TOO_LONG "the line is longer than 1 MiB; its first 4 KiB are kept"

typedef struct cm_line {
    cm_str_t
        text; /* without LF or CRLF; of a line that is too long, the first CM_LINE_HEAD bytes */
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

/* Reads more input: 1 when the window may have grown (a silent pipe adds nothing), 0 at the end, or
 * the error of cm_input_read(); whole lines before an error can still be taken. */
int cm_lines_fill(cm_lines_t *lines, cm_err_t *err);

/* True when the next cm_lines_fill() moves the bytes that slices point to. */
bool cm_lines_must_move(const cm_lines_t *lines);

/* Drops the NUL bytes at the start of the next line: a log that was truncated while its writer kept
 * its offset has a hole there. */
void cm_lines_skip_hole(cm_lines_t *lines);

/* Takes the next line. False when no whole line is in the buffer: fill it,
 * or stop at its end. The end of the input ends a line as well. */
bool cm_lines_next(cm_lines_t *lines, cm_line_t *line);

/* A place to return to, valid until the next cm_lines_fill(). */
typedef struct cm_lines_mark {
    size_t at;
    uint64_t offset, number;
} cm_lines_mark_t;

cm_lines_mark_t cm_lines_mark(const cm_lines_t *lines);
void cm_lines_rewind(cm_lines_t *lines, cm_lines_mark_t mark);

/* The bytes in the buffer that are not taken yet; for records that are not lines. */
cm_str_t cm_lines_window(const cm_lines_t *lines);

/* Takes `len` bytes of the window, which must end where a line ends. */
void cm_lines_take(cm_lines_t *lines, size_t len);

/* Drops a UTF-8 byte order mark; to be called before anything is taken. */
void cm_lines_skip_mark(cm_lines_t *lines);

/* True for a line of white space only: it is no event. */
bool cm_line_blank(cm_str_t line);

/* The line without the LF or CRLF it ends in. */
cm_str_t cm_line_trim_end(cm_str_t line);

#endif
