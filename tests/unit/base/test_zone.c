/* Time zones: local times around changes of the clock, and files that are not time zones. */
#include "base/zone.h"

#include "base/clock.h"
#include "support.h"

/* A file of the database: version 2, an empty first part, the changes and types given, a rule. */
static cm_buf_t make_file(const char *rule, bool leap)
{
    static const int64_t from[] = {0, 1000000};
    static const int32_t offsets[] = {3600, 0, 7200};
    cm_buf_t file = CM_BUF_INIT;

    for (int part = 0; part < 2; part++) {
        uint32_t counts[] = {0, 0, part == 1 && leap, part == 1 ? 2 : 0, part == 1 ? 3 : 1, 4};
        cm_buf_add(&file, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        for (int i = 0; i < 6; i++) {
            uint32_t big = __builtin_bswap32(counts[i]);
            cm_buf_add(&file, &big, 4);
        }
        for (int i = 0; part == 1 && i < 2; i++) {
            uint64_t big = __builtin_bswap64((uint64_t)from[i]);
            cm_buf_add(&file, &big, 8);
        }
        if (part == 1)
            cm_buf_add(&file, "\1\2", 2);
        for (int i = 0; i < (part == 1 ? 3 : 1); i++) {
            uint32_t big = __builtin_bswap32((uint32_t)offsets[i]);
            cm_buf_add(&file, &big, 4);
            cm_buf_add(&file, "\0\0", 2);
        }
        cm_buf_add(&file, "LMT", 4);
        if (counts[2])
            cm_buf_add(&file, "\0\0\0\0\4\263\127\200\0\0\0\1", 12);
    }
    cm_buf_printf(&file, "\n%s\n", rule);
    return file;
}

static void assert_utc(const cm_zone_t *zone, const char *local, const char *utc)
{
    char text[CM_TIME_TEXT];
    int64_t ms;

    assert_true(cm_time_parse_local(cm_str(local), &ms));
    cm_time_format(cm_zone_utc(zone, ms), text);
    if (strcmp(text, utc) != 0)
        fail_msg("%s is %s, not %s", local, text, utc);
}

static void rules(void **state)
{
    cm_zone_t *zone;

    (void)state;
    cm_buf_t file = make_file("CET-1CEST,M3.5.0,M10.5.0/3", false);
    assert_true(cm_zone_read((cm_str_t){file.data, file.len}, &zone));
    assert_utc(zone, "1969-12-31T12:00:00", "1969-12-31T11:00:00Z"); /* before the first change */
    assert_utc(zone, "1970-01-01T00:30:00",
               "1969-12-31T23:30:00Z"); /* shown twice: the earlier one */
    assert_utc(zone, "1970-01-02T00:00:00", "1970-01-02T00:00:00Z");
    assert_utc(zone, "1970-01-12T14:46:40",
               "1970-01-12T14:46:40Z"); /* skipped: with the offset before it */
    assert_utc(zone, "1970-01-13T00:00:00", "1970-01-12T22:00:00Z");
    /* From the rule. */
    assert_utc(zone, "2050-01-01T00:00:00", "2049-12-31T23:00:00Z");
    assert_utc(zone, "2050-07-01T00:00:00", "2050-06-30T22:00:00Z");
    assert_utc(zone, "2025-03-30T01:59:59.999", "2025-03-30T00:59:59.999Z");
    assert_utc(zone, "2025-03-30T02:30:00", "2025-03-30T01:30:00Z"); /* 03:30 in summer time */
    assert_utc(zone, "2025-03-30T03:00:00", "2025-03-30T01:00:00Z");
    assert_utc(zone, "2025-10-26T02:30:00", "2025-10-26T00:30:00Z"); /* still summer time */
    assert_utc(zone, "2025-10-26T03:00:00", "2025-10-26T02:00:00Z");
    cm_zone_free(zone);
    cm_buf_free(&file);

    /* South of the equator, an offset in angle brackets, days by number, a second of its own. */
    file = make_file("<-04>4<-03>,J60/24,299/-1:30", false);
    assert_true(cm_zone_read((cm_str_t){file.data, file.len}, &zone));
    assert_utc(zone, "2024-03-01T23:59:59", "2024-03-02T03:59:59Z"); /* J60 is the 1st of March */
    assert_utc(zone, "2024-03-02T01:00:00", "2024-03-02T04:00:00Z");
    assert_utc(zone, "2024-10-25T21:00:00", "2024-10-26T00:00:00Z"); /* day 299 is the 26th */
    assert_utc(zone, "2024-10-26T00:00:00", "2024-10-26T04:00:00Z");
    cm_zone_free(zone);
    cm_buf_free(&file);
}

/* A file that is cut or has a changed byte gives a zone or an error, never a read beyond its end.
 */
static void broken_files(void **state)
{
    static const char *const rules[] = {"CE-1",
                                        "CET",
                                        "CET-1CEST",
                                        "CET-1CEST,M3.5.0",
                                        "CET-1CEST,M13.5.0,M10.5.0",
                                        "CET-1CEST,M3.5.0,M10.5.0x",
                                        "CET-25",
                                        "CET-1CEST,J0,J1",
                                        "CET-1CEST,366,1"};
    cm_zone_t *zone;
    uint64_t random = 5;

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        cm_buf_t file = make_file(rules[i], false);
        if (cm_zone_read((cm_str_t){file.data, file.len}, &zone))
            fail_msg("%s is no rule", rules[i]);
        cm_buf_free(&file);
    }
    cm_buf_t leap = make_file("", true), file = make_file("UTC0", false);
    assert_false(cm_zone_read((cm_str_t){leap.data, leap.len}, &zone));
    for (size_t len = 0; len < file.len; len++) {
        char *exact = malloc(len + 1);
        memcpy(exact, file.data, len);
        assert_false(cm_zone_read((cm_str_t){exact, len}, &zone));
        free(exact);
    }
    for (int round = 0; round < 20000; round++) {
        char *copy = malloc(file.len);
        memcpy(copy, file.data, file.len);
        for (int i = 0; i < 2; i++)
            copy[test_random(&random) % file.len] = (char)test_random(&random);
        if (cm_zone_read((cm_str_t){copy, file.len}, &zone)) {
            cm_zone_utc(zone, INT64_C(1747476303000));
            cm_zone_free(zone);
        }
        free(copy);
    }
    cm_buf_free(&leap);
    cm_buf_free(&file);
}

static void by_name(void **state)
{
    static const char *const none[] = {"",
                                       "Europe/Nowhere",
                                       "../../../etc/passwd",
                                       "/etc/passwd",
                                       "Europe/../Europe/Berlin",
                                       "Europe",
                                       "tzdata.zi",
                                       "+02:00"};
    cm_zone_t *zone;
    cm_err_t err;

    (void)state;
    assert_int_equal(0, cm_zone_open("UTC", &zone, &err));
    assert_utc(zone, "2025-05-17 10:05:03", "2025-05-17T10:05:03Z");
    cm_zone_free(zone);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(CM_EUSAGE, cm_zone_open(none[i], &zone, &err));
        assert_memory_equal(err.text, "--tz: ", 6);
    }
    if (cm_zone_open("Europe/Berlin", &zone, &err) < 0)
        skip(); /* tzdata is not installed */
    assert_utc(zone, "2025-05-17 10:05:03.5", "2025-05-17T08:05:03.500Z");
    assert_utc(zone, "2024-12-24 18:00:00", "2024-12-24T17:00:00Z");
    assert_utc(zone, "2025-03-30 02:30:00", "2025-03-30T01:30:00Z");
    assert_utc(zone, "2025-10-26 02:30:00", "2025-10-26T00:30:00Z");
    assert_utc(zone, "1975-07-01 00:00:00", "1975-06-30T23:00:00Z"); /* no summer time that year */
    assert_utc(zone, "2099-07-01 00:00:00", "2099-06-30T22:00:00Z");
    cm_zone_free(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(broken_files),
        cmocka_unit_test(by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
