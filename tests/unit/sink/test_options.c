/* What the options of a sink say: whether events go to a topic, and whether its server is named. */
#include "parsed_options.h"

#include "sink/options.h"

typedef struct command {
    bool first; /* the options do not stand at offset 0 */
    cm_sink_options_t sink;
} command_t;

static const cm_option_t rows[] = {
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(command_t, sink),
     .rows = cm_sink_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(command_t, sink),
     .rows = cm_sink_server_option_rows},
    {.name = NULL},
};

static void check(const char *option, const char *value, bool topic, bool named)
{
    parsed_options_t parsed;
    command_t command;

    parse_option(&parsed, rows, &command, option, value);
    assert_int_equal(cm_sink_is_topic(&command.sink), topic);
    assert_int_equal(cm_sink_server_named(&command.sink, &parsed.values, offsetof(command_t, sink)),
                     named);
    parsed_options_free(&parsed);
}

static void test_topic_and_server(void **state)
{
    (void)state;
    check(NULL, NULL, false, false);
    check("--sink", "store", false, false);
    check("--sink", "kafka", true, true);
    check("--brokers", "127.0.0.1:9092", false, true); /* the default, but given */
    check("--topic", "clicks", false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_topic_and_server)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
