#include "event/timestamp.h"

#include "base/clock.h"

static const struct {
    const char *name, *option;
    int power; /* of ten, for the conversion to milliseconds */
} units[] = {
    [CM_TIMESTAMP_AUTO] = {"milliseconds", "ms", 0}, [CM_TIMESTAMP_S] = {"seconds", "s", 3},
    [CM_TIMESTAMP_MS] = {"milliseconds", "ms", 0},   [CM_TIMESTAMP_US] = {"microseconds", "us", -3},
    [CM_TIMESTAMP_NS] = {"nanoseconds", "ns", -6},
};

static bool is_seconds(int64_t number)
{
    return number >= CM_SECONDS_FIRST && number <= CM_SECONDS_LAST;
}

int cm_timestamp_check(int64_t ms, cm_err_t *err)
{
    static const cm_timestamp_unit_t smaller[] = {CM_TIMESTAMP_US, CM_TIMESTAMP_NS};

    if (ms > 0 && ms < CM_TIME_END)
        return 0;
    for (int i = 0; i < 2; i++) {
        if (is_seconds(ms / (i == 0 ? 1000000 : 1000000000)))
            return cm_fail(err, CM_EREJECT,
                           "timestamp %lld is out of range: it looks like %s, and milliseconds are "
                           "expected (--time-unit %s accepts them)",
                           (long long)ms, units[smaller[i]].name, units[smaller[i]].option);
    }
    return cm_fail(
        err, CM_EREJECT,
        "timestamp %lld is out of range: milliseconds between 1970 and 2100 are expected",
        (long long)ms);
}

/* How many bytes of the text a message shows; 0 if the text is not UTF-8, because messages are
 * stored as UTF-8. */
static int shown_length(cm_str_t text, int max)
{
    int len = cm_utf8_head(text, max);
    return cm_utf8_valid(text.data, (size_t)len) ? len : 0;
}

static int fail_seconds(cm_str_t text, cm_err_t *err)
{
    return cm_fail(
        err, CM_EREJECT,
        "timestamp %.*s looks like seconds, and milliseconds are expected (--time-unit s "
        "accepts seconds)",
        shown_length(text, 40), text.data);
}

static int fail_range(cm_str_t text, cm_timestamp_unit_t unit, cm_err_t *err)
{
    return cm_fail(err, CM_EREJECT,
                   "timestamp %.*s is out of range: %s between 1970 and 2100 are expected",
                   shown_length(text, 40), text.data, units[unit].name);
}

static bool is_digit(cm_str_t text, size_t at)
{
    return at < text.len && text.data[at] >= '0' && text.data[at] <= '9';
}

/* A decimal number: its digits without the dot, and how many of them are before the dot. */
typedef struct decimal {
    char digits[CM_TIME_TEXT]; /* the first digits, without leading zeros */
    int count;
    int64_t whole; /* digits before the dot; may be more than `count`, or negative */
    bool minus;
} decimal_t;

static void add_digit(decimal_t *decimal, char digit, bool behind_dot)
{
    if (decimal->count == 0 && digit == '0') {
        decimal->whole -= behind_dot;
        return;
    }
    if (decimal->count < (int)sizeof decimal->digits)
        decimal->digits[decimal->count++] = digit;
    decimal->whole += !behind_dot;
}

/* Reads digits with or without sign, fraction and exponent. */
static bool read_decimal(cm_str_t text, decimal_t *decimal)
{
    size_t at = 0;
    int64_t exponent = 0;

    *decimal = (decimal_t){.minus = text.len > 0 && text.data[0] == '-'};
    at += decimal->minus;
    if (!is_digit(text, at))
        return false;
    for (; is_digit(text, at); at++)
        add_digit(decimal, text.data[at], false);
    if (at < text.len && text.data[at] == '.') {
        if (!is_digit(text, ++at))
            return false;
        for (; is_digit(text, at); at++)
            add_digit(decimal, text.data[at], true);
    }
    if (at < text.len && (text.data[at] | 0x20) == 'e') {
        bool minus = ++at < text.len && text.data[at] == '-';
        at += at < text.len && (minus || text.data[at] == '+');
        if (!is_digit(text, at))
            return false;
        for (; is_digit(text, at); at++)
            exponent = exponent < 100000 ? exponent * 10 + (text.data[at] - '0') : exponent;
        decimal->whole += minus ? -exponent : exponent;
    }
    return at == text.len;
}

/* Converts to milliseconds; false when they are not above 0 and before the contract's end. */
static bool decimal_ms(const decimal_t *decimal, cm_timestamp_unit_t unit, int64_t *ms)
{
    int64_t whole = decimal->whole + units[unit].power;

    *ms = 0;
    if (decimal->minus || decimal->count == 0 || whole > 13) /* the contract's end has 13 digits */
        return false;
    for (int i = 0; i < whole; i++)
        *ms = *ms * 10 + (i < decimal->count ? decimal->digits[i] - '0' : 0);
    return *ms > 0 && *ms < CM_TIME_END;
}

/* Converts a number of the given unit. */
static int take_decimal(cm_str_t text, const decimal_t *decimal, cm_timestamp_unit_t unit,
                        int64_t *ms, cm_err_t *err)
{
    return decimal_ms(decimal, unit, ms) ? 0 : fail_range(text, unit, err);
}

int cm_timestamp_take(int64_t number, const cm_timestamp_format_t *times, int64_t *ms,
                      cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;
    decimal_t decimal;
    int rc;

    *ms = number;
    if (times->unit == CM_TIMESTAMP_MS || (times->unit == CM_TIMESTAMP_AUTO && !is_seconds(number)))
        return 0;
    cm_buf_add_i64(&text, number);
    const cm_str_t digits = {text.data, text.len};
    if (times->unit == CM_TIMESTAMP_AUTO)
        rc = fail_seconds(digits, err);
    else
        rc = read_decimal(digits, &decimal) ? take_decimal(digits, &decimal, times->unit, ms, err)
                                            : fail_range(digits, times->unit, err);
    cm_buf_free(&text);
    return rc;
}

/* Reads text that is neither an integer nor RFC 3339 as the contract has it. */
static int parse_other(cm_str_t text, const cm_timestamp_format_t *times, int64_t *ms,
                       cm_err_t *err)
{
    decimal_t decimal;
    int64_t local;

    if (read_decimal(text, &decimal)) {
        if (times->unit != CM_TIMESTAMP_AUTO)
            return take_decimal(text, &decimal, times->unit, ms, err);
        if (decimal_ms(&decimal, CM_TIMESTAMP_MS, ms) && is_seconds(*ms))
            return fail_seconds(text, err);
    }
    if (cm_time_parse_local(text, &local)) {
        if (times->zone == NULL)
            return cm_fail(err, CM_EREJECT,
                           "timestamp \"%.*s\" has no zone: it needs Z or an offset such as +02:00 "
                           "at its end (--tz names the zone of such times)",
                           shown_length(text, 40), text.data);
        *ms = cm_zone_utc(times->zone, local);
        return 0;
    }
    return cm_fail(err, CM_EREJECT,
                   "timestamp \"%.*s\" is neither an integer of milliseconds nor RFC 3339",
                   shown_length(text, 40), text.data);
}

int cm_timestamp_parse(cm_str_t text, const cm_timestamp_format_t *times, int64_t *ms,
                       cm_err_t *err)
{
    int64_t number;

    if (cm_str_to_i64(text, &number))
        return cm_timestamp_take(number, times, ms, err);
    return cm_time_parse(text, ms) ? 0 : parse_other(text, times, ms, err);
}
