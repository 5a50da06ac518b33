/* What the options of a store say: whether a server for the events is named. */
#include "parsed_options.h"

#include "store/options.h"

typedef struct command {
    bool first; /* the options do not stand at offset 0 */
    cm_store_options_t store;
} command_t;

static const cm_option_t rows[] = {
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(command_t, store),
     .rows = cm_store_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(command_t, store),
     .rows = cm_store_server_option_rows},
    {.name = NULL},
};

static bool is_named(const char *option, const char *value)
{
    parsed_options_t parsed;
    command_t command;

    parse_option(&parsed, rows, &command, option, value);
    const bool named =
        cm_store_server_named(&command.store, &parsed.values, offsetof(command_t, store));
    parsed_options_free(&parsed);
    return named;
}

static void test_server(void **state)
{
    (void)state;
    assert_false(is_named(NULL, NULL));
    assert_false(is_named("--store", "embedded"));
    assert_true(is_named("--store", "cassandra"));
    assert_true(is_named("--cassandra-hosts", "127.0.0.1")); /* the default, but given */
    assert_false(is_named("--cassandra-keyspace", "clicks"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_server)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
