/* Answers as documents: exact ids and JSON, and what is read back of documents of any kind. */
#include "support.h"

#include "index/elasticsearch/document_json.h"

#include <float.h>

static const int64_t hour = INT64_C(1700010000000);

static cm_answer_t cell(void)
{
    return (cm_answer_t){.dimension = CM_PER_CELL,
                         .window = CM_WINDOW_ALL,
                         .url = CM_STR("https://example.org/"),
                         .country = CM_STR("Peru"),
                         .measures = {7, 3, 100, 3, 10, 4, 2, 1},
                         .updated_at = 1700006400123};
}

/* ---- ids ---- */

static void assert_id(const cm_answer_t *answer, const char *wanted)
{
    char id[CM_DOCUMENT_ID + 1];

    memset(id, '!', sizeof id);
    cm_document_id(answer, id);
    assert_int_equal(id[CM_DOCUMENT_ID], '!');
    id[CM_DOCUMENT_ID] = '\0';
    assert_string_equal(id, wanted);
}

/* The expected ones are those of Python's hashlib. */
static void test_ids(void **state)
{
    cm_answer_t answer = cell();
    (void)state;

    assert_id(&answer, "4ffddda8bdf8219deaec8c9f5f3173794905ed96");
    answer.window = CM_WINDOW_DAY;
    answer.window_start = INT64_C(1700006400000);
    assert_id(&answer, "9692172c7e257a38be8fbbb8df6655acd90be8ca");
    answer = cell();
    answer.dimension = CM_PER_COUNTRY;
    assert_id(&answer, "0d48609f6b10eb9145b419e90f1f9ad4ed4813e3");
    answer.dimension = CM_PER_NOTHING;
    assert_id(&answer, "2de098eff9c90fa3e705a26031f3f231fb389436");
    answer.dimension = CM_PER_URL;
    answer.country = (cm_str_t){NULL, 0};
    answer.window = CM_WINDOW_HOUR;
    answer.window_start = hour;
    assert_id(&answer, "c47a685205012efd5fa819850668ad4b76091e83");
    answer.dimension = CM_PER_CELL;
    answer.url = CM_STR("/\xC3\xBC\"\\");
    answer.country = CM_STR("C\xC3\xB4te d\xE2\x80\x99Ivoire");
    assert_id(&answer, "e478088ca09b4ff970f0e3490de3ad6ae9f67cc5");
}

/* ---- JSON ---- */

static void assert_document(const cm_answer_t *answer, const char *wanted)
{
    cm_buf_t json = CM_BUF_INIT;

    cm_document_add(&json, answer);
    assert_string_equal(json.data, wanted);
    cm_buf_free(&json);
}

static void test_json(void **state)
{
    cm_answer_t answer = cell();
    (void)state;

    assert_document(
        &answer,
        "{\"url\":\"https://example.org/\",\"country\":\"Peru\",\"window\":\"all\",\"clicks\":7,"
        "\"unique_user_count\":3,\"average_time_spent\":33.333333333333336,\"time_spent_sum\":100,"
        "\"time_spent_count\":3,\"average_time_on_page\":2.5,\"time_on_page_sum\":10,"
        "\"time_on_page_count\":4,\"entrances\":2,\"exits\":1,\"updated_at\":1700006400123}");
    answer.dimension = CM_PER_NOTHING;
    answer.window = CM_WINDOW_HOUR;
    answer.window_start = hour;
    answer.measures.time_spent_count = answer.measures.page_time_count = 0;
    assert_document(&answer,
                    "{\"dimension\":\"site\",\"window\":\"hour\",\"window_start\":1700010000000,"
                    "\"clicks\":7,\"unique_user_count\":3,\"time_spent_sum\":100,"
                    "\"time_spent_count\":0,\"time_on_page_sum\":10,\"time_on_page_count\":0,"
                    "\"entrances\":2,\"exits\":1,\"updated_at\":1700006400123}");
    answer.dimension = CM_PER_URL;
    answer.url = CM_STR("a\"b\\c\nd\x01\xC3\xBC");
    answer.measures = (cm_measures_t){INT64_MAX, 0, 0, 1, 0, 0, 0, 0};
    assert_document(
        &answer,
        "{\"dimension\":\"url\",\"url\":\"a\\\"b\\\\c\\nd\\u0001\xC3\xBC\",\"window\":\"hour\","
        "\"window_start\":1700010000000,\"clicks\":9223372036854775807,\"unique_user_count\":0,"
        "\"average_time_spent\":0.0,\"time_spent_sum\":0,\"time_spent_count\":1,"
        "\"time_on_page_sum\":0,\"time_on_page_count\":0,\"entrances\":0,\"exits\":0,"
        "\"updated_at\":1700006400123}");
}

static void test_freshness(void **state)
{
    cm_freshness_t freshness = {true, 10, 9, 8, 1, 5, 1700006400123, 2, 1800000, false, false};
    cm_buf_t json = CM_BUF_INIT;
    cm_freshness_t again;
    cm_err_t err;
    (void)state;

    cm_buf_add_text(&json, "{\"_id\":\"freshness:day\",\"found\":true,\"_source\":");
    size_t from = json.len;
    cm_document_add_freshness(&json, CM_WINDOW_DAY, &freshness);
    assert_string_equal(json.data + from,
                        "{\"dimension\":\"freshness\",\"window\":\"day\",\"accepted\":10,"
                        "\"processed\":9,\"events\":8,\"duplicates\":1,\"cells\":5,\"dead\":2,"
                        "\"updated_at\":1700006400123,\"session_timeout\":1800000}");
    cm_buf_add_char(&json, '}');
    assert_ok(cm_document_read_freshness((cm_str_t){json.data, json.len}, &again, &err), err);
    assert_true(again.present);
    assert_int_equal(again.accepted, 10);
    assert_int_equal(again.processed, 9);
    assert_int_equal(again.events, 8);
    assert_int_equal(again.duplicates, 1);
    assert_int_equal(again.cells, 5);
    assert_int_equal(again.dead, 2);
    assert_int_equal(again.updated_at, 1700006400123);
    assert_int_equal(again.session_timeout, 1800000);
    assert_true(cm_freshness_equal(&again, &freshness));
    assert_ok(cm_document_read_freshness(CM_STR("{\"found\":false}"), &again, &err), err);
    assert_false(again.present);
    assert_int_equal(
        cm_document_read_freshness(CM_STR("{\"found\":true,\"_source\":{}}"), &again, &err),
        CM_EIO);
    assert_int_equal(cm_document_read_freshness(CM_STR("{}"), &again, &err), CM_EIO);
    assert_int_equal(cm_document_read_freshness(CM_STR(""), &again, &err), CM_EIO);
    cm_buf_free(&json);
}

/* What users are called is said only where their ids live for one day. */
static void test_visitors(void **state)
{
    cm_freshness_t freshness = {.present = true, .daily_ids = true};
    cm_buf_t json = CM_BUF_INIT;
    cm_freshness_t again;
    cm_err_t err;
    (void)state;

    for (int daily = 0; daily < 2; daily++) {
        freshness.daily_visitors = daily == 1;
        cm_buf_clear(&json);
        cm_buf_add_text(&json, "{\"found\":true,\"_source\":");
        const size_t from = json.len;
        cm_document_add_freshness(&json, CM_WINDOW_ALL, &freshness);
        assert_string_equal(strstr(json.data + from, ",\"updated_at\""),
                            daily ? ",\"updated_at\":0,\"visitors\":\"daily\"}"
                                  : ",\"updated_at\":0,\"visitors\":\"users\"}");
        cm_buf_add_char(&json, '}');
        assert_ok(cm_document_read_freshness((cm_str_t){json.data, json.len}, &again, &err), err);
        assert_true(cm_freshness_equal(&again, &freshness));
    }
    cm_buf_free(&json);
}

/* ---- reading hits ---- */

typedef struct taken {
    cm_buf_t text; /* a line a hit: its id and its document */
    int stop_at, count;
} taken_t;

static int take(void *context, cm_str_t id, const cm_answer_t *answer)
{
    taken_t *taken = context;

    cm_buf_add_str(&taken->text, id);
    cm_buf_add_char(&taken->text, ' ');
    if (answer != NULL && cm_answer_exact(answer))
        cm_document_add(&taken->text, answer);
    else
        cm_buf_add_text(&taken->text, "none");
    cm_buf_add_char(&taken->text, '\n');
    return ++taken->count == taken->stop_at ? 7 : 0;
}

/* Wraps documents as hits with the ids 0, 1, ... */
static void add_hits(cm_buf_t *json, const char *const *documents, size_t count)
{
    cm_buf_add_text(json, "{\"_scroll_id\":\"scroll==\",\"took\":1,\"timed_out\":false,\"_shards\":"
                          "{\"failed\":0},\"hits\":{\"total\":{\"value\":99},\"hits\":[");
    for (size_t i = 0; i < count; i++)
        cm_buf_printf(json, "%s{\"_id\":\"%zu\",\"_source\":%s}", i > 0 ? "," : "", i,
                      documents[i]);
    cm_buf_add_text(json, "]}}");
}

static void test_round_trip(void **state)
{
    cm_buf_t json = CM_BUF_INIT, wanted = CM_BUF_INIT, scroll = CM_BUF_INIT, one[24] = {{0}};
    const char *documents[24];
    uint64_t random = 5;
    size_t made = 0, count;
    taken_t taken = {0};
    cm_err_t err;
    (void)state;

    for (int dimension = 0; dimension < CM_DIMENSION_COUNT; dimension++) {
        for (int i = 0; i < 6; i++) {
            cm_answer_t answer = cell();
            answer.dimension = (cm_dimension_t)dimension;
            answer.window = (cm_window_t)(i % CM_WINDOW_COUNT);
            answer.window_start = answer.window != CM_WINDOW_ALL ? hour : 0;
            answer.measures.time_spent_sum = (int64_t)(test_random(&random) >> 2);
            answer.measures.time_spent_count = (int64_t)(test_random(&random) >> 40) * (i > 2);
            cm_document_add(&one[made], &answer);
            cm_buf_printf(&wanted, "%zu %s\n", made, one[made].data);
            documents[made] = one[made].data;
            made++;
        }
    }
    add_hits(&json, documents, made);
    assert_ok(
        cm_documents_each((cm_str_t){json.data, json.len}, take, &taken, &count, &scroll, &err),
        err);
    assert_int_equal(count, made);
    assert_string_equal(taken.text.data, wanted.data);
    assert_string_equal(scroll.data, "scroll==");
    for (size_t i = 0; i < made; i++)
        cm_buf_free(&one[i]);
    cm_buf_free(&json);
    cm_buf_free(&wanted);
    cm_buf_free(&scroll);
    cm_buf_free(&taken.text);
}

#define NUMBERS                                                                                    \
    "\"clicks\":1,\"unique_user_count\":1,\"time_spent_sum\":1,\"time_spent_count\":2,"            \
    "\"average_time_spent\":0.5,\"time_on_page_sum\":0,\"time_on_page_count\":0,\"entrances\":1,"  \
    "\"exits\":1,\"updated_at\":5"
#define KEYS "\"url\":\"u\",\"country\":\"c\",\"window\":\"all\","

/* Each of them is not an answer, by one flaw. Averages that do not follow from their integers are
 * found by the reader. */
static void test_foreign(void **state)
{
    static const char *const documents[] = {
        "5",
        "[]",
        "{}",
        "{\"dimension\":\"freshness\",\"window\":\"all\"}",
        "{\"url\":\"u\",\"window\":\"all\"," NUMBERS "}",
        "{\"url\":5,\"country\":\"c\",\"window\":\"all\"," NUMBERS "}",
        "{\"url\":\"u\",\"country\":\"c\",\"window\":\"week\"," NUMBERS "}",
        "{\"url\":\"u\",\"country\":\"c\",\"window\":\"day\"," NUMBERS "}",
        "{" KEYS "\"window_start\":5," NUMBERS "}",
        "{\"dimension\":\"url\"," KEYS NUMBERS "}",
        "{\"dimension\":\"cells\"," KEYS NUMBERS "}",
        "{\"dimension\":1," KEYS NUMBERS "}",
        "{" KEYS "\"clicks\":1.0," NUMBERS "}",
        "{" KEYS "\"clicks\":\"1\"," NUMBERS "}",
        "{" KEYS "\"average_time_on_page\":0.0," NUMBERS "}",
        "{" KEYS "\"average_time_spent\":0.5000000000000001," NUMBERS "}",
        "{" KEYS "\"average_time_spent\":null," NUMBERS "}",
        "{" KEYS "\"updated_at\":\"2023-11-15T00:00:00Z\"," NUMBERS "}",
    };
    enum { COUNT = sizeof documents / sizeof documents[0] };
    taken_t taken = {0};
    cm_buf_t json = CM_BUF_INIT, wanted = CM_BUF_INIT;
    size_t count;
    cm_err_t err;
    (void)state;

    add_hits(&json, documents, COUNT);
    int rc = cm_documents_each((cm_str_t){json.data, json.len}, take, &taken, &count, NULL, &err);
    assert_int_equal(rc, 0);
    for (size_t i = 0; i < COUNT; i++)
        cm_buf_printf(&wanted, "%zu none\n", i);
    assert_string_equal(taken.text.data, wanted.data);
    cm_buf_free(&json);
    cm_buf_free(&wanted);
    cm_buf_free(&taken.text);
}

/* What others may do and we do not: null for what is absent, fields of their own, any order. */
static void test_lenient(void **state)
{
    static const char *const documents[] = {
        "{" NUMBERS ",\"more\":{\"a\":[1]},\"average_time_on_page\":null,\"dimension\":null,"
        "\"window_start\":null," KEYS "\"URL\":\"u\"}",
        "{\"country\":null,\"dimension\":\"url\",\"url\":\"u\",\"window\":\"all\"," NUMBERS "}",
    };
    taken_t taken = {0};
    cm_buf_t json = CM_BUF_INIT;
    size_t count;
    cm_err_t err;
    (void)state;

    add_hits(&json, documents, 2);
    assert_ok(cm_documents_each((cm_str_t){json.data, json.len}, take, &taken, &count, NULL, &err),
              err);
    assert_string_equal(
        taken.text.data,
        "0 {\"url\":\"u\",\"country\":\"c\",\"window\":\"all\",\"clicks\":1,\"unique_user_count\":"
        "1,\"average_time_spent\":0.5,\"time_spent_sum\":1,\"time_spent_count\":2,"
        "\"time_on_page_sum\":0,\"time_on_page_count\":0,\"entrances\":1,\"exits\":1,"
        "\"updated_at\":5}\n"
        "1 {\"dimension\":\"url\",\"url\":\"u\",\"window\":\"all\",\"clicks\":1,"
        "\"unique_user_count\":1,\"average_time_spent\":0.5,\"time_spent_sum\":1,"
        "\"time_spent_count\":2,\"time_on_page_sum\":0,\"time_on_page_count\":0,\"entrances\":1,"
        "\"exits\":1,\"updated_at\":5}\n");
    cm_buf_free(&json);
    cm_buf_free(&taken.text);
}

static void test_stop(void **state)
{
    static const char *const documents[] = {"{}", "{}", "{}"};
    taken_t taken = {.stop_at = 2};
    cm_buf_t json = CM_BUF_INIT;
    size_t count;
    cm_err_t err;
    (void)state;

    add_hits(&json, documents, 3);
    assert_int_equal(
        cm_documents_each((cm_str_t){json.data, json.len}, take, &taken, &count, NULL, &err), 7);
    assert_int_equal(taken.count, 2);
    cm_buf_free(&json);
    cm_buf_free(&taken.text);
}

static void assert_no_hits(const char *json, int code)
{
    taken_t taken = {0};
    size_t count;
    cm_err_t err;

    assert_int_equal(cm_documents_each(cm_str(json), take, &taken, &count, NULL, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(taken.count, 0);
}

static void test_no_hits(void **state)
{
    (void)state;
    assert_no_hits("", CM_EIO);
    assert_no_hits("<html>", CM_EIO);
    assert_no_hits("[]", CM_EIO);
    assert_no_hits("{}", CM_EIO);
    assert_no_hits("{\"hits\":{\"hits\":5}}", CM_EIO);
    assert_no_hits("{\"hits\":{\"hits\":[{\"_source\":{\"a\":99999999999999999999}}]}}", CM_EIO);
    assert_no_hits("{\"timed_out\":true,\"hits\":{\"hits\":[{}]}}", CM_EAWAY);
    assert_no_hits("{\"_shards\":{\"failed\":1},\"hits\":{\"hits\":[{}]}}", CM_EAWAY);
}

/* ---- indices ---- */

static int take_index(void *context, const cm_index_seen_t *seen)
{
    cm_str_t type = cm_index_seen_field(seen, "url", "type");

    cm_buf_printf(context, "%.*s|%.*s|%zu|%.*s\n", (int)seen->name.len, seen->name.data,
                  (int)seen->epoch.len, seen->epoch.data, seen->aliases, (int)type.len, type.data);
    return 0;
}

static void test_indices(void **state)
{
    static const char json[] =
        "{\"a-000001\":{\"mappings\":{\"_meta\":{\"clickmill\":{\"epoch\":\"e1\"}},\"properties\":"
        "{\"url\":{\"type\":\"keyword\"}}}},\"b\":{\"aliases\":{\"x\":{},\"y\":{}}},"
        "\"c\":{\"mappings\":{\"_meta\":{\"clickmill\":7},\"properties\":{\"url\":{}}}}}";
    static const char *const path[] = {"error", "type", NULL};
    cm_buf_t text = CM_BUF_INIT;
    char type[8];
    cm_err_t err;
    (void)state;

    assert_ok(cm_index_seen_each(CM_STR(json), take_index, &text, &err), err);
    assert_string_equal(text.data, "a-000001|e1|0|keyword\nb||2|\nc||0|\n");
    assert_int_equal(cm_index_seen_each(CM_STR("[]"), take_index, &text, &err), CM_EIO);
    assert_int_equal(cm_index_seen_each(CM_STR("{\"a\":1}"), take_index, &text, &err), CM_EIO);
    assert_true(cm_document_text_at(CM_STR("{\"error\":{\"type\":\"seven77\"}}"), path, type, 8));
    assert_string_equal(type, "seven77");
    assert_false(cm_document_text_at(CM_STR("{\"error\":{\"type\":\"eight888\"}}"), path, type, 8));
    assert_false(cm_document_text_at(CM_STR("{\"error\":\"text\"}"), path, type, 8));
    assert_false(cm_document_text_at(CM_STR("no"), path, type, 8));
    cm_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),        cmocka_unit_test(test_json),
        cmocka_unit_test(test_freshness),  cmocka_unit_test(test_visitors),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_lenient),    cmocka_unit_test(test_stop),
        cmocka_unit_test(test_no_hits),    cmocka_unit_test(test_indices),
    };
    return cmocka_run_group_tests_name("index_document", tests, NULL, NULL);
}
