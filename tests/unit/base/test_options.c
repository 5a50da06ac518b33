#include "base/options.h"

#include "base/nearest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct sample {
    bool quick;
    int format;
    int64_t count, every, memory;
    double rate;
    const char *out;
} sample_t;

#define FIELD(name) offsetof(sample_t, name)

static const cm_option_t table[] = {
    {.name = "quick", .letter = 'q', .type = CM_OPT_FLAG, .offset = FIELD(quick), .help = "hurry"},
    {.name = "format",
     .type = CM_OPT_CHOICE,
     .offset = FIELD(format),
     .arg = "NAME",
     .def = "auto",
     .choices = "auto|jsonl|csv",
     .key = "import.format",
     .help = "how lines look"},
    {.name = "count",
     .letter = 'n',
     .type = CM_OPT_INT,
     .offset = FIELD(count),
     .arg = "N",
     .def = "7",
     .min = -5,
     .max = 100,
     .help = "how many"},
    {.name = "every",
     .type = CM_OPT_DURATION,
     .offset = FIELD(every),
     .arg = "TIME",
     .min = 100,
     .max = 86400e3,
     .key = "every",
     .help = "how often"},
    {.name = "memory",
     .type = CM_OPT_SIZE,
     .offset = FIELD(memory),
     .arg = "SIZE",
     .min = 1 << 20,
     .max = INFINITY,
     .help = "how much"},
    {.name = "rate",
     .type = CM_OPT_REAL,
     .offset = FIELD(rate),
     .arg = "R",
     .max = 10000000,
     .help = "events per second"},
    {.name = "out",
     .type = CM_OPT_TEXT,
     .offset = FIELD(out),
     .arg = "FILE",
     .env = "TEST_OPTIONS_OUT",
     .help = "where to"},
    {.name = NULL},
};

/* A command line parsed into a sample. */
typedef struct parsed {
    sample_t sample;
    cm_option_values_t values;
    char *arguments[16];
    int argument_count;
    cm_err_t err;
    int rc;
} parsed_t;

static void begin(parsed_t *p)
{
    *p = (parsed_t){.rc = 0};
    assert_int_equal(0, cm_options_defaults(table, &p->sample, &p->values, &p->err));
}

static void parse(parsed_t *p, int argc, const char **argv)
{
    const cm_option_t *tables[] = {NULL, table};
    cm_option_values_t none = CM_OPTION_VALUES_INIT;
    cm_option_values_t *values[] = {&none, &p->values};

    begin(p);
    p->rc = cm_options_parse(tables, values, 2, argc, (char **)argv, &p->argument_count,
                             p->arguments, &p->err);
}

#define PARSE(p, ...)                                                                              \
    do {                                                                                           \
        const char *words[] = {__VA_ARGS__};                                                       \
        parse(p, (int)(sizeof words / sizeof words[0]), words);                                    \
    } while (0)

#define ASSERT_FAILS(sentence, ...)                                                                \
    do {                                                                                           \
        parsed_t failed;                                                                           \
        PARSE(&failed, __VA_ARGS__);                                                               \
        assert_int_equal(CM_EUSAGE, failed.rc);                                                    \
        assert_string_equal(sentence, failed.err.text);                                            \
        cm_options_free(&failed.values);                                                           \
    } while (0)

static void test_defaults(void **state)
{
    parsed_t p;

    (void)state;
    begin(&p);
    assert_int_equal(7, p.sample.count);
    assert_int_equal(0, p.sample.format);
    assert_false(p.sample.quick);
    assert_null(p.sample.out);
    assert_false(cm_options_given(&p.values, FIELD(count)));
    cm_options_free(&p.values);
}

static void test_wrong_default_is_an_error(void **state)
{
    static const cm_option_t wrong[] = {
        {.name = "n", .type = CM_OPT_INT, .def = "many", .help = ""}, {.name = NULL}};
    int64_t n = 0;
    cm_option_values_t values;
    cm_err_t err;

    (void)state;
    assert_int_equal(CM_EUSAGE, cm_options_defaults(wrong, &n, &values, &err));
    assert_string_equal("n wants a whole number, not \"many\"", err.text);
    cm_options_free(&values);
}

static void test_every_form(void **state)
{
    parsed_t p;

    (void)state;
    PARSE(&p, "a", "--count", "-5", "-", "--format=csv", "-q", "--out=--json", "b", "--rate",
          "0.25", "--", "--count", "-q");
    assert_int_equal(0, p.rc);
    assert_int_equal(-5, p.sample.count);
    assert_int_equal(2, p.sample.format);
    assert_true(p.sample.quick);
    assert_string_equal("--json", p.sample.out);
    assert_true(p.sample.rate == 0.25);
    assert_int_equal(5, p.argument_count);
    assert_string_equal("a", p.arguments[0]);
    assert_string_equal("-", p.arguments[1]);
    assert_string_equal("b", p.arguments[2]);
    assert_string_equal("--count", p.arguments[3]);
    assert_string_equal("-q", p.arguments[4]);
    assert_true(cm_options_given(&p.values, FIELD(count)));
    assert_false(cm_options_given(&p.values, FIELD(every)));
    cm_options_free(&p.values);
}

static void test_last_one_wins(void **state)
{
    parsed_t p;

    (void)state;
    PARSE(&p, "--quick", "--no-quick", "--out", "a", "--out", "", "-n3", "-qn", "4");
    assert_int_equal(0, p.rc);
    assert_true(p.sample.quick);
    assert_string_equal("", p.sample.out);
    assert_int_equal(4, p.sample.count);
    cm_options_free(&p.values);
    PARSE(&p, "--no-quick", "--quick", "--no-quick", "--no-quick");
    assert_int_equal(0, p.rc);
    assert_false(p.sample.quick);
    assert_true(cm_options_given(&p.values, FIELD(quick)));
    cm_options_free(&p.values);
}

static void test_wrong_command_lines(void **state)
{
    (void)state;
    ASSERT_FAILS("unknown option --cuont; did you mean --count?", "--cuont", "3");
    ASSERT_FAILS("unknown option --fromat; did you mean --format?", "--fromat=csv");
    ASSERT_FAILS("unknown option --no-quik; did you mean --no-quick?", "--no-quik");
    ASSERT_FAILS("unknown option --no-count; --help lists the known ones", "--no-count");
    ASSERT_FAILS("unknown option --xyzzy; --help lists the known ones", "--xyzzy");
    ASSERT_FAILS("unknown option -x; --help lists the known ones", "-qx");
    ASSERT_FAILS("--quick takes no value; write --quick or --no-quick", "--quick=yes");
    ASSERT_FAILS("--count wants a value (N)", "x", "--count");
    ASSERT_FAILS("-n wants a value (N)", "-n");
    ASSERT_FAILS("--out wants a value (FILE) before --quick; a value that begins with a dash is "
                 "written --out=VALUE",
                 "--out", "--quick");
}

static void test_wrong_values(void **state)
{
    (void)state;
    ASSERT_FAILS("--rate wants a number from 0 to 10000000, not \"abc\"", "--rate", "abc");
    ASSERT_FAILS("--rate wants a number from 0 to 10000000, not \"-1\"", "--rate", "-1");
    ASSERT_FAILS("--rate wants a number from 0 to 10000000, not \"nan\"", "--rate", "nan");
    ASSERT_FAILS("--rate wants a number from 0 to 10000000, not \"0x10\"", "--rate", "0x10");
    ASSERT_FAILS("--rate wants a number from 0 to 10000000, not \"1e-\"", "--rate", "1e-");
    ASSERT_FAILS("--count wants a whole number from -5 to 100, not \"101\"", "--count", "101");
    ASSERT_FAILS("--count wants a whole number from -5 to 100, not \"1.5\"", "--count", "1.5");
    ASSERT_FAILS("-n wants a whole number from -5 to 100, not \"\"", "-n", "");
    ASSERT_FAILS("--count wants a whole number from -5 to 100, not \"99999999999999999999\"",
                 "--count=99999999999999999999");
    ASSERT_FAILS("--format wants one of auto, jsonl, csv, not \"jsnol\"; did you mean jsonl?",
                 "--format", "jsnol");
    ASSERT_FAILS("--format wants one of auto, jsonl, csv, not \"auto|jsonl\"", "--format",
                 "auto|jsonl");
    ASSERT_FAILS("--format wants one of auto, jsonl, csv, not \"\"", "--format=");
    ASSERT_FAILS("--every wants a duration (such as 500ms, 5s, 30m, 2h or 1d) from 100ms to 1d, "
                 "not \"99ms\"",
                 "--every", "99ms");
    ASSERT_FAILS("--memory wants a size in bytes (such as 64k, 512m or 2g) of at least 1m, not "
                 "\"9x\"",
                 "--memory", "9x");
}

static void check_duration(const char *text, int64_t ms)
{
    parsed_t p;

    begin(&p);
    assert_int_equal(0, cm_options_set(table, cm_options_by_name(table, "every"), &p.values, text,
                                       CM_FROM_FILE, "every", &p.err));
    assert_int_equal(ms, p.sample.every);
    cm_options_free(&p.values);
}

static void check_size(const char *text, int64_t bytes)
{
    parsed_t p;

    begin(&p);
    assert_int_equal(0, cm_options_set(table, cm_options_by_name(table, "memory"), &p.values, text,
                                       CM_FROM_FILE, "memory", &p.err));
    assert_int_equal(bytes, p.sample.memory);
    cm_options_free(&p.values);
}

static void test_units(void **state)
{
    (void)state;
    check_duration("500ms", 500);
    check_duration("5", 5000);
    check_duration("5s", 5000);
    check_duration("1.5s", 1500);
    check_duration(".5s", 500);
    check_duration("30m", 1800000);
    check_duration("2H", 7200000);
    check_duration("1d", 86400000);
    check_size("1048576", 1048576);
    check_size("64m", 67108864);
    check_size("1.5G", 1610612736);
    check_size("2t", INT64_C(2199023255552));
    ASSERT_FAILS("--every wants a duration (such as 500ms, 5s, 30m, 2h or 1d) from 100ms to 1d, "
                 "not \"1h30m\"",
                 "--every", "1h30m");
    ASSERT_FAILS("--every wants a duration (such as 500ms, 5s, 30m, 2h or 1d) from 100ms to 1d, "
                 "not \".s\"",
                 "--every", ".s");
    ASSERT_FAILS("--every wants a duration (such as 500ms, 5s, 30m, 2h or 1d) from 100ms to 1d, "
                 "not \"1000.5ms\"",
                 "--every", "1000.5ms");
    ASSERT_FAILS("--memory wants a size in bytes (such as 64k, 512m or 2g) of at least 1m, not "
                 "\"99999999999t\"",
                 "--memory", "99999999999t");
}

static void test_stronger_origin_stays(void **state)
{
    const cm_option_t *out = cm_options_by_name(table, "out");
    parsed_t p;

    (void)state;
    PARSE(&p, "--count=9");
    assert_int_equal(0, cm_options_set(table, out, &p.values, "file", CM_FROM_FILE, "f:1", &p.err));
    assert_string_equal("file", p.sample.out);
    setenv("TEST_OPTIONS_OUT", "environment", 1);
    assert_int_equal(0, cm_options_environment(table, &p.values, &p.err));
    assert_string_equal("environment", p.sample.out);
    assert_int_equal(0, cm_options_set(table, out, &p.values, "file", CM_FROM_FILE, "f:1", &p.err));
    assert_string_equal("environment", p.sample.out);
    setenv("TEST_OPTIONS_OUT", "", 1);
    assert_int_equal(0, cm_options_environment(table, &p.values, &p.err));
    assert_string_equal("environment", p.sample.out);
    unsetenv("TEST_OPTIONS_OUT");

    const cm_option_t *count = cm_options_by_name(table, "count");
    assert_int_equal(0, cm_options_set(table, count, &p.values, "1", CM_FROM_FILE, "f:2", &p.err));
    assert_int_equal(9, p.sample.count);
    assert_int_equal(CM_EUSAGE, cm_options_set(table, count, &p.values, "x", CM_FROM_FILE,
                                               "f.yaml:2: count", &p.err));
    assert_string_equal("f.yaml:2: count wants a whole number from -5 to 100, not \"x\"",
                        p.err.text);
    cm_options_free(&p.values);
}

/* A text that may be given many times. */
static void texts_are_kept_in_order(void **state)
{
    static const cm_option_t rows[] = {{.name = "where",
                                        .type = CM_OPT_TEXTS,
                                        .arg = "CONDITION",
                                        .key = "where",
                                        .help = "what counts"},
                                       {.name = NULL}};
    const cm_option_t *tables[] = {rows};
    const char *words[] = {"--where", "a = 1", "--where=b, c = 2", "--where", "", NULL};
    cm_option_texts_t texts = {NULL, 0};
    cm_option_values_t values, *all[] = {&values};
    char *arguments[8];
    int count;
    cm_err_t err;

    (void)state;
    assert_int_equal(0, cm_options_defaults(rows, &texts, &values, &err));
    assert_null(texts.list);
    assert_int_equal(0, cm_options_set(rows, rows, &values, "file", CM_FROM_FILE, "f:1", &err));
    assert_int_equal(1, texts.count);
    assert_int_equal(0,
                     cm_options_parse(tables, all, 1, 5, (char **)words, &count, arguments, &err));
    assert_int_equal(0, cm_options_set(rows, rows, &values, "file", CM_FROM_FILE, "f:1", &err));
    assert_int_equal(3, texts.count);
    assert_string_equal("a = 1", texts.list[0]);
    assert_string_equal("b, c = 2", texts.list[1]);
    assert_string_equal("", texts.list[2]);
    assert_null(texts.list[3]);
    cm_options_free(&values);
}

static void test_find_argument(void **state)
{
    const char *argv[] = {"prog", "--count", "3", "-q", "--out=x", "import", "--what"};
    const char *none[] = {"prog", "-q"};
    const char *wrong[] = {"prog", "--cuont", "import"};
    cm_err_t err;

    (void)state;
    assert_int_equal(5, cm_options_find_argument(table, 7, (char **)argv, &err));
    assert_int_equal(2, cm_options_find_argument(table, 2, (char **)none, &err));
    assert_int_equal(CM_EUSAGE, cm_options_find_argument(table, 3, (char **)wrong, &err));
    assert_string_equal("unknown option --cuont; did you mean --count?", err.text);
}

static void test_by_key(void **state)
{
    (void)state;
    assert_ptr_equal(&table[1], cm_options_by_key(table, "import.format"));
    assert_null(cm_options_by_key(table, "format"));
    assert_null(cm_options_by_key(NULL, "format"));
    assert_null(cm_options_by_name(table, "import.format"));
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"import", "export", "query", "run", "serve", NULL};

    (void)state;
    assert_string_equal("import", cm_nearest("imprt", names));
    assert_string_equal("import", cm_nearest("improt", names));
    assert_string_equal("export", cm_nearest("exprot", names));
    assert_string_equal("query", cm_nearest("qurey", names));
    assert_string_equal("query", cm_nearest("querys", names));
    assert_string_equal("run", cm_nearest("rnu", names));
    assert_string_equal("serve", cm_nearest("serve", names));
    assert_string_equal("import", cm_nearest("ixport", names)); /* as near as export: the first */
    assert_null(cm_nearest("rum-and-coke", names));
    assert_null(cm_nearest("nrx", names));
    assert_null(cm_nearest("r", names));
    assert_null(cm_nearest("", names));
    assert_null(
        cm_nearest("importimportimportimportimportimportimportimportimportimportimport", names));
}

static void test_help(void **state)
{
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    cm_options_add_help(&buf, table);
    assert_string_equal("  -q, --quick             hurry\n"
                        "  --format NAME           how lines look: auto, jsonl, csv [default auto; "
                        "key\n"
                        "                          import.format]\n"
                        "  -n, --count N           how many [default 7]\n"
                        "  --every TIME            how often [key every]\n"
                        "  --memory SIZE           how much\n"
                        "  --rate R                events per second\n"
                        "  --out FILE              where to [environment TEST_OPTIONS_OUT]\n",
                        buf.data);
    cm_buf_free(&buf);
}

static void test_wrapping_fills_80_columns(void **state)
{
    cm_buf_t buf = CM_BUF_INIT;
    char text[200] = "", expected[200];

    (void)state;
    memset(text, 'a', 40);
    text[40] = ' ';
    memset(text + 41, 'b', 39);
    memcpy(text + 80, " c", 3);
    cm_options_add_wrapped(&buf, text, 0, 3);
    snprintf(expected, sizeof expected, "%.80s\n   c\n", text);
    assert_string_equal(expected, buf.data);
    cm_buf_free(&buf);
}

typedef struct inner {
    int64_t port;
    const char *host;
} inner_t;

typedef struct outer {
    bool first;
    inner_t a;
    struct {
        double rate;
        inner_t b;
    } deep;
    bool last;
} outer_t;

/* Arrays stand where they are named, with the offsets of the struct that they are for. */
static void tables_are_composed(void **state)
{
    static const cm_option_t inner_rows[] = {
        {.name = "port", .type = CM_OPT_INT, .offset = offsetof(inner_t, port), .def = "9"},
        {.name = "host", .type = CM_OPT_TEXT, .offset = offsetof(inner_t, host)},
        {.name = NULL},
    };
    static const cm_option_t rate_row[] = {
        {.name = "rate", .type = CM_OPT_REAL},
        {.name = NULL},
    };
    static const cm_option_t middle_rows[] = {
        {.name = "b", .type = CM_OPT_ROWS, .offset = sizeof(double), .rows = inner_rows},
        {.name = "rate", .type = CM_OPT_ROWS, .rows = rate_row},
        {.name = NULL},
    };
    static const cm_option_t outer_rows[] = {
        {.name = "first", .type = CM_OPT_FLAG, .offset = offsetof(outer_t, first)},
        {.name = "a", .type = CM_OPT_ROWS, .offset = offsetof(outer_t, a), .rows = inner_rows},
        {.name = "deep",
         .type = CM_OPT_ROWS,
         .offset = offsetof(outer_t, deep),
         .rows = middle_rows},
        {.name = "last", .type = CM_OPT_FLAG, .offset = offsetof(outer_t, last)},
        {.name = NULL},
    };
    static const struct {
        const char *name;
        size_t offset;
    } want[] = {
        {"first", offsetof(outer_t, first)},      {"port", offsetof(outer_t, a.port)},
        {"host", offsetof(outer_t, a.host)},      {"port", offsetof(outer_t, deep.b.port)},
        {"host", offsetof(outer_t, deep.b.host)}, {"rate", offsetof(outer_t, deep.rate)},
        {"last", offsetof(outer_t, last)},
    };
    enum { COUNT = sizeof want / sizeof want[0] };
    cm_option_t *flat = cm_options_compose(outer_rows);
    cm_option_values_t values;
    outer_t outer = {0};
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_string_equal(want[i].name, flat[i].name);
        assert_int_equal(want[i].offset, flat[i].offset);
    }
    assert_null(flat[COUNT].name);
    assert_int_equal(0, cm_options_defaults(flat, &outer, &values, &err));
    assert_int_equal(9, outer.a.port);
    assert_int_equal(9, outer.deep.b.port);
    cm_options_free(&values);
    free(flat);
    assert_null(cm_options_compose(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_wrong_default_is_an_error),
        cmocka_unit_test(test_every_form),
        cmocka_unit_test(test_last_one_wins),
        cmocka_unit_test(test_wrong_command_lines),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_stronger_origin_stays),
        cmocka_unit_test(texts_are_kept_in_order),
        cmocka_unit_test(test_find_argument),
        cmocka_unit_test(test_by_key),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_wrapping_fills_80_columns),
        cmocka_unit_test(tables_are_composed),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
