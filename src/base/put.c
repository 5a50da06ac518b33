#include "base/put.h"

/* Two digits by one look-up: that takes a quarter less time than one division per digit. */
#define DECIMAL_ROW(d) d "0" d "1" d "2" d "3" d "4" d "5" d "6" d "7" d "8" d "9"
#define HEX_ROW(d)     DECIMAL_ROW(d) d "a" d "b" d "c" d "d" d "e" d "f"
#define TEN_TIMES(row)                                                                             \
    row("0") row("1") row("2") row("3") row("4") row("5") row("6") row("7") row("8") row("9")

const char cm_put_decimal_digits[] = TEN_TIMES(DECIMAL_ROW);
const char cm_put_hex_digits[] = TEN_TIMES(HEX_ROW) HEX_ROW("a") HEX_ROW("b") HEX_ROW("c")
    HEX_ROW("d") HEX_ROW("e") HEX_ROW("f");

/* Exactly eight digits, in four parts that the processor can compute at the same time. */
static char *put_8_digits(char *at, uint32_t value)
{
    uint32_t high = value / 10000, low = value % 10000;
    at = cm_put_2_digits(at, high / 100);
    at = cm_put_2_digits(at, high % 100);
    at = cm_put_2_digits(at, low / 100);
    return cm_put_2_digits(at, low % 100);
}

char *cm_put_u64(char *at, uint64_t value)
{
    const uint32_t step = 100000000;

    if (value >= step)
        return put_8_digits(cm_put_u64(at, value / step), (uint32_t)(value % step));
    char digits[8];
    put_8_digits(digits, (uint32_t)value);
    unsigned zeros = 0;
    while (zeros < 7 && digits[zeros] == '0')
        zeros++;
    while (zeros < 8)
        *at++ = digits[zeros++];
    return at;
}

/* Copies a block as it is; returns whether one of its bytes needs an escape. */
static inline bool copy_16(char *at, const char *from)
{
    memcpy(at, from, 16);
    return cm_json_escapes_16(from);
}

static inline bool copy_8(char *at, const char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    memcpy(at, &word, sizeof word);
    return cm_json_escapes_8(word);
}

/* Fewer than eight bytes, collected in one word; missing bytes are spaces, which need no escape. */
static inline bool copy_short(char *at, const char *from, size_t len)
{
    char word[8] = "        ";
    uint64_t bytes;

    if (len >= 4) {
        memcpy(word, from, 4);
        memcpy(word + 4, from + len - 4, 4);
        memcpy(at, word, 4);
        memcpy(at + len - 4, word + 4, 4);
    } else if (len > 0) {
        at[0] = word[0] = from[0];
        at[len / 2] = word[1] = from[len / 2];
        at[len - 1] = word[2] = from[len - 1];
    }
    memcpy(&bytes, word, sizeof bytes);
    return cm_json_escapes_8(bytes);
}

/* The last block overlaps the one before, so that no rest must be copied byte by byte. A memcpy()
 * of a constant size is one move, not a call. */
bool cm_put_json_plain(char *at, cm_str_t s)
{
    size_t done = 0;
    bool escapes = false;

    if (s.len < 8)
        return !copy_short(at, s.data, s.len);
    if (s.len < 16) {
        escapes = copy_8(at, s.data);
        escapes |= copy_8(at + s.len - 8, s.data + s.len - 8);
        return !escapes;
    }
    for (; done + 16 < s.len; done += 16)
        escapes |= copy_16(at + done, s.data + done);
    escapes |= copy_16(at + s.len - 16, s.data + s.len - 16);
    return !escapes;
}

static char *put_escape(char *at, char c)
{
    switch (c) {
    case '"':
        return CM_PUT(at, "\\\"");
    case '\\':
        return CM_PUT(at, "\\\\");
    case '\n':
        return CM_PUT(at, "\\n");
    case '\r':
        return CM_PUT(at, "\\r");
    case '\t':
        return CM_PUT(at, "\\t");
    default:
        return cm_put_hex(CM_PUT(at, "\\u00"), (uint8_t)c);
    }
}

char *cm_put_json(char *at, cm_str_t s)
{
    if (cm_put_json_plain(at, s))
        return at + s.len;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if ((unsigned char)c < 0x20 || c == '"' || c == '\\')
            at = put_escape(at, c);
        else
            *at++ = c;
    }
    return at;
}
