/* The optional fields of an event, beside the nine of the first edition (docs/contract.md).
 *
 * Most events have none of them, so they are in a record of their own to which cm_event_t points.
 * A record owns nothing: it and its strings live in the batch's arena, or in the line that they
 * were parsed from. It is not changed once an event points to it (cm_event_extra_of() makes a
 * copy). The functions have no state and may be called by any thread. */
#ifndef CM_EVENT_EXTRA_H
#define CM_EVENT_EXTRA_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* In the contract's order. All but the last are text. */
typedef enum cm_extra_field {
    CM_EXTRA_NAME, /* empty: a page view */
    CM_EXTRA_REFERRER,
    CM_EXTRA_UTM_SOURCE,
    CM_EXTRA_UTM_MEDIUM,
    CM_EXTRA_UTM_CAMPAIGN,
    CM_EXTRA_UTM_TERM,
    CM_EXTRA_UTM_CONTENT,
    CM_EXTRA_BROWSER_VERSION,
    CM_EXTRA_OS_VERSION,
    CM_EXTRA_REGION,
    CM_EXTRA_LANGUAGE,
    CM_EXTRA_PROPS, /* the canonical form, see event/props.h */
    CM_EXTRA_TEXTS,
    CM_EXTRA_ENGAGED = CM_EXTRA_TEXTS,
    CM_EXTRA_COUNT,
} cm_extra_field_t;

enum { CM_ENGAGED_MAX = 86400000 }; /* ms */

typedef struct cm_event_extra {
    cm_str_t text[CM_EXTRA_TEXTS]; /* empty: absent */
    int32_t engaged_ms;            /* -1: absent */
} cm_event_extra_t;

#define CM_EVENT_EXTRA_NONE ((cm_event_extra_t){.engaged_ms = -1})

/* The names of the fields: "name", "referrer" and so on. */
extern const char *const cm_extra_names[CM_EXTRA_COUNT];

/* The longest value of each text in bytes. The limits of the parts of props are in event/props.h;
 * the value here is that of its whole canonical form. */
extern const size_t cm_extra_limits[CM_EXTRA_TEXTS];

/* The field of that name; CM_EXTRA_COUNT when it is none of them. */
cm_extra_field_t cm_extra_find(cm_str_t name);

/* Whether no field has a value. */
bool cm_event_extra_is_none(const cm_event_extra_t *extra);

/* How many fields have a value. */
unsigned cm_event_extra_stated(const cm_event_extra_t *extra);

/* Sets one field from text, as CSV and query parameters give it: `engaged_ms` is read as an integer
 * and `props` as a JSON object. Empty text is absent. Strings are slices of `text` or are in
 * `arena`. 0, or CM_EREJECT with the field's name. Lengths are checked by
 * cm_event_extra_check(). */
int cm_event_extra_set(cm_event_extra_t *extra, cm_extra_field_t field, cm_str_t text,
                       cm_arena_t *arena, cm_err_t *err);

/* Sets engaged_ms from a number. 0, or CM_EREJECT when it is out of range. */
int cm_event_extra_set_engaged(cm_event_extra_t *extra, int64_t ms, cm_err_t *err);

/* Checks the rules of the contract: lengths, UTF-8, and that `engaged_ms` is there exactly with the
 * name "engagement". 0, or CM_EREJECT with the field's name and the broken rule. `utf8_known` skips
 * the check of UTF-8. */
int cm_event_extra_check(const cm_event_extra_t *extra, bool utf8_known, cm_err_t *err);

/* A copy of the record in `arena`, or NULL when no field has a value. A name "pageview" becomes
 * absent. The strings are not copied. */
const cm_event_extra_t *cm_event_extra_keep(const cm_event_extra_t *extra, cm_arena_t *arena);

/* The same, and copies the strings as well. NULL for NULL. */
const cm_event_extra_t *cm_event_extra_copy(const cm_event_extra_t *extra, cm_arena_t *arena);

/* How many bytes the record and its strings take; 0 for NULL. */
size_t cm_event_extra_size(const cm_event_extra_t *extra);

/* Whether both have the same fields; NULL is a record without fields. */
bool cm_event_extra_equal(const cm_event_extra_t *a, const cm_event_extra_t *b);

/* Appends `, "name": "..."` and so on, for each field that has a value; nothing for NULL. */
void cm_event_extra_add_json(cm_buf_t *buf, const cm_event_extra_t *extra);

#endif
