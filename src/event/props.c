#include "event/props.h"

#include "base/put.h"

#include <stdlib.h>

/* ---- one JSON text, read from its front ---- */

static void skip_space(cm_str_t *rest)
{
    while (rest->len > 0 && (*rest->data == ' ' || *rest->data == '\t' || *rest->data == '\n' ||
                             *rest->data == '\r')) {
        rest->data++;
        rest->len--;
    }
}

static cm_str_t take(cm_str_t *rest, size_t len)
{
    cm_str_t taken = {rest->data, len};
    rest->data += len;
    rest->len -= len;
    return taken;
}

/* Takes a string with its quotes: `raw` is what is between them. False when it does not end, or has
 * a control character. */
static bool take_string(cm_str_t *rest, cm_str_t *raw, bool *escaped)
{
    size_t at = 1;

    if (rest->len == 0 || rest->data[0] != '"')
        return false;
    *escaped = false;
    for (; at < rest->len && rest->data[at] != '"'; at++) {
        if ((unsigned char)rest->data[at] < ' ')
            return false;
        if (rest->data[at] == '\\') {
            *escaped = true;
            at++;
        }
    }
    if (at >= rest->len)
        return false;
    *raw = take(rest, at + 1);
    raw->data++;
    raw->len -= 2;
    return true;
}

static bool take_hex4(cm_str_t *rest, uint32_t *value)
{
    *value = 0;
    if (rest->len < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = cm_hex_digit(rest->data[i]);
        if (digit < 0)
            return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    take(rest, 4);
    return true;
}

static char *put_utf8(char *at, uint32_t code)
{
    if (code < 0x80) {
        *at++ = (char)code;
    } else if (code < 0x800) {
        *at++ = (char)(0xC0 | code >> 6);
        *at++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *at++ = (char)(0xE0 | code >> 12);
        *at++ = (char)(0x80 | (code >> 6 & 0x3F));
        *at++ = (char)(0x80 | (code & 0x3F));
    } else {
        *at++ = (char)(0xF0 | code >> 18);
        *at++ = (char)(0x80 | (code >> 12 & 0x3F));
        *at++ = (char)(0x80 | (code >> 6 & 0x3F));
        *at++ = (char)(0x80 | (code & 0x3F));
    }
    return at;
}

/* Decodes the escape after a backslash; NULL when it is none, or half of a surrogate pair. */
static char *put_escape(char *to, cm_str_t *rest)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;

    if (rest->len == 0)
        return NULL;
    const char letter = *take(rest, 1).data;
    if (letter != 'u') {
        const char *found = letter == '\0' ? NULL : strchr(letters, letter);
        if (found == NULL)
            return NULL;
        *to = bytes[found - letters];
        return to + 1;
    }
    if (!take_hex4(rest, &code) || (code >= 0xDC00 && code < 0xE000))
        return NULL;
    if (code >= 0xD800 && code < 0xDC00) {
        if (!cm_str_take_char(rest, '\\') || !cm_str_take_char(rest, 'u') ||
            !take_hex4(rest, &low) || low < 0xDC00 || low >= 0xE000)
            return NULL;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    return put_utf8(to, code);
}

/* Decodes the escapes of a raw string; false when one is wrong. The result is never longer. */
static bool decode(cm_str_t raw, cm_arena_t *arena, cm_str_t *text)
{
    char *from = cm_arena_alloc(arena, raw.len), *to = from;

    while (raw.len > 0) {
        const char c = *take(&raw, 1).data;
        if (c != '\\')
            *to++ = c;
        else if ((to = put_escape(to, &raw)) == NULL)
            return false;
    }
    *text = (cm_str_t){from, (size_t)(to - from)};
    return true;
}

static bool take_text(cm_str_t *rest, cm_arena_t *arena, cm_str_t *text)
{
    bool escaped;

    return take_string(rest, text, &escaped) && (!escaped || decode(*text, arena, text));
}

static size_t digits(cm_str_t text, size_t at)
{
    while (at < text.len && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at;
}

size_t cm_member_number(cm_str_t text)
{
    size_t at = text.len > 0 && text.data[0] == '-', end = digits(text, at);

    if (end == at || (text.data[at] == '0' && end > at + 1))
        return 0;
    at = end;
    if (at < text.len && text.data[at] == '.') {
        end = digits(text, at + 1);
        if (end == at + 1)
            return 0;
        at = end;
    }
    if (at < text.len && (text.data[at] | 0x20) == 'e') {
        at++;
        at += at < text.len && (text.data[at] == '+' || text.data[at] == '-');
        end = digits(text, at);
        if (end == at)
            return 0;
        at = end;
    }
    return at;
}

static bool take_number(cm_str_t *rest, cm_str_t *number)
{
    *number = take(rest, cm_member_number(*rest));
    return number->len > 0;
}

static bool take_word(cm_str_t *rest, cm_str_t word)
{
    if (rest->len < word.len || memcmp(rest->data, word.data, word.len) != 0)
        return false;
    take(rest, word.len);
    return true;
}

/* ---- the canonical form ---- */

static int not_json(cm_err_t *err)
{
    return cm_fail(err, CM_EREJECT, "props is not a JSON object");
}

static int key_text(cm_str_t key)
{
    return cm_utf8_head(key, CM_PROP_KEY_MAX);
}

/* Takes the value of a property. A null becomes an empty text, which is left out as well. */
static int take_value(cm_str_t *rest, cm_arena_t *arena, cm_prop_t *prop, cm_err_t *err)
{
    const char first = rest->len > 0 ? *rest->data : '\0';

    prop->is_text = first == '"' || first == 'n';
    if (first == '"')
        return take_text(rest, arena, &prop->value) ? 0 : not_json(err);
    if (first == '{' || first == '[')
        return cm_fail(err, CM_EREJECT, "props: the value of %.*s is %s; props must be flat",
                       key_text(prop->key), prop->key.data,
                       first == '{' ? "an object" : "an array");
    prop->value = (cm_str_t){rest->data, 0};
    if (take_word(rest, CM_STR("null")))
        return 0;
    if (take_word(rest, CM_STR("true")))
        prop->value = CM_STR("true");
    else if (take_word(rest, CM_STR("false")))
        prop->value = CM_STR("false");
    else if (!take_number(rest, &prop->value))
        return not_json(err);
    return 0;
}

/* Takes `"key": value`. */
static int take_prop(cm_str_t *rest, cm_arena_t *arena, cm_prop_t *prop, cm_err_t *err)
{
    skip_space(rest);
    if (!take_text(rest, arena, &prop->key))
        return not_json(err);
    skip_space(rest);
    if (!cm_str_take_char(rest, ':'))
        return not_json(err);
    skip_space(rest);
    int rc = take_value(rest, arena, prop, err);
    skip_space(rest);
    return rc;
}

static int compare_keys(const cm_prop_t *a, const cm_prop_t *b)
{
    return cm_str_compare(a->key, b->key);
}

/* Sorts by key, keeping the order of equal ones. Nearly all arrays are short, and those of a
 * producer are often sorted; a long one is left to merges, so that its time stays n log n. */
static void sort_props(cm_prop_t *props, size_t count, cm_prop_t *scratch)
{
    enum { SHORT = 16 };

    if (count <= SHORT) {
        for (size_t i = 1; i < count; i++) {
            const cm_prop_t prop = props[i];
            size_t at = i;
            for (; at > 0 && compare_keys(&props[at - 1], &prop) > 0; at--)
                props[at] = props[at - 1];
            props[at] = prop;
        }
        return;
    }
    const size_t half = count / 2;
    size_t a = 0, b = half, to = 0;
    sort_props(props, half, scratch);
    sort_props(props + half, count - half, scratch);
    memcpy(scratch, props, count * sizeof *props);
    while (to < count) {
        const bool first = b == count || (a < half && compare_keys(&scratch[a], &scratch[b]) <= 0);
        props[to++] = first ? scratch[a++] : scratch[b++];
    }
}

static int check_prop(const cm_prop_t *prop, cm_err_t *err)
{
    if (prop->key.len == 0)
        return cm_fail(err, CM_EREJECT, "props has a key of 0 bytes");
    if (prop->key.len > CM_PROP_KEY_MAX)
        return cm_fail(err, CM_EREJECT, "props: the key %.*s... is %zu bytes long, the limit is %d",
                       key_text(prop->key), prop->key.data, prop->key.len, CM_PROP_KEY_MAX);
    if (prop->value.len > CM_PROP_VALUE_MAX)
        return cm_fail(err, CM_EREJECT,
                       "props: the value of %.*s is %zu bytes long, the limit is %d",
                       key_text(prop->key), prop->key.data, prop->value.len, CM_PROP_VALUE_MAX);
    return 0;
}

static cm_str_t write_props(const cm_prop_t *props, size_t count, cm_arena_t *arena)
{
    enum { FRAME = 8 }; /* `, "": ""` */
    size_t size = 2;

    if (count == 0)
        return (cm_str_t){NULL, 0};
    for (size_t i = 0; i < count; i++)
        size += FRAME + CM_PUT_JSON_TIMES * (props[i].key.len + props[i].value.len);
    char *from = cm_arena_alloc(arena, size), *at = from;
    *at++ = '{';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            at = CM_PUT(at, ", ");
        at = cm_put_json(CM_PUT(at, "\""), props[i].key);
        at = CM_PUT(at, "\": ");
        if (props[i].is_text)
            at = CM_PUT(cm_put_json(CM_PUT(at, "\""), props[i].value), "\"");
        else
            at = cm_put_str(at, props[i].value);
    }
    *at++ = '}';
    return (cm_str_t){from, (size_t)(at - from)};
}

static bool is_ours(const cm_prop_t *prop)
{
    return cm_str_equal(prop->key, CM_STR(CM_PROP_BOT)) ||
           cm_str_equal(prop->key, CM_STR(CM_PROP_BOT_KIND));
}

int cm_props_make(cm_prop_t *props, size_t count, cm_arena_t *arena, cm_str_t *canonical,
                  cm_err_t *err)
{
    cm_prop_t *scratch =
        count == 0 ? NULL : (cm_prop_t *)cm_arena_alloc(arena, count * sizeof *scratch);
    size_t kept = 0, ours = 0;

    sort_props(props, count, scratch);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && compare_keys(&props[i], &props[i + 1]) == 0)
            continue; /* the last one wins */
        if (props[i].value.len == 0)
            continue;
        int rc = check_prop(&props[i], err);
        if (rc < 0)
            return rc;
        ours += is_ours(&props[i]);
        props[kept++] = props[i];
    }
    if (kept - ours > CM_PROPS_MAX)
        return cm_fail(err, CM_EREJECT, "props has %zu keys, the limit is %d", kept - ours,
                       CM_PROPS_MAX);
    *canonical = write_props(props, kept, arena);
    return 0;
}

/* An array of properties in the arena, which grows. */
typedef struct prop_list {
    cm_prop_t *props;
    size_t count, cap;
} prop_list_t;

static cm_prop_t *next_prop(prop_list_t *list, cm_arena_t *arena)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : CM_PROPS_MAX;
        cm_prop_t *more = cm_arena_alloc(arena, list->cap * sizeof *more);
        if (list->count > 0)
            memcpy(more, list->props, list->count * sizeof *more);
        list->props = more;
    }
    return &list->props[list->count++];
}

int cm_props_read(cm_str_t json, cm_arena_t *arena, cm_str_t *canonical, cm_err_t *err)
{
    prop_list_t list = {0};
    int rc;

    *canonical = (cm_str_t){NULL, 0};
    json = cm_str_trim(json);
    if (cm_str_equal(json, CM_STR("null")))
        return 0;
    if (!cm_str_take_char(&json, '{'))
        return not_json(err);
    skip_space(&json);
    if (!cm_str_take_char(&json, '}')) {
        do {
            if ((rc = take_prop(&json, arena, next_prop(&list, arena), err)) < 0)
                return rc;
        } while (cm_str_take_char(&json, ','));
        if (!cm_str_take_char(&json, '}'))
            return not_json(err);
    }
    if (json.len > 0)
        return not_json(err);
    return cm_props_make(list.props, list.count, arena, canonical, err);
}

bool cm_props_next(cm_str_t *rest, cm_arena_t *arena, cm_prop_t *prop)
{
    cm_err_t ignored;

    if (rest->len < 2 || (*rest->data != '{' && *rest->data != ','))
        return false;
    take(rest, 1);
    return take_prop(rest, arena, prop, &ignored) == 0;
}

int cm_prop_read_value(cm_str_t json, cm_arena_t *arena, cm_prop_t *prop, cm_err_t *err)
{
    if (take_value(&json, arena, prop, err) == 0 && json.len == 0)
        return 0;
    return cm_fail(err, CM_EREJECT, "props: the value of %.*s is not a JSON scalar",
                   key_text(prop->key), prop->key.data);
}

void cm_prop_add_value(cm_buf_t *buf, const cm_prop_t *prop)
{
    if (prop->is_text)
        cm_buf_add_json(buf, prop->value);
    else
        cm_buf_add_str(buf, prop->value);
}

cm_str_t cm_props_add(cm_str_t canonical, const cm_prop_t *ours, size_t count, cm_arena_t *arena)
{
    cm_prop_t props[CM_PROPS_MAX + 2 * CM_PROPS_OURS], scratch[CM_PROPS_MAX + 2 * CM_PROPS_OURS];
    size_t kept = 0, all = 0;

    while (all < CM_PROPS_MAX + CM_PROPS_OURS && cm_props_next(&canonical, arena, &props[all]))
        all++;
    for (size_t i = 0; i < count; i++)
        props[all++] = ours[i];
    sort_props(props, all, scratch);
    for (size_t i = 0; i < all; i++) {
        if (i + 1 == all || compare_keys(&props[i], &props[i + 1]) != 0)
            props[kept++] = props[i];
    }
    return write_props(props, kept, arena);
}

/* ---- fields of an object ---- */

const char *cm_member_object_end(const char *at, const char *end)
{
    size_t depth = 0;

    for (; at < end; at++) {
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++)
                at += *at == '\\';
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && (depth == 0 || --depth == 0)) {
            return at + 1;
        }
    }
    return NULL;
}

/* Takes a JSON value of any kind; the text is valid JSON. */
static bool take_any(cm_str_t *rest, cm_str_t *value)
{
    bool escaped;
    size_t len = 0;

    if (rest->len == 0)
        return false;
    const char *from = rest->data;
    if (*from == '"') {
        if (!take_string(rest, value, &escaped))
            return false;
        *value = (cm_str_t){from, (size_t)(rest->data - from)};
        return true;
    }
    if (*from == '{' || *from == '[') {
        const char *end = cm_member_object_end(from, from + rest->len);
        if (end == NULL)
            return false;
        *value = take(rest, (size_t)(end - from));
        return true;
    }
    while (len < rest->len && strchr(", \t\r\n]}", from[len]) == NULL)
        len++;
    *value = take(rest, len);
    return len > 0;
}

bool cm_member_next(cm_str_t *rest, cm_str_t *value)
{
    cm_str_t name;
    bool escaped;

    skip_space(rest);
    if (!cm_str_take_char(rest, '{') && !cm_str_take_char(rest, ','))
        return false;
    skip_space(rest);
    if (!take_string(rest, &name, &escaped))
        return false;
    skip_space(rest);
    if (!cm_str_take_char(rest, ':'))
        return false;
    skip_space(rest);
    return take_any(rest, value);
}
