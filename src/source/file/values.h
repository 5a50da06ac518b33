/* JSON that is not a line each: arrays of events, and events laid out over many lines.
 *
 * A file holds arrays and objects one behind the other, in any layout. The elements of an array and
 * the objects outside of arrays are the events; what stands between brackets, commas and blanks and
 * is no event is handed out all the same, to be rejected, so that nothing is passed over in
 * silence. The reader finds where an element begins and ends; whether it is valid is for the parser
 * to say. The bytes are those of a cm_lines_t, which nothing else takes from meanwhile. One thread
 * at a time. */
#ifndef CM_SOURCE_FILE_VALUES_H
#define CM_SOURCE_FILE_VALUES_H

#include "source/lines.h"

/* Where the reader stands; all zero at the start of a file. */
typedef struct cm_values {
    bool inside;   /* an array is open */
    bool behind;   /* in it, an element has been read: a comma or the bracket comes next */
    bool comma;    /* a comma has been read: an element comes next */
    uint64_t end;  /* unpacked bytes up to the end of the last element: a place to go on from */
    bool dropping; /* inside an element that is too long */
    bool quoted, escaped;
    size_t depth;
    uint64_t line; /* at which it begins */
} cm_values_t;

typedef struct cm_value {
    cm_line_t line;     /* the element's text, and the line at which it begins */
    const char *reason; /* why it is no event; NULL: ask the parser */
} cm_value_t;

/* Takes the next element. False when no whole one is in the buffer: fill it, or stop at its end. An
 * element of more than CM_LINE_MAX bytes, and one that the file ends in, is handed out by its first
 * CM_LINE_HEAD bytes with the reason; where its first line is followed by one that begins an
 * object, only that line is given up, because a brace is missing in it. */
bool cm_values_take(cm_values_t *values, cm_lines_t *lines, cm_value_t *value);

/* Whether a file that begins so is one of these, and not of one event a line: `line` is its first
 * line that is not blank, `next` what is there of the lines behind it. */
bool cm_values_recognise(cm_str_t line, cm_str_t next);

#endif
