/* Strings that carry their length.
 *
 * cm_str_t is a borrowed slice: it owns nothing, is not terminated by NUL, and lives as long as
 * the memory it points into. cm_buf_t is a growing byte buffer that owns its memory; its `data` is
 * always followed by a NUL byte that does not count. Neither is shared between threads. */
#ifndef CM_BASE_STR_H
#define CM_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct cm_str {
    const char *data;
    size_t len;
} cm_str_t;

/* A slice of a string literal. */
#define CM_STR(literal) ((cm_str_t){(literal), sizeof(literal) - 1})

/* A slice of a NUL-terminated string (NULL gives the empty slice). */
static inline cm_str_t cm_str(const char *text)
{
    return (cm_str_t){text, text ? strlen(text) : 0};
}

/* Whether `len` bytes are the same; for short strings, where the call of memcmp() costs more than
 * the comparison. */
static inline bool cm_bytes_equal(const char *a, const char *b, size_t len)
{
    uint64_t a8, b8, a8_end, b8_end;
    uint32_t a4, b4, a4_end, b4_end;

    if (len > 16)
        return memcmp(a, b, len) == 0;
    if (len >= 8) { /* the first and the last eight, which may overlap */
        memcpy(&a8, a, 8);
        memcpy(&b8, b, 8);
        memcpy(&a8_end, a + len - 8, 8);
        memcpy(&b8_end, b + len - 8, 8);
        return ((a8 ^ b8) | (a8_end ^ b8_end)) == 0;
    }
    if (len >= 4) {
        memcpy(&a4, a, 4);
        memcpy(&b4, b, 4);
        memcpy(&a4_end, a + len - 4, 4);
        memcpy(&b4_end, b + len - 4, 4);
        return ((a4 ^ b4) | (a4_end ^ b4_end)) == 0;
    }
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i])
            return false;
    }
    return true;
}

static inline bool cm_str_equal(cm_str_t a, cm_str_t b)
{
    return a.len == b.len && cm_bytes_equal(a.data, b.data, a.len);
}

/* Removes `c` from the front of `rest`; false, and nothing is removed, when another byte is there.
 */
static inline bool cm_str_take_char(cm_str_t *rest, char c)
{
    if (rest->len == 0 || rest->data[0] != c)
        return false;
    rest->data++;
    rest->len--;
    return true;
}

/* The value of a hexadecimal digit in either case; -1 for anything else. */
static inline int cm_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* The order of bytes, as memcmp(), the shorter first: the order of all strings of the contract. */
int cm_str_compare(cm_str_t a, cm_str_t b);

/* Whether both are equal when the case of ASCII letters is ignored. */
bool cm_str_equal_nocase(cm_str_t a, cm_str_t b);

/* The slice without ASCII white space at both ends. */
cm_str_t cm_str_trim(cm_str_t s);

/* Removes the next element from the front of a list with commas; the element has no white space
 * around it. False when the list is empty. */
bool cm_str_next(cm_str_t *list, cm_str_t *element);

/* Parses a decimal integer with an optional minus sign; false for anything else, including
 * overflow. */
bool cm_str_to_i64(cm_str_t s, int64_t *value);

/* True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool cm_utf8_valid(const char *data, size_t len);

/* How many bytes of the text a message shows: at most `max`, and only whole characters. */
int cm_utf8_head(cm_str_t text, int max);

typedef struct cm_buf {
    char *data;
    size_t len;
    size_t cap;
} cm_buf_t;

#define CM_BUF_INIT ((cm_buf_t){NULL, 0, 0})

/* Appending fails only when there is no memory. Then the process ends with a message, because no
 * caller could continue; sizes are bounded by the contract's limits of fields. */
void cm_buf_reserve(cm_buf_t *buf, size_t more);

/* The same without ending the process: false when there is no memory, and the buffer is unchanged.
 * Appending within the reserved memory does not fail. */
bool cm_buf_try_reserve(cm_buf_t *buf, size_t more) __attribute__((warn_unused_result));

void cm_buf_add(cm_buf_t *buf, const void *data, size_t len);
void cm_buf_add_str(cm_buf_t *buf, cm_str_t s);
void cm_buf_add_text(cm_buf_t *buf, const char *text);
void cm_buf_add_char(cm_buf_t *buf, char c);
void cm_buf_add_i64(cm_buf_t *buf, int64_t value);
void cm_buf_printf(cm_buf_t *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the shortest decimal text that gives the same double when it is parsed. */
void cm_buf_add_double(cm_buf_t *buf, double value);

/* The same for a float, which has fewer digits: 9.99 instead of 9.989999771118164. */
void cm_buf_add_float(cm_buf_t *buf, float value);

/* Appends a JSON string with its quotes; control characters, quote and backslash are escaped, other
 * UTF-8 is copied. */
void cm_buf_add_json(cm_buf_t *buf, cm_str_t s);

/* Appends a CSV field (RFC 4180), in quotes only if it has a comma, quote, CR or LF. */
void cm_buf_add_csv(cm_buf_t *buf, cm_str_t s);

/* The same with a ' before a string that a spreadsheet would read as a formula, because it begins
 * with = + - @, a tab or an end of line. */
void cm_buf_add_safe_csv(cm_buf_t *buf, cm_str_t s);

/* One of these two. */
typedef void (*cm_buf_csv_fn)(cm_buf_t *buf, cm_str_t s);

/* Empties the buffer and keeps its memory. */
void cm_buf_clear(cm_buf_t *buf);

/* Frees the memory and leaves CM_BUF_INIT. */
void cm_buf_free(cm_buf_t *buf);

/* malloc, calloc and realloc that end the process with a message when there is no memory. For small
 * sizes; memory that grows with the data uses malloc() and reports CM_ENOMEM. */
void *cm_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *cm_alloc_zero(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *cm_realloc(void *old, size_t size) __attribute__((returns_nonnull));
char *cm_strdup(const char *text) __attribute__((malloc, returns_nonnull));

/* Ends the process as these functions do: with the message and the exit status of CM_ENOMEM. */
void cm_out_of_memory(void) __attribute__((noreturn, cold));

#endif
