/* RFC 3339, against a reader that matches a pattern and counts days one year after the other; and
 * what was read is written and read back. Also the timestamp of an event, which may be a number. */
#include "base/clock.h"
#include "event/timestamp.h"
#include "fuzz.h"

static bool matches(cm_str_t text, size_t at, const char *pattern)
{
    for (; *pattern; pattern++, at++) {
        char c = at < text.len ? text.data[at] : '\0';
        bool digit = c >= '0' && c <= '9';
        bool fits = *pattern == '0'   ? digit
                    : *pattern == 'T' ? c == 'T' || c == 't' || c == ' '
                    : *pattern == '+' ? c == '+' || c == '-'
                                      : c == *pattern;
        if (at >= text.len || !fits)
            return false;
    }
    return at == text.len || pattern[-1] != '$';
}

/* The two digits at `at`. */
static int two(cm_str_t text, size_t at)
{
    return (text.data[at] - '0') * 10 + text.data[at + 1] - '0';
}

static bool leap(int year)
{
    return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
}

static int month_days(int year, int month)
{
    if (month == 2)
        return leap(year) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Days from 1970-01-01 to the first of January. */
static int64_t year_days(int year)
{
    int64_t days = 0;

    for (int y = 1970; y < year; y++)
        days += leap(y) ? 366 : 365;
    for (int y = year; y < 1970; y++)
        days -= leap(y) ? 366 : 365;
    return days;
}

static bool naive_parse(cm_str_t text, int64_t *ms)
{
    static const int units[] = {100, 10, 1};
    size_t at = 19, digits = 0;

    if (!matches(text, 0, "0000-00-00T00:00:00"))
        return false;
    int year = two(text, 0) * 100 + two(text, 2), month = two(text, 5), day = two(text, 8);
    int hour = two(text, 11), minute = two(text, 14), second = two(text, 17);
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    *ms = 0;
    if (at < text.len && text.data[at] == '.') {
        for (at++; matches(text, at, "0"); at++, digits++)
            *ms += digits < 3 ? (text.data[at] - '0') * units[digits] : 0;
        if (digits == 0)
            return false;
    }
    if (matches(text, at, "+00:00") && at + 6 == text.len) {
        int east = two(text, at + 1) * 60 + two(text, at + 4);
        if (two(text, at + 1) > 23 || two(text, at + 4) > 59)
            return false;
        minute += text.data[at] == '-' ? east : -east;
    } else if (at + 1 != text.len || (text.data[at] != 'Z' && text.data[at] != 'z')) {
        return false;
    }
    int64_t days = year_days(year) + day - 1;
    for (int m = 1; m < month; m++)
        days += month_days(year, m);
    *ms += (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char written[CM_TIME_TEXT], *copy = fuzz_copy(data, size, 0, 0);
    cm_str_t text = {copy, size};
    int64_t ms, expected, number, again;
    static const cm_timestamp_format_t times = {0};
    cm_err_t err = {0};

    bool good = cm_time_parse(text, &ms);
    FUZZ_CHECK(good == naive_parse(text, &expected));
    if (good) {
        FUZZ_CHECK(ms == expected);
        cm_time_format(ms, written);
        /* A zone may lead out of the years that four digits can write. */
        if (naive_parse(cm_str(written), &again))
            FUZZ_CHECK(again == ms);
        else
            FUZZ_CHECK(ms < year_days(0) * CM_DAY_MS || ms >= year_days(10000) * CM_DAY_MS);
    }
    int rc = cm_timestamp_parse(text, &times, &again, &err);
    if (rc < 0)
        fuzz_check_refusal(rc, CM_EREJECT, &err);
    const bool whole = cm_str_to_i64(text, &number);
    const bool seconds = whole && number >= CM_SECONDS_FIRST && number <= CM_SECONDS_LAST;
    FUZZ_CHECK((rc == 0) == (good || (whole && !seconds)));
    if (rc == 0)
        FUZZ_CHECK(again == (good ? ms : number));
    free(copy);
    return 0;
}
