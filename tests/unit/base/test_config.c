#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void check_fails(const char *text, size_t len, const char *sentence)
{
    cm_config_t config;
    cm_err_t err = {0, ""};

    int rc = cm_config_parse(&config, (cm_str_t){text, len}, "c.yaml", &err);
    assert_string_equal(sentence, err.text);
    assert_int_equal(CM_EUSAGE, rc);
    assert_null(config.entries);
}

#define FAILS(text, sentence) check_fails(text, sizeof(text) - 1, sentence)

static void parse(cm_config_t *config, const char *text)
{
    cm_err_t err = {0, ""};

    int rc = cm_config_parse(config, cm_str(text), "c.yaml", &err);
    assert_string_equal("", err.text);
    assert_int_equal(0, rc);
}

static void check_entry(const cm_config_t *config, size_t at, const char *key, const char *text,
                        int line)
{
    assert_true(at < config->count);
    assert_string_equal(key, config->entries[at].key);
    assert_int_equal(line, config->entries[at].line);
    if (text == NULL)
        assert_null(config->entries[at].text);
    else
        assert_string_equal(text, config->entries[at].text);
}

static void test_flattens(void **state)
{
    cm_config_t c;

    (void)state;
    parse(&c, "# a comment\n"
              "data: /var/lib/clickmill\n"
              "http:\n"
              "  listen: \"127.0.0.1:8080\"  # quoted\n"
              "  tls: {cert: a.pem, key: 'b.pem'}\n"
              "empty:\n"
              "tilde: ~\n"
              "word: null\n"
              "text: 'null'\n"
              "kafka.brokers: [a:9092, b:9092]\n"
              "hosts:\n"
              "  - x\n"
              "  - y\n"
              "none: []\n"
              "session_timeout: 30m\n");
    assert_int_equal(12, c.count);
    check_entry(&c, 0, "data", "/var/lib/clickmill", 2);
    check_entry(&c, 1, "http.listen", "127.0.0.1:8080", 4);
    check_entry(&c, 2, "http.tls.cert", "a.pem", 5);
    check_entry(&c, 3, "http.tls.key", "b.pem", 5);
    check_entry(&c, 4, "empty", NULL, 6);
    check_entry(&c, 5, "tilde", NULL, 7);
    check_entry(&c, 6, "word", NULL, 8);
    check_entry(&c, 7, "text", "null", 9);
    check_entry(&c, 8, "kafka.brokers", "a:9092,b:9092", 10);
    check_entry(&c, 9, "hosts", "x,y", 11);
    check_entry(&c, 10, "none", "", 14);
    check_entry(&c, 11, "session_timeout", "30m", 15);
    cm_config_free(&c);
}

static void test_json_is_yaml(void **state)
{
    cm_config_t c;

    (void)state;
    parse(&c, "{\n\t\"data\":\"d\\/\\u00e9\",\n\t\"http\" : {\"port\":8080, \"tls\": true},\n"
              "\t\"list\": [\"a\",\"b\"], \"nothing\": null\n}\n");
    assert_int_equal(5, c.count);
    check_entry(&c, 0, "data", "d/\xc3\xa9", 2);
    check_entry(&c, 1, "http.port", "8080", 3);
    check_entry(&c, 2, "http.tls", "true", 3);
    check_entry(&c, 3, "list", "a,b", 4);
    check_entry(&c, 4, "nothing", NULL, 4);
    cm_config_free(&c);
}

static void test_nothing(void **state)
{
    static const char *const texts[] = {"",          "\n# only a comment\n", "---\n", "{}", "~",
                                        "---\n...\n"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cm_config_t c;
        parse(&c, texts[i]);
        assert_int_equal(0, c.count);
        cm_config_free(&c);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    FAILS("a: 1\nb: [1, 2\n", "c.yaml:3: not YAML: did not find expected ',' or ']' (column 1)");
    FAILS("a: 1\n\tb: 2\n",
          "c.yaml:2: not YAML: found a tab character that violates indentation (column 1)");
    FAILS("a: 1\nb: \"\xff\"\n", "c.yaml:2: not YAML: invalid leading UTF-8 octet");
    FAILS("a: 1\nb: 2\na: 3\n",
          "c.yaml:3: a stands here a second time (first in line 1); keep one");
    FAILS("http: {port: 1}\nhttp.port: 2\n",
          "c.yaml:2: http.port stands here a second time (first in line 1); keep one");
    FAILS("a: &x 1\nb: *x\n", "c.yaml:1: an anchor (&name) is not supported in a configuration; "
                              "write the value itself");
    FAILS("b: *x\n", "c.yaml:1: an alias (*name) is not supported in a configuration; write the "
                     "value itself");
    FAILS("a: 1\nb: !!int 3\n", "c.yaml:2: a tag (!name) is not supported in a configuration; "
                                "write the value itself");
    FAILS("- a\n- b\n", "c.yaml:1: a configuration is a mapping, one `key: value` a line");
    FAILS("word\n", "c.yaml:1: a configuration is a mapping, one `key: value` a line");
    FAILS("a: 1\n---\nb: 2\n",
          "c.yaml:2: a second document begins here; a configuration is one document");
    FAILS("a:\n- b: 1\n", "c.yaml:2: a wants a list of plain values");
    FAILS("a: ['x,y']\n", "c.yaml:1: a value in the list a cannot hold a comma");
    FAILS("? [a]\n: 1\n", "c.yaml:1: a key must be a plain word");
    FAILS("a: \"x\\0y\"\n", "c.yaml:1: a text cannot hold a NUL character");
    FAILS("{a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}}}}}}}}}",
          "c.yaml:1: keys are nested more than 16 deep");
}

static void test_files(void **state)
{
    char path[] = "/tmp/test_config_XXXXXX";
    int fd = mkstemp(path);
    cm_config_t c;
    cm_err_t err;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(5, write(fd, "a: 1\n", 5));
    assert_int_equal(0, cm_config_read(&c, path, &err));
    check_entry(&c, 0, "a", "1", 1);
    cm_config_free(&c);
    assert_int_equal(0, ftruncate(fd, CM_CONFIG_BYTES + 1));
    assert_int_equal(CM_EUSAGE, cm_config_read(&c, path, &err));
    close(fd);
    unlink(path);
    assert_int_equal(CM_EINPUT, cm_config_read(&c, "/nowhere/c.yaml", &err));
    assert_string_equal("cannot read the configuration /nowhere/c.yaml: No such file or directory",
                        err.text);
    assert_int_equal(CM_EINPUT, cm_config_read(&c, "/tmp", &err));
    assert_string_equal("cannot read the configuration /tmp: Is a directory", err.text);
}

typedef struct server {
    int64_t port;
    bool open;
    const char *name;
} server_t;

static const cm_option_t server_table[] = {
    {.name = "port",
     .type = CM_OPT_INT,
     .offset = offsetof(server_t, port),
     .arg = "N",
     .def = "80",
     .min = 1,
     .max = 65535,
     .key = "http.port"},
    {.name = "open", .type = CM_OPT_FLAG, .offset = offsetof(server_t, open), .key = "http.open"},
    {.name = "name", .type = CM_OPT_TEXT, .offset = offsetof(server_t, name), .key = "name"},
    {.name = NULL},
};
static const cm_option_t other_table[] = {
    {.name = "rate", .type = CM_OPT_REAL, .max = 100, .key = "demo.rate"},
    {.name = "keyless", .type = CM_OPT_FLAG},
    {.name = NULL},
};

/* Applies a text to the server's table, with the other one only checked. */
static int apply(const char *text, server_t *server, cm_option_values_t *values, cm_err_t *err)
{
    cm_config_table_t tables[] = {{server_table, values}, {NULL, NULL}, {other_table, NULL}};
    cm_config_t config;

    assert_int_equal(0, cm_options_defaults(server_table, server, values, err));
    parse(&config, text);
    int rc = cm_config_apply(&config, tables, 3, err);
    cm_config_free(&config);
    return rc;
}

static void test_applies(void **state)
{
    server_t server = {0, false, NULL};
    cm_option_values_t values;
    cm_err_t err;

    (void)state;
    assert_int_equal(0, apply("http:\n  port: 8080\n  open: Yes\nname: n\ndemo:\n  rate: 5\n",
                              &server, &values, &err));
    assert_int_equal(8080, server.port);
    assert_true(server.open);
    assert_string_equal("n", server.name);
    assert_true(cm_options_given(&values, offsetof(server_t, port)));
    cm_options_free(&values);

    /* Null and a group without keys leave the defaults. */
    assert_int_equal(0, apply("http:\n  port: ~\ndemo:\n", &server, &values, &err));
    assert_int_equal(80, server.port);
    assert_false(cm_options_given(&values, offsetof(server_t, port)));
    cm_options_free(&values);
}

static void check_apply_fails(const char *text, const char *sentence)
{
    server_t server = {0, false, NULL};
    cm_option_values_t values;
    cm_err_t err;

    assert_int_equal(CM_EUSAGE, apply(text, &server, &values, &err));
    assert_string_equal(sentence, err.text);
    cm_options_free(&values);
}

static void test_apply_refuses(void **state)
{
    (void)state;
    check_apply_fails("name: x\nhttp:\n  prot: 1\n",
                      "c.yaml:3: unknown key http.prot; did you mean http.port?");
    check_apply_fails("port: 1\n", "c.yaml:1: unknown key port; did you mean http.port?");
    check_apply_fails("colour: red\n", "c.yaml:1: unknown key colour; `clickmill help --markdown` "
                                       "lists the known ones");
    check_apply_fails("keyless: true\n", "c.yaml:1: unknown key keyless; `clickmill help "
                                         "--markdown` lists the known ones");
    check_apply_fails("http: 8080\n",
                      "c.yaml:1: http is a group of keys (such as http.port), not a value");
    check_apply_fails("\nhttp.port: 70000\n",
                      "c.yaml:2: http.port wants a whole number from 1 to 65535, not \"70000\"");
    check_apply_fails("http.open: maybe\n",
                      "c.yaml:1: http.open wants true or false, not \"maybe\"");
    check_apply_fails("demo:\n  rate: fast\n",
                      "c.yaml:2: demo.rate wants a number from 0 to 100, not \"fast\"");
}

/* A group whose keys are names of the user's, and keys that mean the same. */
typedef struct broker {
    const char *address;
    cm_option_map_t properties;
} broker_t;

static const cm_option_t broker_table[] = {
    {.name = "address",
     .type = CM_OPT_TEXT,
     .offset = offsetof(broker_t, address),
     .arg = "HOST",
     .key = "broker.address",
     .aliases = "broker.servers|servers"},
    {.name = "property",
     .type = CM_OPT_MAP,
     .offset = offsetof(broker_t, properties),
     .arg = "NAME=VALUE",
     .key = "broker.properties"},
    {.name = NULL},
};

static void check_pair(const cm_option_map_t *map, size_t at, const char *name, const char *text,
                       const char *where)
{
    assert_true(at < map->count);
    assert_string_equal(name, map->pairs[at].name);
    assert_string_equal(text, map->pairs[at].text);
    assert_string_equal(where, map->pairs[at].where);
}

static void test_map_and_aliases(void **state)
{
    static const char text[] = "broker:\n  properties:\n    acks: all\n    ssl.ca: a=b\n"
                               "    linger: 5\n    empty:\nservers: [one, two]\n";
    const cm_option_t *const options[] = {broker_table};
    char words[][20] = {"--property", "linger=7", "--property=ssl.ca=", "--property", "new=1"};
    char *argv[] = {words[0], words[1], words[2], words[3], words[4]};
    char *arguments[5];
    broker_t broker = {0};
    cm_option_values_t values, *all[] = {&values};
    cm_config_table_t tables[] = {{broker_table, &values}};
    cm_config_t config;
    cm_err_t err;
    int count;

    (void)state;
    assert_int_equal(0, cm_options_defaults(broker_table, &broker, &values, &err));
    assert_int_equal(0, cm_options_parse(options, all, 1, 5, argv, &count, arguments, &err));
    assert_int_equal(0, count);
    parse(&config, text);
    assert_int_equal(0, cm_config_apply(&config, tables, 1, &err));
    cm_config_free(&config);
    assert_string_equal("one,two", broker.address);
    assert_int_equal(4, broker.properties.count);
    check_pair(&broker.properties, 0, "linger", "7", "--property");
    check_pair(&broker.properties, 1, "ssl.ca", "", "--property");
    check_pair(&broker.properties, 2, "new", "1", "--property");
    check_pair(&broker.properties, 3, "acks", "all", "c.yaml:3: broker.properties.acks");
    cm_options_free(&values);
}

static void check_broker_fails(const char *text, const char *sentence)
{
    broker_t broker = {0};
    cm_option_values_t values;
    cm_config_table_t tables[] = {{broker_table, &values}};
    cm_config_t config;
    cm_err_t err;

    assert_int_equal(0, cm_options_defaults(broker_table, &broker, &values, &err));
    parse(&config, text);
    assert_int_equal(CM_EUSAGE, cm_config_apply(&config, tables, 1, &err));
    assert_string_equal(sentence, err.text);
    cm_config_free(&config);
    cm_options_free(&values);
}

static void test_map_refuses(void **state)
{
    (void)state;
    check_broker_fails("broker.properties: acks\n",
                       "c.yaml:1: broker.properties is a group of keys (such as "
                       "broker.properties), not a value");
    check_broker_fails("broker:\n  propertys: 1\n",
                       "c.yaml:2: unknown key broker.propertys; did you mean broker.properties?");
    check_broker_fails("broker.server: 1\n", "c.yaml:1: unknown key broker.server; `clickmill help "
                                             "--markdown` lists the known ones");
}

static void test_command_line_wins(void **state)
{
    server_t server;
    cm_option_values_t values;
    cm_err_t err;
    cm_config_table_t tables[] = {{server_table, &values}};
    cm_config_t config;

    (void)state;
    assert_int_equal(0, cm_options_defaults(server_table, &server, &values, &err));
    assert_int_equal(0, cm_options_set(server_table, &server_table[0], &values, "1",
                                       CM_FROM_COMMAND_LINE, "--port", &err));
    parse(&config, "http: {port: 2, open: on}\n");
    assert_int_equal(0, cm_config_apply(&config, tables, 1, &err));
    assert_int_equal(1, server.port);
    assert_true(server.open);
    cm_config_free(&config);
    cm_options_free(&values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flattens),      cmocka_unit_test(test_json_is_yaml),
        cmocka_unit_test(test_nothing),       cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_applies),
        cmocka_unit_test(test_apply_refuses), cmocka_unit_test(test_map_and_aliases),
        cmocka_unit_test(test_map_refuses),   cmocka_unit_test(test_command_line_wins),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
