#include "support.h"

#include "source/file/csv.h"

static cm_csv_record_t record;

/* Splits a text in its own heap block, so that a sanitizer finds reads past its end. */
static int split(cm_str_t text, bool last, size_t *used, cm_err_t *err)
{
    static char *copy;
    free(copy);
    copy = malloc(text.len ? text.len : 1);
    memcpy(copy, text.data, text.len);
    return cm_csv_split((cm_str_t){copy, text.len}, last, &record, used, err);
}

/* `fields` ends with NULL. */
static void check(const char *text, bool last, size_t used, const char *const *fields)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_err_t err = {0, ""};
    size_t taken = 0, count = 0;

    assert_int_equal(1, split(cm_str(text), last, &taken, &err));
    assert_int_equal(used, taken);
    for (; fields[count] != NULL; count++) {
        assert_true(count < record.count);
        cm_str_t field = cm_csv_text(&record.fields[count], &arena);
        assert_int_equal(strlen(fields[count]), field.len);
        assert_memory_equal(fields[count], field.data, field.len);
    }
    assert_int_equal(count, record.count);
    cm_arena_free(&arena);
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void splits_records(void **state)
{
    (void)state;
    check("a,b,c\nrest", false, 6, FIELDS("a", "b", "c"));
    check("a,b\r\nrest", false, 5, FIELDS("a", "b"));
    check("a,b", true, 3, FIELDS("a", "b"));
    check(",\n", false, 2, FIELDS("", ""));
    check("a,", true, 2, FIELDS("a", ""));
    check("\"a,b\",c\n", false, 8, FIELDS("a,b", "c"));
    check("\"a\nb\r\nc\",d\r\n", false, 12, FIELDS("a\nb\r\nc", "d"));
    check("\"say \"\"hi\"\"\",\"\"\n", false, 16, FIELDS("say \"hi\"", ""));
    check("\"\"\"\"", true, 4, FIELDS("\""));
    check("5\" disk,b\n", false, 10, FIELDS("5\" disk", "b"));
    check("a\rb,c\n", false, 6, FIELDS("a\rb", "c"));
    check("\"a\"\r\n", false, 5, FIELDS("a"));
}

static void waits_for_the_whole_record(void **state)
{
    static const char text[] = "a,\"b\"\"\n,c\",d\r\n";
    size_t used;

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_equal(0, split((cm_str_t){text, len}, false, &used, NULL));
    check(text, false, sizeof text - 1, FIELDS("a", "b\"\n,c", "d"));
}

static void rejects_what_is_not_csv(void **state)
{
    cm_err_t err;
    size_t used;

    (void)state;
    assert_int_equal(CM_EREJECT, split(CM_STR("a,\"b\"c,d\n"), false, &used, &err));
    assert_string_equal("field 2 opens a quote and does not close it", err.text);
    assert_int_equal(CM_EREJECT, split(CM_STR("\"a\nb"), true, &used, &err));
    assert_string_equal("field 1 opens a quote and does not close it", err.text);

    char commas[CM_CSV_FIELDS + 2];
    memset(commas, ',', CM_CSV_FIELDS + 1);
    commas[CM_CSV_FIELDS] = '\n';
    assert_int_equal(CM_EREJECT, split((cm_str_t){commas, CM_CSV_FIELDS + 1}, false, &used, &err));
    assert_string_equal("the record has 257 fields, the limit is 256", err.text);
    assert_int_equal(1, split((cm_str_t){commas + 1, CM_CSV_FIELDS}, false, &used, &err));
    assert_int_equal(256, record.count);
}

static int header(const char *text, cm_csv_columns_t *columns, cm_err_t *err)
{
    size_t used;
    assert_int_equal(1, split(cm_str(text), true, &used, NULL));
    return cm_csv_header(&record, NULL, columns, err);
}

static void reads_headers(void **state)
{
    cm_csv_columns_t columns;
    cm_err_t err;

    (void)state;
    assert_int_equal(0, header("row_key,user_id,timestamp,url,country,city,browser,os,device\n",
                               &columns, &err));
    assert_int_equal(9, columns.count);
    assert_int_equal(0, columns.unknown);
    assert_int_equal(0, header("x, url ,timestamp,y,\"user_id\"", &columns, &err));
    assert_int_equal(5, columns.count);
    assert_int_equal(2, columns.unknown);
    assert_int_equal(CM_EINPUT, header("user_id,url", &columns, &err));
    assert_string_equal("the first line does not name the column timestamp; CSV needs a header "
                        "with user_id, timestamp and url",
                        err.text);
    assert_int_equal(CM_EINPUT, header("user_id,url,timestamp,url", &columns, &err));
    assert_string_equal("the CSV header names url twice; rename one of the two", err.text);
}

static void expect_str(const char *text, cm_str_t got)
{
    assert_int_equal(strlen(text), got.len);
    assert_memory_equal(text, got.data, got.len);
}

static const cm_timestamp_format_t as_contracted = {0};

static void makes_events(void **state)
{
    cm_csv_columns_t columns;
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_t event;
    cm_err_t err;
    size_t used;

    (void)state;
    assert_int_equal(0, header("url,ref,timestamp,country,user_id,os", &columns, &err));
    assert_int_equal(1, split(CM_STR("\"/a\"\"b\",x,1431857103000,France,u1,"), true, &used, &err));
    assert_int_equal(0, cm_csv_event(&columns, &record, &as_contracted, &arena, &event, &err));
    expect_str("/a\"b", event.url);
    expect_str("u1", event.user_id);
    expect_str("France", event.country);
    expect_str("Unknown", event.os);
    expect_str("Unknown", event.city);
    expect_str("", event.row_key);
    assert_true(event.timestamp == INT64_C(1431857103000));
    cm_arena_free(&arena);
}

/* Columns of other names; one whose own name is mapped elsewhere is unknown. */
static void reads_mapped_columns(void **state)
{
    cm_option_pair_t pairs[] = {
        {.name = "user_id", .text = "userId", .where = "--map"},
        {.name = "props", .text = "page.attributes", .where = "--map"},
        {.name = "name", .text = "none", .where = "--map"},
    };
    cm_event_map_t *map = NULL;
    cm_csv_columns_t columns;
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_t event;
    cm_err_t err;
    size_t used;

    (void)state;
    assert_ok(cm_event_map_new(&(cm_option_map_t){pairs, 3}, &map, &err), err);
    split(CM_STR("user_id,url,timestamp"), true, &used, NULL);
    assert_int_equal(CM_EINPUT, cm_csv_header(&record, map, &columns, &err));
    assert_string_equal("the first line does not name the column userId; CSV needs a header with "
                        "user_id, timestamp and url, or the columns that event.map names",
                        err.text);
    split(CM_STR("userId,url,timestamp,page.attributes,name,language"), true, &used, NULL);
    assert_ok(cm_csv_header(&record, map, &columns, &err), err);
    assert_int_equal(1, columns.unknown);
    split(CM_STR("u,/,5,\"{\"\"a\"\":1}\",Bob,de"), true, &used, NULL);
    assert_ok(cm_csv_event(&columns, &record, &as_contracted, &arena, &event, &err), err);
    expect_str("u", event.user_id);
    expect_str("{\"a\": 1}", event.extra->text[CM_EXTRA_PROPS]);
    expect_str("", event.extra->text[CM_EXTRA_NAME]);
    cm_event_map_free(map);
    cm_arena_free(&arena);
}

static void rejects_events(void **state)
{
    static const struct {
        const char *line, *reason;
    } cases[] = {
        {"u,1", "the record has 2 fields, the header names 3"},
        {"u,1,/,x", "the record has 4 fields, the header names 3"},
        {",1,/", "user_id is missing or empty"},
        {"u,,/", "timestamp is missing or empty"},
        {"u,x,/", "timestamp \"x\" is neither an integer of milliseconds nor RFC 3339"},
        {"u,1,", "url is missing or empty"},
        {"\xff,1,/", "user_id is not valid UTF-8"},
    };
    cm_csv_columns_t columns;
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_t event;
    cm_err_t err;
    size_t used;

    (void)state;
    assert_int_equal(0, header("user_id,timestamp,url", &columns, &err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(1, split(cm_str(cases[i].line), true, &used, &err));
        assert_int_equal(CM_EREJECT,
                         cm_csv_event(&columns, &record, &as_contracted, &arena, &event, &err));
        assert_string_equal(cases[i].reason, err.text);
    }
    cm_arena_free(&arena);
}

/* Blanks are kept in quotes, where the first edition had no field. */
static void keeps_blanks_in_quotes(void **state)
{
    cm_csv_columns_t columns;
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_t event;
    cm_err_t err;
    size_t used;

    (void)state;
    assert_int_equal(
        0, header("user_id,timestamp,url,name,utm_term,language,props,engaged_ms", &columns, &err));
    assert_int_equal(1, split(CM_STR("\" u \",5,\"/ \",\"pageview \", \"\t\"\"x\" , de ,\" {} \","
                                     "\" \""),
                              true, &used, &err));
    assert_ok(cm_csv_event(&columns, &record, &as_contracted, &arena, &event, &err), err);
    expect_str("u", event.user_id);
    expect_str("/", event.url);
    expect_str("pageview ", event.extra->text[CM_EXTRA_NAME]);
    expect_str("\t\"x", event.extra->text[CM_EXTRA_UTM_TERM]);
    expect_str("de", event.extra->text[CM_EXTRA_LANGUAGE]);
    expect_str("", event.extra->text[CM_EXTRA_PROPS]);
    cm_arena_free(&arena);
}

/* Where a map names the column, so does the reason. */
static void reasons_name_mapped_columns(void **state)
{
    static const struct {
        const char *line, *reason;
    } cases[] = {
        {",1,/,", "user_id is missing or empty (event.map: uid)"},
        {"u,,/,", "timestamp is missing or empty"},
        {"u,1,/,[]", "props is not a JSON object (event.map: more)"},
    };
    cm_option_pair_t pairs[] = {{.name = "user_id", .text = "uid", .where = "--map"},
                                {.name = "props", .text = "more", .where = "--map"}};
    cm_csv_columns_t columns;
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_map_t *map;
    cm_event_t event;
    cm_err_t err;
    size_t used;

    (void)state;
    assert_ok(cm_event_map_new(&(cm_option_map_t){pairs, 2}, &map, &err), err);
    assert_int_equal(1, split(CM_STR("uid,timestamp,url,more"), true, &used, NULL));
    assert_ok(cm_csv_header(&record, map, &columns, &err), err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(1, split(cm_str(cases[i].line), true, &used, &err));
        assert_int_equal(CM_EREJECT,
                         cm_csv_event(&columns, &record, &as_contracted, &arena, &event, &err));
        assert_string_equal(cases[i].reason, err.text);
    }
    cm_event_map_free(map);
    cm_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_records),
        cmocka_unit_test(waits_for_the_whole_record),
        cmocka_unit_test(rejects_what_is_not_csv),
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(makes_events),
        cmocka_unit_test(reads_mapped_columns),
        cmocka_unit_test(rejects_events),
        cmocka_unit_test(keeps_blanks_in_quotes),
        cmocka_unit_test(reasons_name_mapped_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
