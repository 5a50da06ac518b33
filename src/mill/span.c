#include "mill/span.h"

#include "base/clock.h"
#include "mill/names.h"

enum { SECONDS = CM_DAY_MS / 1000 /* of a day */ };

const char *cm_span_word(const cm_question_text_t *text, const char *option)
{
    return text->parameters ? option + 2 : option;
}

/* ---- local time ---- */

/* Rounds down, also below 0. */
static int64_t divide(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

/* The local time of an instant, in milliseconds as if it were UTC. */
static int64_t to_local(const cm_zone_t *zone, int64_t ms)
{
    int64_t from, to;

    return ms + cm_zone_offset(zone, divide(ms, 1000), &from, &to) * 1000;
}

/* The local date of an instant, in days. */
static int64_t to_day(const cm_zone_t *zone, int64_t ms)
{
    return divide(to_local(zone, ms), CM_DAY_MS);
}

/* The first instant of a date. */
static int64_t day_begin(const cm_zone_t *zone, int64_t day)
{
    return cm_zone_first(zone, day * SECONDS) * 1000;
}

/* The first instant at which the clock shows the local time; where it is skipped, the change. */
static int64_t from_local(const cm_zone_t *zone, int64_t local)
{
    const int64_t second = divide(local, 1000);
    const int64_t ms = cm_zone_first(zone, second) * 1000;

    return to_local(zone, ms) == second * 1000 ? ms + (local - second * 1000) : ms;
}

static bool is_day_begin(const cm_zone_t *zone, int64_t ms)
{
    return ms == day_begin(zone, to_day(zone, ms));
}

/* ---- one end ---- */

/* `2026-11-29`. */
static bool read_date(cm_str_t text, int64_t *day)
{
    char local[20] = "....-..-..T00:00:00";
    int64_t ms;

    if (text.len != 10)
        return false;
    memcpy(local, text.data, 10);
    if (!cm_time_parse_local((cm_str_t){local, 19}, &ms))
        return false;
    *day = divide(ms, CM_DAY_MS);
    return true;
}

/* `-7d` and `-24h`. */
static bool read_ago(cm_str_t text, int64_t *number, char *unit)
{
    enum { DIGITS = 6 };
    int64_t value = 0;

    if (text.len < 3 || text.len > DIGITS + 2 || text.data[0] != '-')
        return false;
    for (size_t i = 1; i + 1 < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *number = value;
    *unit = text.data[text.len - 1];
    return *unit == 'd' || *unit == 'h';
}

static int fail_time(const char *where, cm_str_t text, cm_err_t *err)
{
    char with_zone[64];
    int64_t ms;

    if (cm_time_parse_local(text, &ms))
        return cm_fail(err, CM_EUSAGE,
                       "%s: %.*s has no zone; write %.*sZ, or an offset such as +01:00 behind it",
                       where, cm_names_shown(text), text.data, cm_names_shown(text), text.data);
    /* A + in a URL is a blank. */
    if (text.len > 6 && text.len < sizeof with_zone && text.data[text.len - 6] == ' ') {
        memcpy(with_zone, text.data, text.len);
        with_zone[text.len - 6] = '+';
        if (cm_time_parse((cm_str_t){with_zone, text.len}, &ms))
            return cm_fail(err, CM_EUSAGE,
                           "%s: \"%.*s\" has a blank before its offset; in a URL write %%2B for +",
                           where, cm_names_shown(text), text.data);
    }
    return cm_fail(err, CM_EUSAGE,
                   "%s: \"%.*s\" is no time; give a date (2026-11-29), a time with its zone "
                   "(2026-11-29T14:00:00Z), today, -7d or -24h",
                   where, cm_names_shown(text), text.data);
}

static int read_end(const cm_question_text_t *all, const char *text, const char *where,
                    const cm_zone_t *zone, int64_t *ms, cm_err_t *err)
{
    const cm_str_t word = cm_str_trim(cm_str(text));
    int64_t number;
    char unit;

    if (!cm_utf8_valid(word.data, word.len))
        return cm_fail(err, CM_EUSAGE, "%s is not UTF-8 text", where);
    if (read_date(word, &number))
        *ms = day_begin(zone, number);
    else if (cm_str_equal(word, CM_STR("today")))
        *ms = day_begin(zone, to_day(zone, all->now));
    else if (read_ago(word, &number, &unit))
        *ms = unit == 'd' ? day_begin(zone, to_day(zone, all->now) - number)
                          : all->now - number * CM_HOUR_MS;
    else if (!cm_time_parse(word, ms))
        return fail_time(where, word, err);
    /* Local dates at both ends may lie a day outside in UTC. */
    if (*ms < -CM_DAY_MS || *ms > CM_TIME_END + CM_DAY_MS)
        return cm_fail(err, CM_EUSAGE, "%s: %.*s is not in the years 1970 to 2099", where,
                       cm_names_shown(word), word.data);
    return 0;
}

/* ---- the span before ---- */

static cm_span_t find_previous(const cm_zone_t *zone, cm_span_t span, bool open)
{
    const cm_span_t exact = {span.from - (span.to - span.from), span.from};
    const int64_t first = to_day(zone, span.from);
    int64_t days = to_day(zone, span.to) - first;
    cm_span_t before = {0, span.from};

    if (!is_day_begin(zone, span.from) || (!open && !is_day_begin(zone, span.to)))
        return exact;
    if (!is_day_begin(zone, span.to)) {
        days++; /* the day of which the end is a part, too */
        before.to = from_local(zone, to_local(zone, span.to) - days * CM_DAY_MS);
    }
    before.from = day_begin(zone, first - days);
    return before.from < before.to ? before : exact;
}

/* The same date a year before. 29 February goes with the 28th: as a begin it is the 28th, and as
 * the end behind a span, the end of the 28th. */
static int64_t year_before(int64_t day, bool is_end)
{
    int year, month, of_month;

    cm_time_date(day, &year, &month, &of_month);
    if (month == 2 && of_month == 29)
        return cm_time_days(year - 1, 2, 28) + is_end;
    return cm_time_days(year - 1, month, of_month);
}

static int64_t year_before_end(const cm_zone_t *zone, int64_t ms, bool is_end)
{
    const int64_t local = to_local(zone, ms), day = divide(local, CM_DAY_MS);

    if (is_day_begin(zone, ms))
        return day_begin(zone, year_before(day, is_end));
    return from_local(zone, year_before(day, false) * CM_DAY_MS + (local - day * CM_DAY_MS));
}

static cm_span_t find_year(const cm_zone_t *zone, cm_span_t span)
{
    cm_span_t before = {year_before_end(zone, span.from, false),
                        year_before_end(zone, span.to, true)};

    if (before.from >= before.to) /* from some time of 28 to an earlier one of 29 February */
        before.to = before.from + (span.to - span.from);
    return before;
}

static int parse_compare(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    static const char *const names[] = {"previous", "year", NULL};
    const char *where = cm_span_word(text, "--compare");
    const bool open = question->span.to == INT64_MAX;
    char begin[CM_TIME_TEXT];

    if (strcmp(text->compare, names[0]) == 0) {
        question->compare = CM_COMPARE_PREVIOUS;
    } else if (strcmp(text->compare, names[1]) == 0) {
        question->compare = CM_COMPARE_YEAR;
    } else {
        return cm_names_fail_unknown(cm_str(text->compare), "comparison", names,
                                     "there are previous and year", where, err);
    }
    if (question->span.from == INT64_MIN)
        return cm_fail(err, CM_EUSAGE, "%s needs %s: a span without a begin has none before it",
                       where, cm_span_word(text, "--from"));
    if (open)
        question->span.to = text->now;
    if (question->span.from >= question->span.to)
        return cm_fail(err, CM_EUSAGE,
                       "%s: %s is not before now, where the span ends; give %s, too", where,
                       cm_span_word(text, "--from"), cm_span_word(text, "--to"));
    question->before = question->compare == CM_COMPARE_PREVIOUS
                           ? find_previous(question->zone, question->span, open)
                           : find_year(question->zone, question->span);
    if (question->before.from < -CM_DAY_MS)
        return cm_fail(err, CM_EUSAGE,
                       "%s: the span before begins at %s, and there are no events before 1970; "
                       "give a later %s",
                       where, cm_time_format(question->before.from, begin),
                       cm_span_word(text, "--from"));
    return 0;
}

int cm_span_parse(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    const char *from_word = cm_span_word(text, "--from"), *to_word = cm_span_word(text, "--to");
    char from[CM_TIME_TEXT], to[CM_TIME_TEXT];
    cm_span_t *span = &question->span;
    int rc = 0;

    *span = CM_SPAN_ALL;
    if (text->from != NULL)
        rc = read_end(text, text->from, from_word, question->zone, &span->from, err);
    if (rc == 0 && text->to != NULL)
        rc = read_end(text, text->to, to_word, question->zone, &span->to, err);
    if (rc == 0 && span->from >= span->to)
        rc = cm_fail(err, CM_EUSAGE,
                     "the span is empty: %s is %s, and %s, the first instant after the span, is "
                     "%s; to have the whole of a day, give the next date as %s",
                     from_word, cm_time_format(span->from, from), to_word,
                     cm_time_format(span->to, to), to_word);
    if (rc == 0 && text->compare != NULL)
        rc = parse_compare(text, question, err);
    return rc;
}
