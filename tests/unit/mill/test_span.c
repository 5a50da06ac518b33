/* Spans: dates, times and days ago in a zone, and the spans that they are compared with. */
#include "mill/span.h"

#include "base/clock.h"
#include "support.h"

/* A span and the expected ends, "from to", "-" for an open one; with a comparison also those of the
 * span before. */
typedef struct example {
    const char *zone, *now, *from, *to, *compare, *expected;
} example_t;

static int parse(const example_t *example, cm_question_t *question, cm_err_t *err)
{
    cm_question_text_t text = {
        .from = example->from, .to = example->to, .compare = example->compare};
    cm_zone_t *zone;

    *question = (cm_question_t){.compare = CM_COMPARE_NONE};
    assert_true(cm_time_parse(cm_str(example->now), &text.now));
    assert_ok(cm_zone_open(example->zone, &zone, err), *err);
    question->zone = zone;
    return cm_span_parse(&text, question, err);
}

static void add_span(cm_buf_t *text, cm_span_t span)
{
    char from[CM_TIME_TEXT], to[CM_TIME_TEXT];

    cm_buf_printf(text, "%s %s", span.from == INT64_MIN ? "-" : cm_time_format(span.from, from),
                  span.to == INT64_MAX ? "-" : cm_time_format(span.to, to));
}

static void try_all(const example_t *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const example_t *example = &examples[i];
        cm_question_t question;
        cm_buf_t got = CM_BUF_INIT;
        cm_err_t err;

        assert_ok(parse(example, &question, &err), err);
        add_span(&got, question.span);
        if (example->compare != NULL) {
            cm_buf_add_text(&got, "; ");
            add_span(&got, question.before);
        }
        if (strcmp(example->expected, got.data) != 0)
            fail_msg("%s, now %s, from %s to %s, %s: %s, not %s", example->zone, example->now,
                     example->from ? example->from : "-", example->to ? example->to : "-",
                     example->compare ? example->compare : "-", got.data, example->expected);
        cm_buf_free(&got);
        cm_question_free(&question);
    }
}

#define TRY(examples) try_all(examples, sizeof(examples) / sizeof *(examples))
#define NOW           "2026-12-01T08:47:03.250Z"

static void ends(void **state)
{
    static const example_t examples[] = {
        {"UTC", NOW, NULL, NULL, NULL, "- -"},
        {"UTC", NOW, "2026-11-29", NULL, NULL, "2026-11-29T00:00:00Z -"},
        {"UTC", NOW, NULL, "2026-11-30", NULL, "- 2026-11-30T00:00:00Z"},
        {"UTC", NOW, " today ", NULL, NULL, "2026-12-01T00:00:00Z -"},
        {"UTC", NOW, "-7d", "today", NULL, "2026-11-24T00:00:00Z 2026-12-01T00:00:00Z"},
        {"UTC", NOW, "-0d", NULL, NULL, "2026-12-01T00:00:00Z -"},
        {"UTC", NOW, "-24h", NULL, NULL, "2026-11-30T08:47:03.250Z -"},
        {"UTC", NOW, "-1h", "-0h", NULL, "2026-12-01T07:47:03.250Z 2026-12-01T08:47:03.250Z"},
        {"UTC", NOW, "2026-11-29T14:00:00Z", "2026-11-29 14:00:00.5+00:00", NULL,
         "2026-11-29T14:00:00Z 2026-11-29T14:00:00.500Z"},
        {"Asia/Tokyo", NOW, "2026-11-29T14:00:00+02:00", NULL, NULL, "2026-11-29T12:00:00Z -"},
        {"UTC", NOW, "1970-01-01", "2100-01-01", NULL, "1970-01-01T00:00:00Z 2100-01-01T00:00:00Z"},
        {"Pacific/Kiritimati", NOW, "1970-01-01", NULL, NULL, "1970-01-01T10:40:00Z -"},
        {"Pacific/Pago_Pago", NOW, NULL, "2100-01-01", NULL, "- 2100-01-01T11:00:00Z"},
        /* The day of the zone, whatever day it is elsewhere. */
        {"Pacific/Kiritimati", NOW, "today", NULL, NULL, "2026-11-30T10:00:00Z -"},
        {"Pacific/Kiritimati", "2026-12-01T10:00:00Z", "today", NULL, NULL,
         "2026-12-01T10:00:00Z -"},
        {"Pacific/Pago_Pago", NOW, "today", NULL, NULL, "2026-11-30T11:00:00Z -"},
        {"Asia/Kathmandu", NOW, "2026-11-29", NULL, NULL, "2026-11-28T18:15:00Z -"},
        /* Days ago are dates, not 24 hours each. PostHog/posthog#21042, #31984. */
        {"Europe/Berlin", "2026-03-30T10:00:00Z", "-2d", NULL, NULL, "2026-03-27T23:00:00Z -"},
        {"Europe/Berlin", "2026-10-26T10:00:00Z", "-1d", NULL, NULL, "2026-10-24T22:00:00Z -"},
        {"Europe/Berlin", "2026-03-29T22:30:00Z", "today", NULL, NULL, "2026-03-29T22:00:00Z -"},
        {"Europe/Berlin", "2026-03-29T10:00:00Z", "-24h", NULL, NULL, "2026-03-28T10:00:00Z -"},
        /* Yesterday without today: PostHog/posthog#7820. */
        {"Europe/Brussels", "2021-12-22T08:09:27Z", "-1d", "today", NULL,
         "2021-12-20T23:00:00Z 2021-12-21T23:00:00Z"},
        /* Dates without midnight, and one that the zone skipped. */
        {"America/Sao_Paulo", NOW, "2018-11-04", "2018-11-05", NULL,
         "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"},
        {"Asia/Beirut", NOW, "2022-03-27", "2022-03-28", NULL,
         "2022-03-26T22:00:00Z 2022-03-27T21:00:00Z"},
        {"Africa/Cairo", NOW, "2025-04-25", "2025-04-26", NULL,
         "2025-04-24T22:00:00Z 2025-04-25T21:00:00Z"},
        {"Pacific/Apia", NOW, "2011-12-29", "2011-12-30", NULL,
         "2011-12-29T10:00:00Z 2011-12-30T10:00:00Z"},
        {"Pacific/Apia", NOW, "2011-12-30", "2012-01-01", NULL,
         "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z"},
        /* Midnight is shown twice: the first one. */
        {"America/Havana", NOW, "2026-11-01", "2026-11-02", NULL,
         "2026-11-01T04:00:00Z 2026-11-02T05:00:00Z"},
    };

    (void)state;
    TRY(examples);
}

static void previous(void **state)
{
    static const example_t examples[] = {
        /* Whole days. */
        {"UTC", NOW, "2026-11-01", "2026-12-01", "previous",
         "2026-11-01T00:00:00Z 2026-12-01T00:00:00Z; 2026-10-02T00:00:00Z 2026-11-01T00:00:00Z"},
        {"UTC", NOW, "-7d", "today", "previous",
         "2026-11-24T00:00:00Z 2026-12-01T00:00:00Z; 2026-11-17T00:00:00Z 2026-11-24T00:00:00Z"},
        /* By calendar: 23 and 25 hours are days. PostHog/posthog#45523. */
        {"Europe/Berlin", NOW, "2026-03-29", "2026-03-30", "previous",
         "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z; 2026-03-27T23:00:00Z 2026-03-28T23:00:00Z"},
        {"Europe/Berlin", NOW, "2026-03-30", "2026-03-31", "previous",
         "2026-03-29T22:00:00Z 2026-03-30T22:00:00Z; 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z"},
        {"Europe/Berlin", NOW, "2026-10-25", "2026-10-27", "previous",
         "2026-10-24T22:00:00Z 2026-10-26T23:00:00Z; 2026-10-22T22:00:00Z 2026-10-24T22:00:00Z"},
        {"America/Sao_Paulo", NOW, "2018-11-05", "2018-11-06", "previous",
         "2018-11-05T02:00:00Z 2018-11-06T02:00:00Z; 2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"},
        /* Starts of days that are written as instants. */
        {"Europe/Berlin", NOW, "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z", "previous",
         "2026-03-29T22:00:00Z 2026-03-30T22:00:00Z; 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z"},
        /* An open end: both end at the same local time. plausible/analytics#6205. */
        {"UTC", NOW, "today", NULL, "previous",
         "2026-12-01T00:00:00Z 2026-12-01T08:47:03.250Z; 2026-11-30T00:00:00Z "
         "2026-11-30T08:47:03.250Z"},
        {"UTC", NOW, "-6d", NULL, "previous",
         "2026-11-25T00:00:00Z 2026-12-01T08:47:03.250Z; 2026-11-18T00:00:00Z "
         "2026-11-24T08:47:03.250Z"},
        {"Europe/Berlin", "2026-03-29T10:00:00Z", "today", NULL, "previous",
         "2026-03-28T23:00:00Z 2026-03-29T10:00:00Z; 2026-03-27T23:00:00Z 2026-03-28T11:00:00Z"},
        {"Europe/Berlin", "2026-03-30T00:30:00Z", "today", NULL, "previous", /* 02:30 is skipped */
         "2026-03-29T22:00:00Z 2026-03-30T00:30:00Z; 2026-03-28T23:00:00Z 2026-03-29T01:00:00Z"},
        {"Europe/Berlin", "2026-12-01T23:00:00Z", "-2d", NULL, "previous", /* now is midnight */
         "2026-11-29T23:00:00Z 2026-12-01T23:00:00Z; 2026-11-27T23:00:00Z 2026-11-29T23:00:00Z"},
        /* Anything else: as many milliseconds. */
        {"UTC", NOW, "-24h", NULL, "previous",
         "2026-11-30T08:47:03.250Z 2026-12-01T08:47:03.250Z; 2026-11-29T08:47:03.250Z "
         "2026-11-30T08:47:03.250Z"},
        {"Europe/Berlin", NOW, "2026-03-29", "2026-03-29T12:00:00+02:00", "previous",
         "2026-03-28T23:00:00Z 2026-03-29T10:00:00Z; 2026-03-28T12:00:00Z 2026-03-28T23:00:00Z"},
        {"Asia/Tokyo", NOW, "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z", "previous",
         "2026-11-29T00:00:00Z 2026-11-30T00:00:00Z; 2026-11-28T00:00:00Z 2026-11-29T00:00:00Z"},
        /* A date that the zone skipped is a day of the calendar. */
        {"Pacific/Apia", NOW, "2011-12-31", "2012-01-01", "previous",
         "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z; 2011-12-29T10:00:00Z 2011-12-30T10:00:00Z"},
        {"Pacific/Apia", NOW, "2012-01-01", "2012-01-03", "previous",
         "2011-12-31T10:00:00Z 2012-01-02T10:00:00Z; 2011-12-30T10:00:00Z 2011-12-31T10:00:00Z"},
    };

    (void)state;
    TRY(examples);
}

static void year(void **state)
{
    static const example_t examples[] = {
        {"UTC", NOW, "2026-11-01", "2026-12-01", "year",
         "2026-11-01T00:00:00Z 2026-12-01T00:00:00Z; 2025-11-01T00:00:00Z 2025-12-01T00:00:00Z"},
        {"UTC", NOW, "today", NULL, "year",
         "2026-12-01T00:00:00Z 2026-12-01T08:47:03.250Z; 2025-12-01T00:00:00Z "
         "2025-12-01T08:47:03.250Z"},
        {"UTC", NOW, "-24h", NULL, "year",
         "2026-11-30T08:47:03.250Z 2026-12-01T08:47:03.250Z; 2025-11-30T08:47:03.250Z "
         "2025-12-01T08:47:03.250Z"},
        /* 29 February goes with the 28th. */
        {"UTC", NOW, "2024-02-29", "2024-03-01", "year",
         "2024-02-29T00:00:00Z 2024-03-01T00:00:00Z; 2023-02-28T00:00:00Z 2023-03-01T00:00:00Z"},
        {"UTC", NOW, "2024-02-28", "2024-02-29", "year",
         "2024-02-28T00:00:00Z 2024-02-29T00:00:00Z; 2023-02-28T00:00:00Z 2023-03-01T00:00:00Z"},
        {"UTC", NOW, "2024-02-01", "2024-02-29", "year",
         "2024-02-01T00:00:00Z 2024-02-29T00:00:00Z; 2023-02-01T00:00:00Z 2023-03-01T00:00:00Z"},
        {"UTC", NOW, "2024-02-01", "2024-03-01", "year",
         "2024-02-01T00:00:00Z 2024-03-01T00:00:00Z; 2023-02-01T00:00:00Z 2023-03-01T00:00:00Z"},
        {"UTC", NOW, "2025-02-28", "2025-03-01", "year",
         "2025-02-28T00:00:00Z 2025-03-01T00:00:00Z; 2024-02-28T00:00:00Z 2024-03-01T00:00:00Z"},
        {"UTC", "2024-02-29T10:00:00Z", "today", NULL, "year",
         "2024-02-29T00:00:00Z 2024-02-29T10:00:00Z; 2023-02-28T00:00:00Z 2023-02-28T10:00:00Z"},
        {"UTC", NOW, "2024-02-28T12:00:00Z", "2024-02-29T10:00:00Z", "year",
         "2024-02-28T12:00:00Z 2024-02-29T10:00:00Z; 2023-02-28T12:00:00Z 2023-03-01T10:00:00Z"},
        /* The dates of the zone: summer time began on 31 March and on 30 March. */
        {"Europe/Berlin", NOW, "2025-03-31", "2025-04-01", "year",
         "2025-03-30T22:00:00Z 2025-03-31T22:00:00Z; 2024-03-30T23:00:00Z 2024-03-31T22:00:00Z"},
        {"Europe/Berlin", "2025-03-31T00:30:00Z", "today", NULL, "year", /* 02:30 is skipped */
         "2025-03-30T22:00:00Z 2025-03-31T00:30:00Z; 2024-03-30T23:00:00Z 2024-03-31T01:00:00Z"},
        {"America/Sao_Paulo", NOW, "2019-11-04", "2019-11-05", "year",
         "2019-11-04T03:00:00Z 2019-11-05T03:00:00Z; 2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"},
    };

    (void)state;
    TRY(examples);
}

static void wrong(void **state)
{
    static const example_t examples[] = {
        {"UTC", NOW, "2026-13-01", NULL, NULL,
         "--from: \"2026-13-01\" is no time; give a date (2026-11-29), a time with its zone "
         "(2026-11-29T14:00:00Z), today, -7d or -24h"},
        {"UTC", NOW, "", NULL, NULL,
         "--from: \"\" is no time; give a date (2026-11-29), a time with its zone "
         "(2026-11-29T14:00:00Z), today, -7d or -24h"},
        {"UTC", NOW, NULL, "-7w", NULL,
         "--to: \"-7w\" is no time; give a date (2026-11-29), a time with its zone "
         "(2026-11-29T14:00:00Z), today, -7d or -24h"},
        {"UTC", NOW, "-d", NULL, NULL,
         "--from: \"-d\" is no time; give a date (2026-11-29), a time with its zone "
         "(2026-11-29T14:00:00Z), today, -7d or -24h"},
        {"UTC", NOW, "2026-11-29T14:00:00", NULL, NULL,
         "--from: 2026-11-29T14:00:00 has no zone; write 2026-11-29T14:00:00Z, or an offset such "
         "as +01:00 behind it"},
        {"UTC", NOW, "2026-11-29T14:00:00 01:00", NULL, NULL,
         "--from: \"2026-11-29T14:00:00 01:00\" has a blank before its offset; in a URL write %2B "
         "for +"},
        {"UTC", NOW, "1969-12-30", NULL, NULL,
         "--from: 1969-12-30 is not in the years 1970 to 2099"},
        {"UTC", NOW, "-999999d", NULL, NULL, "--from: -999999d is not in the years 1970 to 2099"},
        {"UTC", NOW, NULL, "9999-12-31", NULL, "--to: 9999-12-31 is not in the years 1970 to 2099"},
        {"Europe/Berlin", NOW, "2026-11-29", "2026-11-29", NULL,
         "the span is empty: --from is 2026-11-28T23:00:00Z, and --to, the first instant after the "
         "span, is 2026-11-28T23:00:00Z; to have the whole of a day, give the next date as --to"},
        {"UTC", NOW, "today", "-1d", NULL,
         "the span is empty: --from is 2026-12-01T00:00:00Z, and --to, the first instant after the "
         "span, is 2026-11-30T00:00:00Z; to have the whole of a day, give the next date as --to"},
        {"Pacific/Apia", NOW, "2011-12-30", "2011-12-31", NULL,
         "the span is empty: --from is 2011-12-30T10:00:00Z, and --to, the first instant after the "
         "span, is 2011-12-30T10:00:00Z; to have the whole of a day, give the next date as --to"},
        {"UTC", NOW, NULL, "today", "previous",
         "--compare needs --from: a span without a begin has none before it"},
        {"UTC", NOW, "-7d", NULL, "previos",
         "--compare: there is no comparison \"previos\"; did you mean previous?"},
        {"UTC", NOW, "-7d", NULL, "week",
         "--compare: there is no comparison \"week\"; there are previous and year"},
        {"UTC", NOW, "2027-01-01", NULL, "year",
         "--compare: --from is not before now, where the span ends; give --to, too"},
        {"UTC", NOW, "1990-01-01", "2026-01-01", "previous",
         "--compare: the span before begins at 1954-01-01T00:00:00Z, and there are no events "
         "before "
         "1970; give a later --from"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        cm_question_t question;
        cm_err_t err = {0};
        assert_int_equal(CM_EUSAGE, parse(&examples[i], &question, &err));
        assert_string_equal(examples[i].expected, err.text);
        cm_question_free(&question);
    }
}

/* In every zone and at every time: the span before is not empty and ends before the span. */
static void any_spans(void **state)
{
    static const char *const zones[] = {"America/St_Johns", "America/Havana",
                                        "Pacific/Apia",     "Australia/Lord_Howe",
                                        "Asia/Beirut",      "Antarctica/Troll"};
    static const char *const compares[] = {"previous", "year"};
    uint64_t random = 7;

    (void)state;
    for (int round = 0; round < 10000; round++) {
        cm_question_t question = {.compare = CM_COMPARE_NONE};
        char from[CM_TIME_TEXT], to[CM_TIME_TEXT];
        cm_zone_t *zone;
        cm_err_t err;
        const int64_t begin =
            INT64_C(946684800000) + (int64_t)(test_random(&random) % UINT64_C(1500000000000));
        const int64_t length =
            1 + (int64_t)(test_random(&random) % (UINT64_C(1) << test_random(&random) % 35));
        cm_question_text_t text = {.from = cm_time_format(begin, from),
                                   .compare = compares[round % 2],
                                   .now = begin + length};

        if (test_random(&random) % 2 == 0)
            text.to = cm_time_format(text.now, to);
        if (test_random(&random) % 2 == 0)
            from[10] = '\0'; /* a date, which may begin after the end */
        assert_ok(cm_zone_open(zones[round % 6], &zone, &err), err);
        question.zone = zone;
        if (cm_span_parse(&text, &question, &err) == 0) {
            assert_true(question.before.from < question.before.to);
            if (question.compare == CM_COMPARE_PREVIOUS)
                assert_true(question.before.to <= question.span.from);
        }
        cm_question_free(&question);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends),  cmocka_unit_test(previous),  cmocka_unit_test(year),
        cmocka_unit_test(wrong), cmocka_unit_test(any_spans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
