/* JSON that is not one event a line: arrays of events, and events that span several lines.
 *
 * A file contains arrays and objects one after the other, in any layout. The elements of an array
 * and the objects outside of arrays are the events. Other text between brackets, commas and blanks
 * is returned too, so that it is rejected and not silently skipped. The reader finds where an
 * element begins and ends; the parser decides whether it is valid. The bytes are in a cm_lines_t,
 * and no other code may take from it at the same time. One thread at a time. */
#ifndef CM_SOURCE_FILE_VALUES_H
#define CM_SOURCE_FILE_VALUES_H

#include "source/lines.h"

/* The state of the reader; all zero at the start of a file. */
typedef struct cm_values {
    bool inside;   /* an array is open */
    bool behind;   /* an element of the array was read: a comma or the bracket comes next */
    bool comma;    /* a comma has been read: an element comes next */
    uint64_t end;  /* unpacked bytes up to the end of the last element: a position to resume from */
    bool dropping; /* inside an element that is too long */
    bool quoted, escaped;
    size_t depth;
    uint64_t line; /* at which it begins */
} cm_values_t;

typedef struct cm_value {
    cm_line_t line;     /* the element's text, and the line at which it begins */
    const char *reason; /* why it is not an event; NULL: the parser decides */
} cm_value_t;

/* Takes the next element. False when the buffer has no complete one: the caller fills it, or stops
 * at its end. Of an element of more than CM_LINE_MAX bytes, and of one that the end of the file
 * cuts, the first CM_LINE_HEAD bytes are returned with the reason. When its first line is followed
 * by a line that begins an object, only the first line is rejected, because a brace is missing in
 * it. */
bool cm_values_take(cm_values_t *values, cm_lines_t *lines, cm_value_t *value);

/* Whether a file that begins like this has this form, and not one event a line. `line` is its first
 * line that is not blank, `next` the available part of the lines after it. */
bool cm_values_recognise(cm_str_t line, cm_str_t next);

#endif
