/* A fast reader of events whose lines have the same shape.
 *
 * Lines of one producer have the same fields in the same order with the same punctuation: only the
 * values differ. A shape has the bytes between the values (the gaps) of a line that the full parser
 * has accepted. A line that fits costs one comparison per gap and one search for the closing quote
 * per value. A line that does not fit exactly (another order, escapes, an unknown field, anything
 * unusual) is left to the full parser, so the two never disagree on what is valid.
 *
 * A shape owns nothing. One thread may change it at a time. */
#ifndef CM_EVENT_SHAPE_H
#define CM_EVENT_SHAPE_H

#include "event/event.h"
#include "event/map.h"

enum {
    CM_SHAPE_GAP = 48, /* bytes of a gap at most; a multiple of 16 */
};

typedef struct cm_shape {
    unsigned count; /* values in a line; 0: no shape */
    bool has_extra; /* some are optional fields */
    struct cm_shape_value {
        unsigned char gap_len;
        unsigned char field; /* CM_MAP_ROW_KEY and so on */
        char gap[CM_SHAPE_GAP];
    } values[CM_MAP_STORED];
    unsigned char end_len;
    char end[CM_SHAPE_GAP]; /* the bytes after the last value */
} cm_shape_t;

/* Learns the shape of a line that the full parser has accepted with this map (NULL: none). There is
 * no shape afterwards when the line is too unusual. CM_EVENT_JSON_PADDING bytes after the line must
 * be readable. */
void cm_shape_learn(cm_shape_t *shape, cm_str_t line, const cm_event_map_t *map);

/* True when the line fits and is a valid event: `event` is filled, completed and checked; its
 * strings are slices of the line, its optional fields are in `arena`. False when the full parser
 * must read the line.
 * CM_EVENT_JSON_PADDING bytes after the line must be readable. */
bool cm_shape_read(const cm_shape_t *shape, cm_str_t line, cm_arena_t *arena, cm_event_t *event);

#endif
