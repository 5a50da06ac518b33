/* Labels of time: around changes of the clock, and against a count by hours. */
#include "base/clock.h"
#include "mill/label.h"
#include "support.h"

static const cm_facet_t facets[] = {CM_FACET_HOUR,  CM_FACET_DAY,     CM_FACET_WEEK,
                                    CM_FACET_MONTH, CM_FACET_WEEKDAY, CM_FACET_HOUR_OF_DAY};

static cm_zone_t *zone;

static void in(const char *name)
{
    cm_err_t err;

    cm_zone_free(zone);
    zone = NULL;
    assert_ok(cm_zone_open(name, &zone, &err), err);
}

static int64_t instant(const char *time)
{
    int64_t ms;

    assert_true(cm_time_parse(cm_str(time), &ms));
    return ms / 1000;
}

static void assert_label(cm_facet_t facet, const char *time, const char *expected)
{
    cm_labels_t labels = cm_labels(facet, zone);
    cm_buf_t text = CM_BUF_INIT;

    cm_label_text(facet, cm_label_at(&labels, instant(time)), &text);
    if (strcmp(expected, text.data) != 0)
        fail_msg("%s: %s, not %s", time, text.data, expected);
    cm_buf_free(&text);
}

/* The labels of an instant, in the order of `facets`. */
static void assert_labels(const char *time, const char *const expected[6])
{
    for (int i = 0; i < 6; i++)
        assert_label(facets[i], time, expected[i]);
}

static void of_instants(void **state)
{
    (void)state;
    in("UTC");
    assert_labels("1970-01-01T00:00:00Z",
                  (const char *const[]){"1970-01-01 00:00:00", "1970-01-01", "1969-12-29",
                                        "1970-01-01", "4", "0"});
    assert_labels("2026-11-29T14:59:59Z",
                  (const char *const[]){"2026-11-29 14:00:00", "2026-11-29", "2026-11-23",
                                        "2026-11-01", "7", "14"});
    assert_labels("2099-12-31T23:59:59Z",
                  (const char *const[]){"2099-12-31 23:00:00", "2099-12-31", "2099-12-28",
                                        "2099-12-01", "4", "23"});
    assert_label(CM_FACET_WEEK, "2024-02-29T12:00:00Z", "2024-02-26");
    in("America/New_York");
    assert_labels("1970-01-01T00:00:01Z",
                  (const char *const[]){"1969-12-31 19:00:00", "1969-12-31", "1969-12-29",
                                        "1969-12-01", "3", "19"});
    in("Europe/Madrid"); /* ClickHouse/ClickHouse#46713 */
    assert_label(CM_FACET_DAY, "1970-01-01T00:00:00Z", "1970-01-01");
    in("Asia/Kolkata");
    assert_label(CM_FACET_HOUR, "2026-11-29T18:29:59Z", "2026-11-29 23:00:00");
    assert_label(CM_FACET_HOUR, "2026-11-29T18:30:00Z", "2026-11-30 00:00:00");
    in("Asia/Kathmandu");
    assert_label(CM_FACET_HOUR, "2026-11-29T18:14:59Z", "2026-11-29 23:00:00");
    assert_label(CM_FACET_WEEKDAY, "2026-11-29T18:15:00Z", "1");
    in("Africa/Monrovia"); /* 44 minutes and 30 seconds behind until 1972 */
    assert_label(CM_FACET_HOUR, "1971-06-01T00:44:29Z", "1971-05-31 23:00:00");
    assert_label(CM_FACET_HOUR, "1971-06-01T00:44:30Z", "1971-06-01 00:00:00");
    in("Pacific/Apia"); /* no 30 December */
    assert_label(CM_FACET_DAY, "2011-12-30T09:59:59Z", "2011-12-29");
    assert_label(CM_FACET_DAY, "2011-12-30T10:00:00Z", "2011-12-31");
    assert_label(CM_FACET_WEEKDAY, "2011-12-30T10:00:00Z", "6");
    /* ClickHouse/ClickHouse#119969: half an hour back is no half hour of labels. */
    in("Australia/Lord_Howe");
    assert_label(CM_FACET_HOUR, "2024-04-06T16:40:00Z", "2024-04-07 03:00:00");
    assert_label(CM_FACET_HOUR, "2024-04-06T15:00:00Z", "2024-04-07 01:00:00");
    assert_label(CM_FACET_HOUR, "2024-10-05T19:00:00Z", "2024-10-06 06:00:00");
    /* ClickHouse/ClickHouse#46237: the day on which summer time begins. */
    in("Europe/London");
    assert_label(CM_FACET_DAY, "2022-03-27T22:59:59Z", "2022-03-27");
    assert_label(CM_FACET_DAY, "2022-03-27T23:00:00Z", "2022-03-28");
    /* PostHog/posthog#31775: a day without midnight. */
    in("Africa/Cairo");
    assert_label(CM_FACET_DAY, "2025-04-24T21:59:59Z", "2025-04-24");
    assert_label(CM_FACET_HOUR, "2025-04-24T22:00:00Z", "2025-04-25 01:00:00");
    /* Two hours of one label. */
    in("Europe/Berlin");
    assert_label(CM_FACET_HOUR, "2026-10-25T00:30:00Z", "2026-10-25 02:00:00");
    assert_label(CM_FACET_HOUR, "2026-10-25T01:30:00Z", "2026-10-25 02:00:00");
    assert_label(CM_FACET_HOUR_OF_DAY, "2026-10-25T01:30:00Z", "2");
}

/* The steps from an instant on, each with the hours to the next one. */
static void assert_steps(cm_facet_t facet, const char *time, int count, const double *hours)
{
    cm_labels_t labels = cm_labels(facet, zone);
    cm_label_t label = cm_label_at(&labels, instant(time));

    assert_int_equal(instant(time), cm_label_begin(facet, label, zone));
    for (int i = 0; i < count; i++) {
        const cm_label_t next = cm_label_next(facet, label);
        const int64_t seconds =
            cm_label_begin(facet, next, zone) - cm_label_begin(facet, label, zone);
        if (seconds != (int64_t)(hours[i] * 3600))
            fail_msg("%s, step %d: %lld s", time, i, (long long)seconds);
        label = next;
    }
}

static void of_steps(void **state)
{
    (void)state;
    in("Europe/Berlin");
    assert_steps(CM_FACET_DAY, "2026-03-27T23:00:00Z", 3, (double[]){24, 23, 24});
    assert_steps(CM_FACET_DAY, "2026-10-23T22:00:00Z", 3, (double[]){24, 25, 24});
    assert_steps(CM_FACET_HOUR, "2026-03-29T00:00:00Z", 3, (double[]){1, 0, 1}); /* 2 is skipped */
    assert_steps(CM_FACET_HOUR, "2026-10-24T23:00:00Z", 3, (double[]){1, 2, 1});
    assert_steps(CM_FACET_WEEK, "2026-03-22T23:00:00Z", 2, (double[]){167, 168});
    assert_steps(CM_FACET_MONTH, "2025-12-31T23:00:00Z", 4, (double[]){744, 672, 743, 720});
    in("Pacific/Apia");
    assert_steps(CM_FACET_DAY, "2011-12-28T10:00:00Z", 4, (double[]){24, 24, 0, 24});
    in("America/Sao_Paulo");
    assert_steps(CM_FACET_DAY, "2018-11-03T03:00:00Z", 2, (double[]){24, 23});
    assert_steps(CM_FACET_HOUR, "2018-11-04T02:00:00Z", 3, (double[]){1, 0, 1});
    in("Asia/Beirut");
    assert_steps(CM_FACET_DAY, "2022-03-25T22:00:00Z", 3, (double[]){24, 23, 24});
    in("Australia/Lord_Howe");
    assert_steps(CM_FACET_HOUR, "2024-04-06T13:00:00Z", 3, (double[]){1, 1.5, 1});
    assert_steps(CM_FACET_HOUR, "2024-10-05T14:30:00Z", 3, (double[]){1, 0.5, 1});
    in("UTC");
    assert_steps(CM_FACET_MONTH, "2024-02-01T00:00:00Z", 1, (double[]){29 * 24});
}

/* Labels do not depend on which instant was asked before, and `from` and `to` are where they
 * change. */
static void spans_of_labels(void **state)
{
    static const char *const zones[] = {"UTC",          "America/St_Johns", "Asia/Kathmandu",
                                        "Pacific/Apia", "Antarctica/Troll", "Australia/Lord_Howe"};
    uint64_t random = 5;

    (void)state;
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        in(zones[z]);
        for (int f = 0; f < 6; f++) {
            cm_labels_t labels = cm_labels(facets[f], zone);
            for (int i = 0; i < 3000; i++) {
                const int64_t second = (int64_t)(test_random(&random) % UINT64_C(4102444800));
                const cm_label_t label = cm_label_at(&labels, second);
                cm_labels_t other = cm_labels(facets[f], zone);
                assert_true(label > 0 && labels.from <= second && second < labels.to);
                assert_int_equal(label, cm_label_at(&other, labels.from));
                assert_int_equal(label, cm_label_at(&other, labels.to - 1));
                if (facets[f] <= CM_FACET_MONTH)
                    assert_true(cm_label_begin(facets[f], label, zone) <= second);
            }
        }
    }
}

static int end(void **state)
{
    (void)state;
    cm_zone_free(zone);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_instants),
        cmocka_unit_test(of_steps),
        cmocka_unit_test(spans_of_labels),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
