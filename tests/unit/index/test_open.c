/* What the settings of an index say about where the answers are, and which index they open. */
#include "support.h"

#include "index/open.h"

static void test_answers_in_the_data_directory(void **state)
{
    const cm_index_settings_t settings = cm_index_settings_of_data_dir("data", true);

    (void)state;
    assert_true(cm_index_in_data_dir(&settings));
    assert_null(cm_index_server(&settings));
    assert_string_equal(cm_index_place(&settings), "data");
    assert_string_equal(cm_index_argument(&settings), "");
    assert_string_equal(cm_index_engine(&settings), "the embedded index");
    assert_true(settings.daily);
    assert_false(cm_index_settings_of_data_dir("data", false).daily);
}

static void test_answers_on_a_server(void **state)
{
    const cm_index_settings_t settings = {.engine = CM_INDEX_ELASTICSEARCH,
                                          .data_dir = "data",
                                          .elasticsearch = {.index = "answers"}};

    (void)state;
    assert_false(cm_index_in_data_dir(&settings));
    assert_ptr_equal(cm_index_server(&settings), &settings.elasticsearch);
    assert_string_equal(cm_index_place(&settings), "answers");
    assert_string_equal(cm_index_argument(&settings), " --index elasticsearch");
    assert_string_equal(cm_index_engine(&settings), "Elasticsearch");
}

/* The origin of a dead letter says whether it is a row that an index refused, and which. */
static void test_refused_rows(void **state)
{
    cm_index_settings_t index;

    (void)state;
    assert_true(cm_index_refused(CM_STR("elasticsearch:cells-000001/0a1b"), &index));
    assert_false(cm_index_refused(CM_STR("elasticsearch:"), &index));
    assert_false(cm_index_refused(CM_STR("access.log:17"), &index));
    assert_false(cm_index_refused(CM_STR(""), &index));
    assert_string_equal(cm_index_engine(&index), "Elasticsearch");
    assert_string_equal(cm_index_argument(&index), " --index elasticsearch");
}

/* The server is opened without asking it, also where the answers are kept in the data directory. */
static void test_the_server_beside_the_data_directory(void **state)
{
    cm_index_settings_t settings = cm_index_settings_of_data_dir("data", true);
    cm_index_t *index;
    cm_err_t err;

    (void)state;
    settings.elasticsearch = (cm_elastic_settings_t){.hosts = "http://127.0.0.1:1",
                                                     .index = "answers",
                                                     .totals = "totals",
                                                     .connections = 1,
                                                     .timeout_ms = 1000};
    assert_ok(cm_index_open_server(&settings, &index, &err), err);
    assert_string_equal(index->engine, "Elasticsearch");
    assert_string_equal(index->name, "elasticsearch:http://127.0.0.1:1/answers");
    assert_false(index->daily); /* a writer gets to know what is written */
    cm_index_close(index);
    assert_true(cm_index_in_data_dir(&settings));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_in_the_data_directory),
        cmocka_unit_test(test_answers_on_a_server),
        cmocka_unit_test(test_refused_rows),
        cmocka_unit_test(test_the_server_beside_the_data_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
