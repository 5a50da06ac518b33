/* The properties of an event: a flat JSON object.
 *
 * They are kept in their canonical form, which is one JSON text: `{"a": 1, "b": "x"}`, keys in byte
 * order, numbers as they were written, strings escaped as in cm_event_add_json(). An object without
 * properties is the empty text. The functions own nothing; what they return is a slice of their
 * input or is in the arena. Any thread. */
#ifndef CM_EVENT_PROPS_H
#define CM_EVENT_PROPS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    CM_PROPS_MAX = 32,       /* properties of an event */
    CM_PROP_KEY_MAX = 64,    /* bytes */
    CM_PROP_VALUE_MAX = 256, /* bytes of a text, without quotes and escapes, or of a number */
    CM_PROPS_OURS = 2,       /* of a bot that is kept; they come beyond the 32 */
    /* Bytes of the canonical form at most: every byte of a text may be escaped to six. */
    CM_PROPS_SIZE_MAX =
        (CM_PROPS_MAX + CM_PROPS_OURS) * (6 * (CM_PROP_KEY_MAX + CM_PROP_VALUE_MAX) + 8) + 2,
};

/* The keys of our own properties. An event that was exported has them, too. */
#define CM_PROP_BOT      "bot"
#define CM_PROP_BOT_KIND "bot_kind"

typedef struct cm_prop {
    cm_str_t key;   /* without quotes and escapes */
    cm_str_t value; /* a text without quotes and escapes; else `3`, `1e3`, `true` as written */
    bool is_text;
} cm_prop_t;

/* Reads a JSON value that must be a flat object or null, and writes the canonical form. Properties
 * that are null or empty text are left out; of equal keys the last wins. The input must be UTF-8;
 * everything else is checked. 0, or CM_EREJECT whose message begins with "props". */
int cm_props_read(cm_str_t json, cm_arena_t *arena, cm_str_t *canonical, cm_err_t *err);

/* The canonical form of `count` properties in any order, by the same rules. The array is sorted in
 * place. 0, or CM_EREJECT. */
int cm_props_make(cm_prop_t *props, size_t count, cm_arena_t *arena, cm_str_t *canonical,
                  cm_err_t *err);

/* The canonical form with properties of our own added, which replace those of equal keys and do not
 * count to the limit. `canonical` is a canonical form or empty; `count` is at most
 * CM_PROPS_OURS. */
cm_str_t cm_props_add(cm_str_t canonical, const cm_prop_t *ours, size_t count, cm_arena_t *arena);

/* Removes the first property from the front of a canonical form, `*rest`, and gives it; false when
 * there is none left. Strings with escapes are decoded into `arena`. */
bool cm_props_next(cm_str_t *rest, cm_arena_t *arena, cm_prop_t *prop);

/* Reads the value of a property from a JSON scalar without white space around it; a null becomes an
 * empty text. The key of `prop` must be set and stays. Strings with escapes are decoded into
 * `arena`. 0, or CM_EREJECT whose message begins with "props". */
int cm_prop_read_value(cm_str_t json, cm_arena_t *arena, cm_prop_t *prop, cm_err_t *err);

/* Appends the value of a property as a JSON scalar, as the canonical form has it. */
void cm_prop_add_value(cm_buf_t *buf, const cm_prop_t *prop);

/* Removes the first member from the front of a valid JSON object, `*rest`, and gives the raw JSON
 * of its value without white space around it, a slice of the object; false when there is none left.
 */
bool cm_member_next(cm_str_t *rest, cm_str_t *value);

/* How long the number is that the text begins with, by JSON's grammar (RFC 8259, section 6); 0 when
 * it begins with none. */
size_t cm_member_number(cm_str_t text);

/* The end of the JSON object that begins at `at` with its brace: the byte after the closing one;
 * NULL when it does not end before `end`. Only strings and braces are looked at. */
const char *cm_member_object_end(const char *at, const char *end);

#endif
