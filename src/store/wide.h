/* The columns of a block's optional fields (event/extra.h).
 *
 * Each block has its own strings for them, so that they need no dictionary of the store: nearly all
 * are short lists that repeat (names, campaigns, versions), and a list of distinct values (props
 * with an order's number) must not grow in memory. A block in which no event has an optional field
 * has no such columns, and its part is empty.
 *
 * Layout of the part (block.h), little-endian: for each text of cm_extra_field_t, in order, a
 * column of numbers by event (0: absent, else 1 + the number of the string), the lengths of the
 * strings (4 bytes each) and their bytes; then a column of engaged_ms + 1 (0: absent).
 *
 * The columns own all their memory and are reused from block to block; not for two threads. */
#ifndef CM_STORE_WIDE_H
#define CM_STORE_WIDE_H

#include "event/extra.h"
#include "store/dict.h"
#include "store/stream.h"

typedef struct cm_wide {
    bool any;       /* whether an event has a value; nothing below is set before that */
    bool names;     /* only ids[CM_EXTRA_NAME] is set (CM_READ_VIEWS) */
    uint32_t count; /* events */
    uint32_t cap;
    size_t bytes;                  /* of all strings */
    uint32_t *ids[CM_EXTRA_TEXTS]; /* by event; 0: absent, else 1 + the string's id */
    uint32_t *engaged;             /* by event; engaged_ms + 1, 0: absent */
    cm_dict_t strings[CM_EXTRA_TEXTS];
} cm_wide_t;

/* Adds the optional fields of `count` events, `extras[i]` or NULL. */
void cm_wide_add(cm_wide_t *wide, const cm_event_extra_t *const *extras, uint32_t count);

/* Adds the events of a block, of which `from` has the columns if some event has a value. */
void cm_wide_append(cm_wide_t *to, const cm_wide_t *from, uint32_t count);

/* The optional fields of an event; false when it has none. The strings are valid until the columns
 * change. */
bool cm_wide_at(const cm_wide_t *wide, uint32_t row, cm_event_extra_t *extra);

/* Whether the event is a page view. */
static inline bool cm_wide_is_view(const cm_wide_t *wide, uint32_t row)
{
    return !(wide->any || wide->names) || wide->ids[CM_EXTRA_NAME][row] == 0;
}

/* Overwrites the values of the event `to` by those of `from`. */
void cm_wide_move(cm_wide_t *wide, uint32_t from, uint32_t to);

/* How many streams the part has. */
enum { CM_WIDE_STREAMS = 3 * CM_EXTRA_TEXTS + 1 };

/* Appends the streams of the part; some event has a value. */
void cm_wide_encode(const cm_wide_t *wide, const cm_stream_writer_t *writer);

/* Reads the streams of the part of a block of `count` events, those of the fields in the mask
 * `only` (1 << cm_extra_field_t); the other columns have any values. CM_ECORRUPT. */
int cm_wide_decode(cm_wide_t *wide, uint32_t count, uint32_t only, cm_stream_reader_t *reader);

/* The same for nothing but which events are page views. */
int cm_wide_decode_views(cm_wide_t *wide, uint32_t count, cm_stream_reader_t *reader);

/* Removes the events and keeps the memory. */
void cm_wide_clear(cm_wide_t *wide);

void cm_wide_free(cm_wide_t *wide);

#endif
