#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t cm_clock_now_ms(const cm_clock_t *clock)
{
    struct timespec now;
    if (clock != NULL)
        return clock->now_ms(clock->self);
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t cm_clock_now_us(const cm_clock_t *clock)
{
    struct timespec now;
    if (clock != NULL)
        return clock->now_ms(clock->self) * 1000;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t cm_clock_ticks_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void cm_sleep_ms(int64_t ms)
{
    struct timespec nap = {ms / 1000, (ms % 1000) * 1000000};
    if (ms > 0)
        nanosleep(&nap, NULL);
}

/* Both directions are from Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
int64_t cm_time_days(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void cm_time_date(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

void cm_clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec cm_clock_until(int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    return until;
}

char *cm_time_format(int64_t ms, char *text)
{
    int year, month, day;
    int64_t days = ms / CM_DAY_MS, rest = ms % CM_DAY_MS;

    if (rest < 0) {
        rest += CM_DAY_MS;
        days--;
    }
    cm_time_date(days, &year, &month, &day);
    int second = (int)(rest / 1000), milli = (int)(rest % 1000);
    int len = snprintf(text, CM_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
                       second / 3600, second / 60 % 60, second % 60);
    if (milli != 0)
        len += snprintf(text + len, (size_t)(CM_TIME_TEXT - len), ".%03d", milli);
    snprintf(text + len, (size_t)(CM_TIME_TEXT - len), "Z");
    return text;
}

/* Reads exactly `count` digits at *at; -1 when there are fewer. */
static int digits(cm_str_t text, size_t *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (*at >= text.len || text.data[*at] < '0' || text.data[*at] > '9')
            return -1;
        value = value * 10 + (text.data[*at] - '0');
    }
    return value;
}

static bool literal(cm_str_t text, size_t *at, const char *any_of)
{
    if (*at >= text.len || strchr(any_of, text.data[*at]) == NULL || text.data[*at] == '\0')
        return false;
    (*at)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Reads ".123456", cut to milliseconds; 0 when there is no dot, -1 when no digit follows it. */
static int fraction_ms(cm_str_t text, size_t *at)
{
    int value = 0, count = 0;
    if (*at >= text.len || text.data[*at] != '.')
        return 0;
    for ((*at)++; *at < text.len && text.data[*at] >= '0' && text.data[*at] <= '9'; (*at)++) {
        if (count++ < 3)
            value = value * 10 + (text.data[*at] - '0');
    }
    if (count == 0)
        return -1;
    for (; count < 3; count++)
        value *= 10;
    return value;
}

/* Reads "Z" or "+hh:mm" as minutes east; false when it is neither. */
static bool zone_minutes(cm_str_t text, size_t *at, int *minutes)
{
    *minutes = 0;
    if (literal(text, at, "Zz"))
        return true;
    bool west = *at < text.len && text.data[*at] == '-';
    if (!literal(text, at, "+-"))
        return false;
    int hour = digits(text, at, 2);
    if (hour < 0 || hour > 23 || !literal(text, at, ":"))
        return false;
    int minute = digits(text, at, 2);
    if (minute < 0 || minute > 59)
        return false;
    *minutes = (west ? -1 : 1) * (hour * 60 + minute);
    return true;
}

/* Reads date and time at *at, as if they were UTC. */
static bool date_and_time(cm_str_t text, size_t *at, int64_t *ms)
{
    int year = digits(text, at, 4);
    if (year < 0 || !literal(text, at, "-"))
        return false;
    int month = digits(text, at, 2);
    if (month < 1 || month > 12 || !literal(text, at, "-"))
        return false;
    int day = digits(text, at, 2);
    if (day < 1 || day > days_in_month(year, month) || !literal(text, at, "Tt "))
        return false;
    int hour = digits(text, at, 2);
    if (hour < 0 || hour > 23 || !literal(text, at, ":"))
        return false;
    int minute = digits(text, at, 2);
    if (minute < 0 || minute > 59 || !literal(text, at, ":"))
        return false;
    int second = digits(text, at, 2);
    if (second < 0 || second > 60)
        return false;
    int milli = fraction_ms(text, at);
    int64_t seconds = cm_time_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *ms = seconds * 1000 + milli;
    return milli >= 0;
}

bool cm_time_parse(cm_str_t text, int64_t *ms)
{
    size_t at = 0;
    int zone;

    if (!date_and_time(text, &at, ms) || !zone_minutes(text, &at, &zone) || at != text.len)
        return false;
    *ms -= (int64_t)zone * 60 * 1000;
    return true;
}

bool cm_time_parse_local(cm_str_t text, int64_t *ms)
{
    size_t at = 0;

    return date_and_time(text, &at, ms) && at == text.len;
}
