#include "base/decimal.h"

#include <math.h>

enum {
    WHOLE_DIGITS = 18,
    FRACTION_DIGITS = 9,
    EXPONENT_MAX = 100000000, /* a larger one is this one: no text is long enough to balance it */
};

#define ONE 1000000000 /* 10^FRACTION_DIGITS */

/* ---- reading ---- */

/* The digits of a number, the point taken out: 0.d1 d2 d3 ... * 10^point. */
typedef struct digits {
    char kept[WHOLE_DIGITS + FRACTION_DIGITS]; /* from the first that is not 0 */
    int64_t point;
    int64_t count;   /* of digits from the first that is not 0 */
    int64_t nonzero; /* `count` at the last digit that is not 0 */
} digits_t;

static bool is_digit(cm_str_t rest)
{
    return rest.len > 0 && rest.data[0] >= '0' && rest.data[0] <= '9';
}

static char take(cm_str_t *rest)
{
    rest->len--;
    return *rest->data++;
}

/* Takes digits, at least one. `whole`: they stand before the point. */
static bool take_digits(cm_str_t *rest, bool whole, digits_t *digits)
{
    if (!is_digit(*rest))
        return false;
    while (is_digit(*rest)) {
        char digit = take(rest);
        bool leading = digit == '0' && digits->count == 0;
        if (!leading && digits->count < (int64_t)sizeof digits->kept)
            digits->kept[digits->count] = digit;
        digits->count += !leading;
        if (digit != '0')
            digits->nonzero = digits->count;
        /* The point is behind every digit of the whole part, and before zeros that lead. */
        digits->point += whole ? !leading : -leading;
    }
    return true;
}

static bool take_exponent(cm_str_t *rest, int64_t *exponent)
{
    int64_t value = 0;

    *exponent = 0;
    if (!cm_str_take_char(rest, 'e') && !cm_str_take_char(rest, 'E'))
        return true;
    bool minus = cm_str_take_char(rest, '-');
    if (!minus)
        cm_str_take_char(rest, '+');
    if (!is_digit(*rest))
        return false;
    while (is_digit(*rest)) {
        value = value * 10 + (take(rest) - '0');
        if (value > EXPONENT_MAX)
            value = EXPONENT_MAX;
    }
    *exponent = minus ? -value : value;
    return true;
}

bool cm_decimal_parse(cm_str_t text, cm_decimal_t *number)
{
    digits_t digits = {.point = 0};
    int64_t exponent;
    bool minus = cm_str_take_char(&text, '-');
    bool zero = text.len > 0 && text.data[0] == '0';

    if (zero && text.len > 1 && text.data[1] >= '0' && text.data[1] <= '9')
        return false; /* JSON has no 007 */
    if (!take_digits(&text, true, &digits) ||
        (cm_str_take_char(&text, '.') && !take_digits(&text, false, &digits)) ||
        !take_exponent(&text, &exponent) || text.len > 0)
        return false;
    number->scaled = 0;
    if (digits.nonzero == 0)
        return true;
    digits.point += exponent;
    if (digits.point > WHOLE_DIGITS || digits.nonzero - digits.point > FRACTION_DIGITS)
        return false;
    /* So at most 27 digits are left, and none of them is behind the ninth after the point. */
    for (int64_t i = 0; i < digits.point + FRACTION_DIGITS; i++)
        number->scaled = number->scaled * 10 + (i < digits.nonzero ? digits.kept[i] - '0' : 0);
    if (minus)
        number->scaled = -number->scaled;
    return true;
}

int cm_decimal_compare(cm_decimal_t a, cm_decimal_t b)
{
    return (a.scaled > b.scaled) - (a.scaled < b.scaled);
}

/* ---- writing ---- */

void cm_decimal_add_text(cm_buf_t *text, cm_decimal_t number)
{
    char digits[48];
    size_t at = sizeof digits;
    unsigned __int128 rest =
        number.scaled < 0 ? -(unsigned __int128)number.scaled : (unsigned __int128)number.scaled;
    bool fraction = false;

    for (int i = 0; i < FRACTION_DIGITS || i == FRACTION_DIGITS || rest > 0; i++) {
        char digit = (char)('0' + (int)(rest % 10));
        if (i == FRACTION_DIGITS && fraction)
            digits[--at] = '.';
        fraction = fraction || digit != '0';
        if (fraction || i >= FRACTION_DIGITS)
            digits[--at] = digit;
        rest /= 10;
    }
    if (number.scaled < 0)
        cm_buf_add_char(text, '-');
    cm_buf_add(text, digits + at, sizeof digits - at);
}

/* ---- dividing ---- */

/* The quotient is computed to 62 bits, and a last bit that says whether anything is left behind
 * them: then the conversion to a double, which has 53, rounds as it would round the exact quotient
 * (IEEE 754, to nearest, ties to even). */
double cm_decimal_average(cm_decimal_t number, int64_t count)
{
    enum { BITS = 62 };
    const unsigned __int128 above = (unsigned __int128)1 << BITS;
    const unsigned __int128 divisor = (unsigned __int128)ONE * (unsigned __int128)count;
    const unsigned __int128 size =
        number.scaled < 0 ? -(unsigned __int128)number.scaled : (unsigned __int128)number.scaled;
    unsigned __int128 quotient = size / divisor, left = size % divisor;
    bool more = false;
    int exponent = 0;

    if (size == 0)
        return 0;
    while (quotient >= above) {
        more = more || (quotient & 1) != 0;
        quotient >>= 1;
        exponent++;
    }
    /* `divisor` is below 2^93, so that doubling what is left cannot overflow. */
    while (quotient < above >> 1) {
        left <<= 1;
        quotient = quotient << 1 | (left >= divisor);
        left -= left >= divisor ? divisor : 0;
        exponent--;
    }
    const uint64_t bits = (uint64_t)quotient << 1 | (more || left > 0);
    return ldexp(number.scaled < 0 ? -(double)bits : (double)bits, exponent - 1);
}
