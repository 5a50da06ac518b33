/* An event as a row and back: every field, what is absent, and cells that are no event. */
#include "store/cassandra/row.h"

#include "support.h"

#include "event/json.h"

static const cm_cassandra_settings_t nine = {.extended = false}, extended = {.extended = true};

/* An event, and the row that is made of it. */
typedef struct made {
    cm_arena_t arena;
    cm_event_t event;
    cm_store_cassandra_row_room_t room;
    cm_cql_value_t values[CM_CASSANDRA_COLUMNS];
    cm_str_t cells[CM_CASSANDRA_COLUMNS];
    int count;
} made_t;

/* What the server gives back; a value that is not set leaves the cell as it was. */
static void write_cells(made_t *made)
{
    for (int i = 0; i < made->count; i++) {
        const cm_cql_value_t *value = &made->values[i];
        if (value->len == -2)
            continue;
        made->cells[i] =
            cm_arena_copy(&made->arena, (cm_str_t){value->data != NULL ? value->data : value->fixed,
                                                   (size_t)value->len});
    }
}

static void make(made_t *made, const cm_cassandra_settings_t *settings, const char *json)
{
    char padded[4096] = "";
    cm_event_json_t *parser = cm_event_json_new();
    uint64_t unknown = 0;
    cm_err_t err;

    snprintf(padded, sizeof padded - CM_EVENT_JSON_PADDING, "%s", json);
    const cm_str_t text = cm_arena_copy(&made->arena, (cm_str_t){padded, sizeof padded});
    assert_ok(cm_event_json_parse(parser, (cm_str_t){text.data, strlen(json)}, &made->arena,
                                  &made->event, &unknown, &err),
              err);
    cm_event_keep(&made->event, &made->arena);
    made->count = cm_store_cassandra_row_values(settings, &made->event, CM_STR("key"), &made->room,
                                                made->values);
    write_cells(made);
    cm_event_json_free(parser);
}

static void drop(made_t *made)
{
    cm_store_cassandra_row_room_free(&made->room);
    cm_arena_free(&made->arena);
}

/* The JSON of the row, or why it is no event. */
static const char *read_back(made_t *made, const cm_cassandra_settings_t *settings)
{
    static char text[4096];
    cm_buf_t json = CM_BUF_INIT;
    cm_event_t event;
    cm_err_t err;

    if (cm_store_cassandra_row_read(settings, made->cells, &made->arena, &event, &err) < 0) {
        snprintf(text, sizeof text, "%s", err.text);
    } else {
        cm_event_add_json(&json, &event);
        snprintf(text, sizeof text, "%.*s", (int)json.len, json.data);
    }
    cm_buf_free(&json);
    return text;
}

#define NINE                                                                                       \
    "{\"row_key\": \"key\", \"user_id\": \"u\", \"timestamp\": 5, \"url\": \"/\", \"country\": "   \
    "\"Chile\", \"city\": \"Unknown\", \"browser\": \"Unknown\", \"os\": \"Unknown\", "            \
    "\"device\": \"Unknown\""
#define FULL                                                                                       \
    NINE ", \"name\": \"buy\", \"referrer\": \"https://a.example/\", \"utm_source\": \"s\", "      \
         "\"utm_medium\": \"m\", \"utm_campaign\": \"c\", \"utm_term\": \"t\", \"utm_content\": "  \
         "\"n\", \"browser_version\": \"1\", \"os_version\": \"2\", \"region\": \"r\", "           \
         "\"language\": \"es\", \"props\": {\"a\\\"b\": \"x\\ny\", \"n\": 1.50, \"t\": \"3\", "    \
         "\"y\": true}}"
#define ENGAGEMENT NINE ", \"name\": \"engagement\", \"engaged_ms\": 86400000}"

static void every_field_comes_back(void **state)
{
    static const char *const events[] = {NINE "}", FULL, ENGAGEMENT};
    (void)state;

    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        made_t made = {0};
        make(&made, &extended, events[i]);
        assert_int_equal(22, made.count);
        assert_string_equal(events[i], read_back(&made, &extended));
        drop(&made);
    }
}

/* The map as the protocol has it: values are JSON scalars as they were written. */
static void props_are_a_map(void **state)
{
    static const char map[] = "\0\0\0\3" /* pairs */
                              "\0\0\0\1n\0\0\0\0041.50"
                              "\0\0\0\1t\0\0\0\3\"3\""
                              "\0\0\0\1y\0\0\0\4true";
    made_t made = {0};

    (void)state;
    make(&made, &extended, NINE ", \"props\": {\"y\": true, \"t\": \"3\", \"n\": 1.50}}");
    const cm_str_t cell = made.cells[CM_CASSANDRA_NINE + CM_EXTRA_PROPS];
    assert_int_equal(sizeof map - 1, cell.len);
    assert_memory_equal(map, cell.data, cell.len);
    drop(&made);
}

/* An absent text is empty and no null, which would be a tombstone; props are an empty map. */
static void absent_fields_replace_those_before(void **state)
{
    made_t made = {0};

    (void)state;
    make(&made, &extended, FULL);
    make(&made, &extended, NINE "}");
    for (int i = CM_CASSANDRA_NINE; i < CM_CASSANDRA_NINE + CM_EXTRA_PROPS; i++)
        assert_int_equal(0, made.values[i].len);
    assert_int_equal(4, made.values[CM_CASSANDRA_NINE + CM_EXTRA_PROPS].len);
    assert_string_equal(NINE "}", read_back(&made, &extended));

    /* The engaged time stays in the table, but is not that of another event. */
    make(&made, &extended, ENGAGEMENT);
    make(&made, &extended, NINE ", \"name\": \"signup\"}");
    assert_int_equal(-2, made.values[CM_CASSANDRA_NINE + CM_EXTRA_ENGAGED].len);
    assert_int_equal(4, made.cells[CM_CASSANDRA_NINE + CM_EXTRA_ENGAGED].len);
    assert_string_equal(NINE ", \"name\": \"signup\"}", read_back(&made, &extended));
    drop(&made);
}

/* Columns of the same names that are not ours are not looked at. */
static void nine_columns(void **state)
{
    made_t made = {0};

    (void)state;
    make(&made, &nine, NINE "}");
    assert_int_equal(9, made.count);
    made.cells[CM_CASSANDRA_NINE] = CM_STR("a column that is not ours");
    assert_string_equal(NINE "}", read_back(&made, &nine));
    assert_string_equal(NINE ", \"name\": \"a column that is not ours\"}",
                        read_back(&made, &extended));
    drop(&made);
}

static void rows_that_are_no_events(void **state)
{
    static const struct {
        cm_extra_field_t field;
        cm_str_t cell;
        const char *why;
    } cases[] = {
        {CM_EXTRA_NAME, {"engagement", 10}, "engaged_ms is missing; the name engagement needs it"},
        {CM_EXTRA_LANGUAGE,
         {"0123456789012345678901234567890123456789012345678901234567890123456789", 65},
         "language is 65 bytes long, the limit is 64"},
        {CM_EXTRA_PROPS, {"\0\0", 2}, "props is not a map"},
        {CM_EXTRA_PROPS, {"\0\0\0\2\0\0\0\1a\0\0\0\1", 13}, "props is not a map"},
        {CM_EXTRA_PROPS, {"\0\0\0\1\0\0\0\1a\xff\xff\xff\xff", 13}, "props is not a map"},
        {CM_EXTRA_PROPS,
         {"\0\0\0\1\0\0\0\1a\0\0\0\3abc", 16},
         "props: the value of a is not a JSON scalar"},
        {CM_EXTRA_PROPS,
         {"\0\0\0\1\0\0\0\1a\0\0\0\0071,\"b\":2", 20},
         "props: the value of a is not a JSON scalar"},
        {CM_EXTRA_PROPS,
         {"\0\0\0\1\0\0\0\1a\0\0\0\2{}", 15},
         "props: the value of a is not a JSON scalar"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        made_t made = {0};
        make(&made, &extended, NINE "}");
        made.cells[CM_CASSANDRA_NINE + cases[i].field] = cases[i].cell;
        assert_string_equal(cases[i].why, read_back(&made, &extended));
        drop(&made);
    }
}

/* What another client has written: nulls, a name that says what is meant anyway, and values of
 * props that are no properties. */
static void rows_of_others(void **state)
{
    made_t made = {0};

    (void)state;
    make(&made, &extended, NINE "}");
    for (int i = CM_CASSANDRA_NINE; i < CM_CASSANDRA_COLUMNS; i++)
        made.cells[i] = (cm_str_t){NULL, 0};
    made.cells[CM_CASSANDRA_NINE] = CM_STR("pageview");
    assert_string_equal(NINE "}", read_back(&made, &extended));
    made.cells[CM_CASSANDRA_NINE + CM_EXTRA_PROPS] =
        (cm_str_t){"\0\0\0\3\0\0\0\1c\0\0\0\1"
                   "1"
                   "\0\0\0\1b\0\0\0\2\"\"\0\0\0\1a\0\0\0\4null",
                   44};
    assert_string_equal(NINE ", \"props\": {\"c\": 1}}", read_back(&made, &extended));
    drop(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(props_are_a_map),
        cmocka_unit_test(absent_fields_replace_those_before),
        cmocka_unit_test(nine_columns),
        cmocka_unit_test(rows_that_are_no_events),
        cmocka_unit_test(rows_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
