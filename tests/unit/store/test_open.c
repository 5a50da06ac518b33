/* What the settings of a store say about where the events are. */
#include "support.h"

#include "store/open.h"

static void test_events_in_the_data_directory(void **state)
{
    const cm_store_settings_t settings = {.engine = CM_STORE_EMBEDDED, .data_dir = "data"};

    (void)state;
    assert_true(cm_store_in_data_dir(&settings));
    assert_null(cm_store_table(&settings));
    assert_string_equal(cm_store_engine(&settings), "the embedded store");
}

static void test_events_in_a_table(void **state)
{
    const cm_store_settings_t settings = {
        .engine = CM_STORE_CASSANDRA, .data_dir = "data", .cassandra = {.table = "clicks"}};

    (void)state;
    assert_false(cm_store_in_data_dir(&settings));
    assert_ptr_equal(cm_store_table(&settings), &settings.cassandra);
    assert_string_equal(cm_store_engine(&settings), "Cassandra");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_in_the_data_directory),
        cmocka_unit_test(test_events_in_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
