/* The event, as the contract defines it (docs/contract.md): a page view, or what its name says.
 *
 * A cm_event_t owns nothing. Its strings and its `extra` are slices of the line that it was parsed
 * from, or of the batch's arena, and live as long as the batch. An empty row_key means "derived":
 * it is computed only where it is needed (cm_event_derive_key()). The functions have no state and
 * may be called by any thread. */
#ifndef CM_EVENT_EVENT_H
#define CM_EVENT_EVENT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "event/extra.h"
#include "event/timestamp.h"

typedef struct cm_event {
    int64_t timestamp; /* ms since the epoch, UTC; 0 < timestamp < CM_TIME_END */
    cm_str_t user_id;
    cm_str_t url;
    cm_str_t country;
    cm_str_t city;
    cm_str_t browser;
    cm_str_t os;
    cm_str_t device;
    cm_str_t row_key; /* empty: derived */
    /* The optional fields; NULL when the event has none of them, as most events. */
    const cm_event_extra_t *extra;
} cm_event_t;

/* Limits of the contract, in bytes. */
enum {
    CM_ROW_KEY_MAX = 64,
    CM_USER_ID_MAX = 256,
    CM_URL_MAX = 2048,
    CM_FIELD_MAX = 256, /* country, city, browser, os, device */
    CM_UUID_TEXT = 36,
};

/* Sets country, city, browser, os and device to "Unknown" where they are empty. */
void cm_event_complete(cm_event_t *event);

/* Checks the rules of the contract: lengths, UTF-8, range of the time. 0, or CM_EREJECT with the
 * broken rule in `err`. `utf8_known` skips the check of UTF-8, where a parser has done it. */
int cm_event_check(const cm_event_t *event, bool utf8_known, cm_err_t *err);

/* Writes the UUIDv5 (RFC 9562, section 5.5) of `name` in the DNS name space, in lower case. */
void cm_uuid5(cm_str_t name, char text[CM_UUID_TEXT]);

/* The name of what happened: "pageview" when the event states none. */
cm_str_t cm_event_name(const cm_event_t *event);

/* Whether the event is a page view, which alone counts in the first edition's answers. */
static inline bool cm_event_is_view(const cm_event_t *event)
{
    return event->extra == NULL || event->extra->text[CM_EXTRA_NAME].len == 0;
}

/* A copy of the event's optional fields, which may be changed and then set again with
 * cm_event_extra_keep(). */
cm_event_extra_t cm_event_extra_of(const cm_event_t *event);

/* Copies the strings and the optional fields of the event to `arena`. */
void cm_event_keep(cm_event_t *event, cm_arena_t *arena);

/* How many bytes the strings and the optional fields take. */
size_t cm_event_size(const cm_event_t *event);

/* Computes the 16 bytes of the row key that follows from the event's other fields. For a page view
 * that is cm_row_key_derive(). For other events it is the UUIDv5 of "{user_id}_{timestamp}_" and
 * then the name, the url and the canonical props, each preceded by its length in bytes and a
 * colon. */
void cm_event_derive_key(const cm_event_t *event, uint8_t uuid[16]);

/* Computes the 16 bytes of a page view's derived row key, the UUIDv5 of "{user_id}_{timestamp}". */
void cm_row_key_derive(cm_str_t user_id, int64_t timestamp, uint8_t uuid[16]);

/* Writes a UUID as text, in lower case. */
void cm_uuid_format(const uint8_t uuid[16], char text[CM_UUID_TEXT]);

/* Reads the bytes of a canonical UUID (lower case, with hyphens); false for any other text. */
bool cm_uuid_parse(cm_str_t text, uint8_t uuid[16]);

/* The row key as text: the event's own, or the derived one, which is written to `scratch`. */
cm_str_t cm_event_row_key(const cm_event_t *event, char scratch[CM_UUID_TEXT]);

/* Appends the event as one JSON object, fields in the contract's order, without a newline. Optional
 * fields that are absent are left out. */
void cm_event_add_json(cm_buf_t *buf, const cm_event_t *event);

/* The forms of CSV: which columns there are, and how strings are written. */
typedef struct cm_event_csv {
    bool safe;  /* strings that no spreadsheet reads as formulas */
    bool extra; /* with the optional fields; without: the nine columns of the first edition */
} cm_event_csv_t;

/* Appends the header line. */
void cm_event_add_csv_header(cm_buf_t *buf, cm_event_csv_t form);

/* Appends the event as one CSV record with a newline. Absent optional fields are empty; `props` is
 * JSON. */
void cm_event_add_csv(cm_buf_t *buf, const cm_event_t *event, cm_event_csv_t form);

#endif
