/* What the options of an index say: whether a server for the answers is named. */
#include "parsed_options.h"

#include "index/options.h"

typedef struct command {
    bool first; /* the options do not stand at offset 0 */
    cm_index_options_t index;
} command_t;

static const cm_option_t rows[] = {
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(command_t, index),
     .rows = cm_index_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(command_t, index),
     .rows = cm_index_server_option_rows},
    {.name = NULL},
};

static bool is_named(const char *option, const char *value)
{
    parsed_options_t parsed;
    command_t command;

    parse_option(&parsed, rows, &command, option, value);
    const bool named =
        cm_index_server_named(&command.index, &parsed.values, offsetof(command_t, index));
    parsed_options_free(&parsed);
    return named;
}

static void test_server(void **state)
{
    (void)state;
    assert_false(is_named(NULL, NULL));
    assert_false(is_named("--index", "embedded"));
    assert_true(is_named("--index", "elasticsearch"));
    assert_true(is_named("--elasticsearch-hosts", "http://127.0.0.1:9200")); /* the default */
    assert_true(is_named("--elasticsearch-cloud-id", "name:id"));
    assert_false(is_named("--elasticsearch-index", "answers"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_server)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
