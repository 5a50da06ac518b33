/* Events as CSV (RFC 4180), with a header line that names the columns in any order.
 *
 * Fields may be quoted, with blanks around the quotes or without; a quoted field may hold commas,
 * line ends and, doubled, quotes. A quote inside a field that does not begin with one is an
 * ordinary character. The functions are pure: slices of the text they are given, or of the arena
 * where a doubled quote forces a copy. */
#ifndef CM_SOURCE_FILE_CSV_H
#define CM_SOURCE_FILE_CSV_H

#include "event/event.h"

enum { CM_CSV_FIELDS = 256 };

typedef struct cm_csv_field {
    cm_str_t text; /* without the quotes around it */
    bool doubled;  /* holds doubled quotes, see cm_csv_text */
} cm_csv_field_t;

typedef struct cm_csv_record {
    cm_csv_field_t fields[CM_CSV_FIELDS];
    size_t count;
} cm_csv_record_t;

/* Splits the first record of `data`. 1: `*used` bytes were taken, the line end included; 0: the
 * record is not whole yet (never when `last`: nothing follows `data`); CM_EREJECT: it is not CSV.
 */
int cm_csv_split(cm_str_t data, bool last, cm_csv_record_t *record, size_t *used, cm_err_t *err);

/* A field's text; with doubled quotes made single in `arena` where it has some. */
cm_str_t cm_csv_text(const cm_csv_field_t *field, cm_arena_t *arena);

/* Which field of the event each column is. */
typedef struct cm_csv_columns {
    unsigned char field[CM_CSV_FIELDS]; /* position in the contract's order; 255: unknown */
    size_t count;
    size_t unknown;
} cm_csv_columns_t;

/* Reads the header. CM_EINPUT when user_id, timestamp or url is not among the columns or a known
 * column comes twice; the sentence does not name the file. */
int cm_csv_header(const cm_csv_record_t *header, cm_csv_columns_t *columns, cm_err_t *err);

/* The event of a record, completed and checked; blanks around its values are left aside, as around
 * the names of the header. 0 or CM_EREJECT with the rule that is broken. */
int cm_csv_event(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                 const cm_timestamp_format_t *times, cm_arena_t *arena, cm_event_t *event,
                 cm_err_t *err);

#endif
