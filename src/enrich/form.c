#include "enrich/form.h"

#include "enrich/url.h"

enum { REPLACEMENT_LEN = 3 };

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* Sets `byte` to what the text means at `at`, and returns how long that is written. */
static size_t decode_byte(cm_str_t text, size_t at, uint8_t *byte)
{
    if (text.data[at] != '+')
        return cm_url_read_byte(text, at, byte);
    *byte = ' ';
    return 1;
}

/* How many bytes at `p` begin a character (Unicode, table 3-7), at least 1; `whole`: all of it. */
static size_t sequence(const unsigned char *p, size_t left, bool *whole)
{
    const size_t need = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    unsigned char low = 0x80, high = 0xBF;
    size_t len = 1;

    *whole = need == 1;
    if (need == 1 || p[0] < 0xC2 || p[0] > 0xF4)
        return 1;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    while (len < need && len < left && p[len] >= low && p[len] <= high) {
        low = 0x80;
        high = 0xBF;
        len++;
    }
    *whole = len == need;
    return len;
}

static cm_str_t repair(cm_str_t text, cm_arena_t *arena)
{
    char *out = cm_arena_alloc(arena, REPLACEMENT_LEN * text.len);
    size_t len = 0;

    for (size_t at = 0; at < text.len;) {
        bool whole;
        size_t step = sequence((const unsigned char *)text.data + at, text.len - at, &whole);
        const size_t size = whole ? step : REPLACEMENT_LEN;
        memcpy(out + len, whole ? text.data + at : replacement, size);
        len += size;
        at += step;
    }
    return (cm_str_t){out, len};
}

static bool is_plain(cm_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '+' || text.data[i] == '%' || text.data[i] == '\\')
            return false;
    }
    return true;
}

cm_str_t cm_form_decode(cm_str_t text, cm_arena_t *arena)
{
    if (!is_plain(text)) {
        uint8_t *out = cm_arena_alloc(arena, text.len);
        size_t len = 0;
        for (size_t at = 0; at < text.len;)
            at += decode_byte(text, at, &out[len++]);
        text = (cm_str_t){(const char *)out, len};
    }
    return cm_utf8_valid(text.data, text.len) ? text : repair(text, arena);
}
