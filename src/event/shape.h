/* Reading events whose lines all look alike, fast.
 *
 * Lines of one producer have the same fields in the same order with the same punctuation: only the
 * values differ. A shape remembers the bytes between the values of the last line that was read by
 * the full parser; a line that fits costs a comparison per gap and a search for the closing quote
 * per value. Whatever does not fit to the byte (another order, escapes, an unknown field, anything
 * unusual) is left to the full parser, so that the two can never disagree on what is valid.
 * One thread at a time. */
#ifndef CM_EVENT_SHAPE_H
#define CM_EVENT_SHAPE_H

#include "event/event.h"

enum {
    CM_SHAPE_FIELDS = 9,
    CM_SHAPE_GAP = 48, /* bytes of a gap at most; a multiple of 16 */
};

typedef struct cm_shape {
    unsigned count; /* values in a line; 0: no shape is known */
    struct cm_shape_value {
        unsigned char gap_len;
        unsigned char field; /* place in the event, see shape.c */
        char gap[CM_SHAPE_GAP];
    } values[CM_SHAPE_FIELDS];
    unsigned char end_len;
    char end[CM_SHAPE_GAP]; /* behind the last value */
} cm_shape_t;

/* Learns from a line that the full parser has accepted. Forgets what it knew when the line is not
 * of the simple kind. The line needs CM_EVENT_JSON_PADDING readable bytes behind it. */
void cm_shape_learn(cm_shape_t *shape, cm_str_t line);

/* True when the line fits and is a valid event: `event` is filled, completed and checked, its texts
 * are slices of the line. False: ask the full parser. The line needs CM_EVENT_JSON_PADDING readable
 * bytes behind it. */
bool cm_shape_read(const cm_shape_t *shape, cm_str_t line, cm_event_t *event);

#endif
