/* Writing with a cursor: the innermost loops of the writers.
 *
 * Each function writes at `at` and returns where the next byte goes. Nothing is checked: the caller
 * has reserved the room, once for many pieces (cm_buf_reserve), which is what makes these several
 * times faster than appending each piece to a cm_buf_t. No byte behind the returned place is
 * touched, and no byte beyond a slice is read. Pure functions, for any thread. */
#ifndef CM_BASE_PUT_H
#define CM_BASE_PUT_H

#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    CM_PUT_U64 = 20,       /* digits of a number at most */
    CM_PUT_JSON_TIMES = 6, /* one byte is this many when it must be escaped as \u0000 */
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

/* Writes a number in decimal: CM_PUT_U64 bytes at most. */
char *cm_put_u64(char *at, uint64_t value);

/* Writes a number with a minus where it has one: one byte more. */
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

/* Writes what stands between the quotes of a JSON string: control characters, quote and backslash
 * are escaped, other UTF-8 is passed through. CM_PUT_JSON_TIMES bytes for each byte at most. */
char *cm_put_json(char *at, cm_str_t s);

/* Copies the bytes as they are. False when one of them needs an escape in JSON; what was written is
 * then of no use. */
bool cm_put_json_plain(char *at, cm_str_t s);

/* True when one of the 8 bytes of `word` needs an escape in JSON. The classic tests for a byte that
 * is zero or less than n (Sean Anderson, "Bit Twiddling Hacks"): bytes above the one that is found
 * may be found by mistake, so they tell that there is one, not where. */
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
    /* The smaller one of a byte and 0x1F is the byte itself when it is a control character. */
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    return _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash))) != 0;
}
#else
#define cm_json_escapes_16 cm_json_escapes_16_portable
#endif

#endif
