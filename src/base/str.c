#include "base/str.h"

#include "base/err.h"
#include "base/put.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cm_str_compare(cm_str_t a, cm_str_t b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool cm_str_equal_nocase(cm_str_t a, cm_str_t b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    }
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

cm_str_t cm_str_trim(cm_str_t s)
{
    while (s.len > 0 && is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool cm_str_next(cm_str_t *list, cm_str_t *element)
{
    if (list->len == 0)
        return false;
    const char *comma = memchr(list->data, ',', list->len);
    size_t len = comma != NULL ? (size_t)(comma - list->data) : list->len;
    size_t step = len + (comma != NULL);
    *element = cm_str_trim((cm_str_t){list->data, len});
    *list = (cm_str_t){list->data + step, list->len - step};
    return true;
}

bool cm_str_to_i64(cm_str_t s, int64_t *value)
{
    bool negative = s.len > 0 && s.data[0] == '-';
    size_t at = negative ? 1 : 0;
    int64_t sum = 0;

    if (at == s.len)
        return false;
    for (; at < s.len; at++) {
        if (s.data[at] < '0' || s.data[at] > '9')
            return false;
        /* Negative sums, because -INT64_MIN does not fit. */
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, s.data[at] - '0', &sum))
            return false;
    }
    if (!negative) {
        if (sum == INT64_MIN)
            return false;
        sum = -sum;
    }
    *value = sum;
    return true;
}

/* The length of the well-formed sequence at p (RFC 3629, section 4); 0 when it is not one. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char lead = p[0];
    unsigned char low = 0x80, high = 0xBF;
    size_t need;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF) {
        need = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        need = 3;
        if (lead == 0xE0)
            low = 0xA0;
        if (lead == 0xED)
            high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        need = 4;
        if (lead == 0xF0)
            low = 0x90;
        if (lead == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }
    if (left < need || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return need;
}

/* Eight bytes at a time. The last step overlaps the one before, so that the short strings of an
 * event are not checked byte by byte. */
static bool is_ascii(const char *data, size_t len)
{
    uint64_t word, all = 0;
    uint32_t half[2];
    size_t at;

    if (len >= sizeof word) {
        for (at = 0; at + sizeof word < len; at += sizeof word) {
            memcpy(&word, data + at, sizeof word);
            all |= word;
        }
        memcpy(&word, data + len - sizeof word, sizeof word);
        all |= word;
    } else if (len >= sizeof half[0]) {
        memcpy(&half[0], data, sizeof half[0]);
        memcpy(&half[1], data + len - sizeof half[1], sizeof half[1]);
        all = half[0] | half[1];
    } else {
        for (at = 0; at < len; at++)
            all |= (unsigned char)data[at];
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

bool cm_utf8_valid(const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t at = 0;

    if (is_ascii(data, len)) /* nearly always true */
        return true;
    while (at < len) {
        uint64_t word;
        /* ASCII between other characters, also eight bytes at a time. */
        if (len - at >= sizeof word) {
            memcpy(&word, p + at, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof word;
                continue;
            }
        }
        size_t step = utf8_sequence(p + at, len - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

int cm_utf8_head(cm_str_t text, int max)
{
    size_t len = (size_t)max;

    if (text.len <= len)
        return (int)text.len;
    while (len > 0 && ((unsigned char)text.data[len] & 0xC0) == 0x80)
        len--;
    return (int)len;
}

/* Ends the process at once with the documented status: without memory nothing can be cleaned up,
 * and data that must be durable is so already. */
void cm_out_of_memory(void)
{
    static const char text[] =
        "clickmill: out of memory; give the process more or lower `memory:`\n";
    static atomic_flag said = ATOMIC_FLAG_INIT;
    ssize_t written = 0;

    if (!atomic_flag_test_and_set(
            &said)) /* all threads run out of memory at the same time; one message is enough */
        written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(cm_err_exit_status(CM_ENOMEM));
}

void *cm_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (memory == NULL)
        cm_out_of_memory();
    return memory;
}

void *cm_alloc_zero(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (memory == NULL)
        cm_out_of_memory();
    return memory;
}

void *cm_realloc(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    if (memory == NULL)
        cm_out_of_memory();
    return memory;
}

char *cm_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(cm_alloc(size), text, size);
}

bool cm_buf_try_reserve(cm_buf_t *buf, size_t more)
{
    size_t need = buf->len + more + 1;
    if (need <= buf->cap)
        return true;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need)
        cap *= 2;
    char *data = realloc(buf->data, cap);
    if (data == NULL)
        return false;
    buf->data = data;
    buf->cap = cap;
    buf->data[buf->len] = '\0';
    return true;
}

void cm_buf_reserve(cm_buf_t *buf, size_t more)
{
    if (!cm_buf_try_reserve(buf, more))
        cm_out_of_memory();
}

void cm_buf_add(cm_buf_t *buf, const void *data, size_t len)
{
    cm_buf_reserve(buf, len);
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void cm_buf_add_str(cm_buf_t *buf, cm_str_t s)
{
    cm_buf_add(buf, s.data, s.len);
}

void cm_buf_add_text(cm_buf_t *buf, const char *text)
{
    cm_buf_add(buf, text, strlen(text));
}

void cm_buf_add_char(cm_buf_t *buf, char c)
{
    cm_buf_add(buf, &c, 1);
}

void cm_buf_add_i64(cm_buf_t *buf, int64_t value)
{
    cm_buf_reserve(buf, 1 + CM_PUT_U64);
    char *at = cm_put_i64(buf->data + buf->len, value);
    *at = '\0';
    buf->len = (size_t)(at - buf->data);
}

void cm_buf_printf(cm_buf_t *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char first[1];
    int need = vsnprintf(first, sizeof first, format, args);
    va_end(args);
    if (need > 0) {
        cm_buf_reserve(buf, (size_t)need);
        vsnprintf(buf->data + buf->len, (size_t)need + 1, format, again);
        buf->len += (size_t)need;
    }
    va_end(again);
}

void cm_buf_add_json(cm_buf_t *buf, cm_str_t s)
{
    /* Nearly always nothing must be escaped, so the memory for the worst case is not reserved
     * first. */
    cm_buf_reserve(buf, s.len + 2);
    char *at = buf->data + buf->len + 1;
    if (cm_put_json_plain(at, s)) {
        at += s.len;
    } else {
        cm_buf_reserve(buf, s.len * CM_PUT_JSON_TIMES + 2);
        at = cm_put_json(buf->data + buf->len + 1, s);
    }
    buf->data[buf->len] = '"';
    at = CM_PUT(at, "\"");
    *at = '\0';
    buf->len = (size_t)(at - buf->data);
}

static void add_csv(cm_buf_t *buf, const char *before, cm_str_t s)
{
    bool quote = false;
    for (size_t i = 0; i < s.len && !quote; i++)
        quote = memchr("\",\r\n", s.data[i], 4) != NULL;
    if (!quote) {
        cm_buf_add_text(buf, before);
        cm_buf_add_str(buf, s);
        return;
    }
    cm_buf_add_char(buf, '"');
    cm_buf_add_text(buf, before);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"')
            cm_buf_add_char(buf, '"');
        cm_buf_add_char(buf, s.data[i]);
    }
    cm_buf_add_char(buf, '"');
}

void cm_buf_add_csv(cm_buf_t *buf, cm_str_t s)
{
    add_csv(buf, "", s);
}

void cm_buf_add_safe_csv(cm_buf_t *buf, cm_str_t s)
{
    add_csv(buf, s.len > 0 && memchr("=+-@\t\r\n", s.data[0], 7) != NULL ? "'" : "", s);
}

void cm_buf_clear(cm_buf_t *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void cm_buf_free(cm_buf_t *buf)
{
    free(buf->data);
    *buf = CM_BUF_INIT;
}
