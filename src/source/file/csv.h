/* Events as CSV (RFC 4180). A header line names the columns in any order.
 *
 * Fields may be quoted, with or without blanks around the quotes. A quoted field may contain
 * commas, line ends and doubled quotes. A quote inside a field that does not begin with a quote is
 * an ordinary character. The functions are pure, for any thread: they return slices of the given
 * text, or of the arena when a doubled quote needs a copy. */
#ifndef CM_SOURCE_FILE_CSV_H
#define CM_SOURCE_FILE_CSV_H

#include "event/event.h"
#include "event/map.h"

enum { CM_CSV_FIELDS = 256 };

typedef struct cm_csv_field {
    cm_str_t text; /* without the quotes around it */
    bool doubled;  /* holds doubled quotes, see cm_csv_text */
    bool quoted;
} cm_csv_field_t;

typedef struct cm_csv_record {
    cm_csv_field_t fields[CM_CSV_FIELDS];
    size_t count;
} cm_csv_record_t;

/* Splits the first record of `data`. 1: `*used` bytes were taken, including the line end; 0: the
 * record is not complete yet (never with `last`, when nothing follows `data`); CM_EREJECT: it is
 * not CSV. */
int cm_csv_split(cm_str_t data, bool last, cm_csv_record_t *record, size_t *used, cm_err_t *err);

/* A field's text. When it has doubled quotes, it is copied to `arena` with single ones. */
cm_str_t cm_csv_text(const cm_csv_field_t *field, cm_arena_t *arena);

/* The event's field of each column. */
typedef struct cm_csv_columns {
    unsigned char field[CM_CSV_FIELDS]; /* CM_MAP_ROW_KEY and so on; CM_MAP_NONE: unknown */
    size_t count;
    size_t unknown;
    bool has_extra; /* some columns are optional fields */
    const cm_event_map_t
        *map; /* the header's, for reasons; lives as long as the columns are used */
} cm_csv_columns_t;

/* Reads the header; columns give fields as the map says (NULL: by their own names). CM_EINPUT when
 * user_id, timestamp or url is not among the columns or a known column is there twice. The error
 * message does not name the file. */
int cm_csv_header(const cm_csv_record_t *header, const cm_event_map_t *map,
                  cm_csv_columns_t *columns, cm_err_t *err);

/* Makes the event of a record, completed and checked. Blanks around its values are ignored, like
 * those around the names in the header, but not those of optional texts in quotes. 0, or CM_EREJECT
 * with the rule that is broken. */
int cm_csv_event(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                 const cm_timestamp_format_t *times, cm_arena_t *arena, cm_event_t *event,
                 cm_err_t *err);

#endif
