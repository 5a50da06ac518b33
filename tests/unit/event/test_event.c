/* The contract's rules for one event, its row key, its JSON and CSV, and batches. */
#include "base/clock.h"
#include "event/batch.h"

#include "support.h"

static char long_text[3001]; /* the last byte stays NUL */

static cm_event_t good_event(void)
{
    return test_event("jane_doe", INT64_C(1700000000000), "https://www.example.com/", "Norway",
                      NULL);
}

/* Each field at its limit and one byte beyond, and below its minimum. */
static void limits(void **state)
{
    static const struct {
        const char *name;
        size_t offset, min, max;
    } fields[] = {{"user_id", offsetof(cm_event_t, user_id), 1, 256},
                  {"url", offsetof(cm_event_t, url), 1, 2048},
                  {"country", offsetof(cm_event_t, country), 0, 256},
                  {"city", offsetof(cm_event_t, city), 0, 256},
                  {"browser", offsetof(cm_event_t, browser), 0, 256},
                  {"os", offsetof(cm_event_t, os), 0, 256},
                  {"device", offsetof(cm_event_t, device), 0, 256},
                  {"row_key", offsetof(cm_event_t, row_key), 0, 64}};
    cm_err_t err;
    char expected[100];

    (void)state;
    memset(long_text, 'a', sizeof long_text - 1);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        cm_event_t event = good_event();
        cm_str_t *text = (cm_str_t *)((char *)&event + fields[i].offset);
        *text = (cm_str_t){long_text, fields[i].max};
        assert_int_equal(cm_event_check(&event, false, &err), 0);
        text->len++;
        assert_int_equal(cm_event_check(&event, true, &err), CM_EREJECT);
        snprintf(expected, sizeof expected, "%s is %zu bytes long, the limit is %zu",
                 fields[i].name, fields[i].max + 1, fields[i].max);
        assert_string_equal(err.text, expected);
        *text = (cm_str_t){NULL, 0};
        assert_int_equal(cm_event_check(&event, false, &err), fields[i].min > 0 ? CM_EREJECT : 0);
        if (fields[i].min > 0) {
            snprintf(expected, sizeof expected, "%s is missing or empty", fields[i].name);
            assert_string_equal(err.text, expected);
        }
        *text = CM_STR("half \xC3");
        assert_int_equal(cm_event_check(&event, true, &err), 0);
        assert_int_equal(cm_event_check(&event, false, &err), CM_EREJECT);
        snprintf(expected, sizeof expected, "%s is not valid UTF-8", fields[i].name);
        assert_string_equal(err.text, expected);
    }
}

static void time_range(void **state)
{
    static const int64_t good[] = {1, INT64_C(1700000000000), CM_TIME_END - 1};
    static const int64_t bad[] = {0, -1, CM_TIME_END, INT64_MAX, INT64_MIN};
    cm_event_t event = good_event();
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        event.timestamp = good[i];
        assert_int_equal(cm_event_check(&event, false, &err), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        event.timestamp = bad[i];
        assert_int_equal(cm_event_check(&event, false, &err), CM_EREJECT);
    }
    event.timestamp = CM_TIME_END;
    cm_event_check(&event, false, &err);
    assert_string_equal(err.text, "timestamp 4102444800000 is out of range: milliseconds between "
                                  "1970 and 2100 are expected");
}

static void completion(void **state)
{
    cm_event_t event = {.city = CM_STR("Oslo"), .os = {"", 0}};

    (void)state;
    cm_event_complete(&event);
    assert_true(cm_str_equal(event.country, CM_STR("Unknown")));
    assert_true(cm_str_equal(event.city, CM_STR("Oslo")));
    assert_true(cm_str_equal(event.browser, CM_STR("Unknown")));
    assert_true(cm_str_equal(event.os, CM_STR("Unknown")));
    assert_true(cm_str_equal(event.device, CM_STR("Unknown")));
    assert_int_equal(event.user_id.len + event.url.len + event.row_key.len, 0);
}

/* The values are those of Python's uuid.uuid5(uuid.NAMESPACE_DNS, ...). */
static void derived_keys(void **state)
{
    char x256[257];
    const struct {
        const char *user;
        int64_t time;
        const char *uuid;
    } cases[] = {{"jane_doe", INT64_C(1700000000000), "b1c20bd1-9486-5a96-b0b3-85c52fe6a34f"},
                 {"\xC3\xBC", 1, "8477e048-3a5e-58a5-8eb4-45a97d3558fe"},
                 {x256, CM_TIME_END - 1, "35fe9e4d-8e54-5cc7-a6d0-c2c49c3b8cb2"},
                 {"a_1", 2, "fcc494c8-e5be-55af-8c95-7289a69d2530"},
                 {"", 5, "ab270ecc-14b7-58b9-ae6b-8059ab55fac0"}};
    char text[CM_UUID_TEXT], name[300];
    uint8_t uuid[16], again[16];

    (void)state;
    memset(x256, 'x', 256);
    x256[256] = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_row_key_derive(cm_str(cases[i].user), cases[i].time, uuid);
        cm_uuid_format(uuid, text);
        assert_memory_equal(text, cases[i].uuid, CM_UUID_TEXT);
        assert_true(cm_uuid_parse((cm_str_t){text, CM_UUID_TEXT}, again));
        assert_memory_equal(uuid, again, 16);
        int len = snprintf(name, sizeof name, "%s_%lld", cases[i].user, (long long)cases[i].time);
        cm_uuid5((cm_str_t){name, (size_t)len}, text);
        assert_memory_equal(text, cases[i].uuid, CM_UUID_TEXT);
    }
    cm_uuid5(CM_STR("python.org"), text);
    assert_memory_equal(text, "886313e1-3b8a-5372-9b90-0c9aee199e5d", CM_UUID_TEXT);
    cm_uuid5(CM_STR(""), text);
    assert_memory_equal(text, "4ebd0208-8328-5d69-8c44-ec50939c0967", CM_UUID_TEXT);
}

static void uuid_texts(void **state)
{
    static const char *const other[] = {
        "",
        "b1c20bd1-9486-5a96-b0b3-85c52fe6a34",
        "b1c20bd1-9486-5a96-b0b3-85c52fe6a34f0",
        "B1C20BD1-9486-5A96-B0B3-85C52FE6A34F", /* not canonical, so it stays a string */
        "b1c20bd1x9486-5a96-b0b3-85c52fe6a34f",
        "b1c20bd1-9486x5a96-b0b3-85c52fe6a34f",
        "b1c20bd1-9486-5a96xb0b3-85c52fe6a34f",
        "b1c20bd1-9486-5a96-b0b3x85c52fe6a34f",
        "g1c20bd1-9486-5a96-b0b3-85c52fe6a34f",
        "b1c20bd1-9486-5a96-b0b3-85c52fe6a34g",
        "b1c20bd1-9486-5a96-b0b3-85c52fe6a3 f",
        "{1c20bd1-9486-5a96-b0b3-85c52fe6a34}"};
    uint8_t uuid[16];

    (void)state;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_false(cm_uuid_parse(cm_str(other[i]), uuid));
    assert_true(cm_uuid_parse(CM_STR("00112233-4455-6677-8899-aabbccddeeff"), uuid));
    for (int i = 0; i < 16; i++)
        assert_int_equal(uuid[i], i * 0x11);
}

static void as_json_and_csv(void **state)
{
    cm_event_t event = good_event();
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    event.city = CM_STR("Oslo, \"old\"\n");
    cm_event_add_json(&buf, &event);
    assert_string_equal(
        buf.data,
        "{\"row_key\": \"b1c20bd1-9486-5a96-b0b3-85c52fe6a34f\", \"user_id\": \"jane_doe\", "
        "\"timestamp\": 1700000000000, \"url\": \"https://www.example.com/\", \"country\": "
        "\"Norway\", \"city\": \"Oslo, \\\"old\\\"\\n\", \"browser\": \"Unknown\", \"os\": "
        "\"Unknown\", \"device\": \"Unknown\"}");
    cm_buf_clear(&buf);
    event.row_key = CM_STR("k,1");
    cm_event_add_csv_header(&buf, (cm_event_csv_t){0});
    cm_event_add_csv(&buf, &event, (cm_event_csv_t){0});
    assert_string_equal(buf.data, "row_key,user_id,timestamp,url,country,city,browser,os,device\n"
                                  "\"k,1\",jane_doe,1700000000000,https://www.example.com/,Norway,"
                                  "\"Oslo, \"\"old\"\"\n\",Unknown,Unknown,Unknown\n");
    cm_buf_free(&buf);
}

static void timestamps(void **state)
{
    const cm_timestamp_format_t times = {0};
    cm_err_t err;
    int64_t ms;

    (void)state;
    assert_int_equal(cm_timestamp_parse(CM_STR("1700000000000"), &times, &ms, &err), 0);
    assert_int_equal(ms, INT64_C(1700000000000));
    assert_int_equal(cm_timestamp_parse(CM_STR("2023-11-14T22:13:20Z"), &times, &ms, &err), 0);
    assert_int_equal(ms, INT64_C(1700000000000));
    assert_int_equal(cm_timestamp_parse(CM_STR("1700000000000.0"), &times, &ms, &err), CM_EREJECT);
    assert_string_equal(err.text, "timestamp \"1700000000000.0\" is neither an integer of "
                                  "milliseconds nor RFC 3339");
    assert_int_equal(cm_timestamp_parse(CM_STR(""), &times, &ms, &err), CM_EREJECT);
    /* The message is stored as UTF-8: only whole characters in it, and no invalid bytes. */
    assert_int_equal(cm_timestamp_parse(CM_STR("123456789012345678901234567890123456789\xC3\xA4"),
                                        &times, &ms, &err),
                     CM_EREJECT);
    assert_string_equal(err.text, "timestamp \"123456789012345678901234567890123456789\" is "
                                  "neither an integer of milliseconds nor RFC 3339");
    assert_int_equal(cm_timestamp_parse(CM_STR("\xFF\xFE"), &times, &ms, &err), CM_EREJECT);
    assert_string_equal(err.text,
                        "timestamp \"\" is neither an integer of milliseconds nor RFC 3339");
}

static void batches(void **state)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_account_t sum = {0};
    char payload[20], origin[20];

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            test_add(&batch, test_event("u", i + 1, "/", "X", NULL));
            snprintf(payload, sizeof payload, "line %d", i);
            snprintf(origin, sizeof origin, "file:%d", i);
            if (i % 10 == 0)
                cm_batch_reject(&batch, cm_str(payload), "because", origin);
            if (i % 100 == 0)
                cm_batch_skip(&batch);
        }
        batch.account.unknown_fields = 3;
        assert_int_equal(batch.count, 5000);
        for (int i = 0; i < 5000; i++)
            assert_int_equal(batch.events[i].timestamp, i + 1);
        assert_int_equal(batch.dead_count, 500);
        for (size_t i = 0; i < 500; i++) {
            snprintf(payload, sizeof payload, "line %zu", i * 10);
            snprintf(origin, sizeof origin, "file:%zu", i * 10);
            assert_true(cm_str_equal(batch.dead[i].payload, cm_str(payload)));
            assert_true(cm_str_equal(batch.dead[i].origin, cm_str(origin)));
            assert_true(cm_str_equal(batch.dead[i].reason, CM_STR("because")));
        }
        cm_account_add(&sum, &batch.account);
        cm_batch_mark(&batch, CM_STR("s"), 7);
        cm_batch_clear(&batch);
        assert_int_equal(batch.count + batch.dead_count + batch.account.read, 0);
        assert_int_equal(batch.position_count, 0);
    }
    assert_int_equal(sum.read, 2 * 5550);
    assert_int_equal(sum.accepted, 2 * 5000);
    assert_int_equal(sum.rejected, 2 * 500);
    assert_int_equal(sum.skipped, 2 * 50);
    assert_int_equal(sum.unknown_fields, 6);
    cm_batch_free(&batch);
}

static void exit_statuses(void **state)
{
    (void)state;
    assert_int_equal(cm_err_exit_status(CM_OK), 0);
    assert_int_equal(cm_err_exit_status(7), 0);
    assert_int_equal(cm_err_exit_status(CM_ESTOP), 0);
    for (int code = CM_EINTERNAL; code >= CM_EDIFFER; code--)
        assert_int_equal(cm_err_exit_status(code), -code);
    assert_int_equal(cm_err_exit_status(CM_EAWAY), 12);
    assert_int_equal(cm_err_exit_status(CM_EMISSING), 13);
    assert_int_equal(cm_err_exit_status(CM_EDISK), 4);
    assert_int_equal(cm_err_exit_status(-99), 1);
    cm_err_t err;
    memset(&err, 0x55, sizeof err);
    memset(long_text, 'a', sizeof long_text - 1);
    assert_int_equal(cm_fail(&err, CM_EIO, "%s", long_text), CM_EIO);
    assert_int_equal(err.code, CM_EIO);
    assert_int_equal(strlen(err.text), CM_ERR_TEXT - 1);
    assert_int_equal(cm_fail(NULL, CM_EUSAGE, "no error is wanted"), CM_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),        cmocka_unit_test(time_range),
        cmocka_unit_test(completion),    cmocka_unit_test(derived_keys),
        cmocka_unit_test(uuid_texts),    cmocka_unit_test(as_json_and_csv),
        cmocka_unit_test(timestamps),    cmocka_unit_test(batches),
        cmocka_unit_test(exit_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
