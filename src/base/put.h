/* Writing with a pointer, for the innermost loops.
 *
 * Each function writes at `at` and returns the end of what it has written. Nothing is checked: the
 * caller reserves the memory once for many pieces (cm_buf_reserve). That makes these functions
 * several times faster than appending each piece to a cm_buf_t. No byte after the returned end is
 * written, and no byte after a slice is read. Pure functions, for any thread. */
#ifndef CM_BASE_PUT_H
#define CM_BASE_PUT_H

#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    CM_PUT_U64 = 20,       /* digits of a number at most */
    CM_PUT_JSON_TIMES = 6, /* bytes of one byte that is escaped as \u0000 */
};

/* Writes a string literal. Its length is a constant, so this is two or three moves. */
#define CM_PUT(at, literal)                                                                        \
    ((char *)memcpy((at), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)

/* "000102..99" and "000102..ff": for the inline functions below. */
extern const char cm_put_decimal_digits[], cm_put_hex_digits[];

/* Writes the slice as it is. */
static inline char *cm_put_str(char *at, cm_str_t s)
{
    if (s.len > 0)
        memcpy(at, s.data, s.len);
    return at + s.len;
}

/* Writes a number in decimal: at most CM_PUT_U64 bytes. */
char *cm_put_u64(char *at, uint64_t value);

/* Writes a number that may be negative: at most CM_PUT_U64 + 1 bytes. */
static inline char *cm_put_i64(char *at, int64_t value)
{
    if (value >= 0)
        return cm_put_u64(at, (uint64_t)value);
    *at = '-';
    return cm_put_u64(at + 1, 0 - (uint64_t)value);
}

/* Writes a number of 0..99 as two digits. */
static inline char *cm_put_2_digits(char *at, unsigned value)
{
    memcpy(at, cm_put_decimal_digits + 2 * (size_t)value, 2);
    return at + 2;
}

/* Writes a byte as two lower-case hexadecimal digits. */
static inline char *cm_put_hex(char *at, uint8_t byte)
{
    memcpy(at, cm_put_hex_digits + 2 * (size_t)byte, 2);
    return at + 2;
}

/* Writes the contents of a JSON string without its quotes: control characters, quote and backslash
 * are escaped, other UTF-8 is copied. At most CM_PUT_JSON_TIMES bytes for each byte. */
char *cm_put_json(char *at, cm_str_t s);

/* Copies the bytes as they are. False when one of them needs an escape in JSON; then the written
 * bytes must not be used. */
bool cm_put_json_plain(char *at, cm_str_t s);

/* True when one of the 8 bytes of `word` needs an escape in JSON. These are the known tests for a
 * byte that is zero or less than n (Sean Anderson, "Bit Twiddling Hacks"). They may wrongly report
 * bytes above a byte that is found, so they say that there is one, but not where. */
static inline bool cm_json_escapes_8(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t control = (word - ones * 0x20) & ~word;
    return ((control | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & high) != 0;
}

/* True when one of the 16 bytes at `from` needs an escape in JSON. */
static inline bool cm_json_escapes_16_portable(const char *from)
{
    uint64_t words[2];
    memcpy(words, from, sizeof words);
    bool escapes = cm_json_escapes_8(words[0]);
    escapes |= cm_json_escapes_8(words[1]);
    return escapes;
}

#ifdef __SSE2__
static inline bool cm_json_escapes_16(const char *from)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)from);
    /* The minimum of a byte and 0x1F is the byte itself if it is a control character. */
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    return _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash))) != 0;
}
#else
#define cm_json_escapes_16 cm_json_escapes_16_portable
#endif

#endif
