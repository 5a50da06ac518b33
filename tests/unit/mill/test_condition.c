/* Conditions: how they are written, for which values they hold, and what messages say. */
#include "mill/question.h"
#include "support.h"

static cm_arena_t arena;

static cm_condition_t parse(const char *text)
{
    cm_condition_t condition;
    cm_err_t err;

    assert_ok(cm_condition_parse(text, &arena, &condition, &err), err);
    return condition;
}

/* The values that the condition keeps, with | between them. */
static void assert_values(const char *text, const char *expected)
{
    const cm_condition_t condition = parse(text);
    cm_buf_t values = CM_BUF_INIT;

    cm_buf_add_text(&values, "");
    for (size_t i = 0; i < condition.count; i++) {
        cm_buf_add_text(&values, i > 0 ? "|" : "");
        cm_buf_add_str(&values, condition.values[i]);
    }
    if (strcmp(expected, values.data ? values.data : "") != 0)
        fail_msg("%s: %s, not %s", text, values.data, expected);
    cm_buf_free(&values);
}

static void assert_dim(const char *text, cm_facet_t facet, const char *key, const char *name,
                       cm_condition_op_t op)
{
    const cm_condition_t condition = parse(text);

    assert_int_equal(facet, condition.dim.facet);
    assert_true(cm_str_equal(cm_str(key), condition.dim.key));
    if (!cm_str_equal(cm_str(name), condition.dim.name))
        fail_msg("%s: %.*s", text, (int)condition.dim.name.len, condition.dim.name.data);
    assert_int_equal(op, condition.op);
}

static void how_it_is_written(void **state)
{
    (void)state;
    assert_dim("country = DE", CM_FACET_COUNTRY, "", "country", CM_OP_EQUAL);
    assert_dim("country=DE", CM_FACET_COUNTRY, "", "country", CM_OP_EQUAL);
    assert_dim("  url\t!= a", CM_FACET_URL, "", "url", CM_OP_NOT_EQUAL);
    assert_dim("url ~ *", CM_FACET_URL, "", "url", CM_OP_LIKE);
    assert_dim("url!~*", CM_FACET_URL, "", "url", CM_OP_NOT_LIKE);
    assert_dim("props.n<1", CM_FACET_PROP, "n", "props.n", CM_OP_LESS);
    assert_dim("props.n <= 1", CM_FACET_PROP, "n", "props.n", CM_OP_LESS_EQUAL);
    assert_dim("props.n > 1", CM_FACET_PROP, "n", "props.n", CM_OP_GREATER);
    assert_dim("engaged_ms >= 10", CM_FACET_ENGAGED_MS, "", "engaged_ms", CM_OP_GREATER_EQUAL);
    assert_dim("os in (a, b)", CM_FACET_OS, "", "os", CM_OP_IN);
    assert_dim("os in(a)", CM_FACET_OS, "", "os", CM_OP_IN);
    assert_dim("os not  in (a)", CM_FACET_OS, "", "os", CM_OP_NOT_IN);
    assert_dim("os is empty", CM_FACET_OS, "", "os", CM_OP_EMPTY);
    assert_dim("os IS NOT EMPTY ", CM_FACET_OS, "", "os", CM_OP_NOT_EMPTY);
    assert_dim("props.order.total = 10.50", CM_FACET_PROP, "order.total", "props.order.total",
               CM_OP_EQUAL);
    assert_dim("props.\"a,b\" = 1", CM_FACET_PROP, "a,b", "props.\"a,b\"", CM_OP_EQUAL);
    assert_dim("props.\"plan\" = 1", CM_FACET_PROP, "plan", "props.plan", CM_OP_EQUAL);
    assert_dim("props.\"a \"\"b\"\"\"=1", CM_FACET_PROP, "a \"b\"", "props.\"a \"\"b\"\"\"",
               CM_OP_EQUAL);
    assert_dim("props.in in (1)", CM_FACET_PROP, "in", "props.in", CM_OP_IN);
    assert_dim("props.größe = 1", CM_FACET_PROP, "größe", "props.größe", CM_OP_EQUAL);
}

static void values(void **state)
{
    (void)state;
    assert_values("city = Frankfurt, Oder", "Frankfurt, Oder");
    assert_values("city =   a  b  ", "a  b");
    assert_values("city = \" a \"", " a ");
    assert_values("city = \"\"", "");
    assert_values("city = \"say \"\"hi\"\"\"", "say \"hi\"");
    assert_values("city = say \"hi\"", "say \"hi\"");
    assert_values("url = https://a.example/?a=1&b=(2)", "https://a.example/?a=1&b=(2)");
    assert_values("utm_term = =x", "=x"); /* with a blank, or in quotes */
    assert_values("utm_term=\"=x\"", "=x");
    assert_values("name = in (a)", "in (a)");
    assert_values("city in (a,b , c d)", "a|b|c d");
    assert_values("city in (b, a, \"x, y\", \")\")", ")|a|b|x, y");
    assert_values("city in (\"\")", "");
    assert_values("city not in (a\"b)", "a\"b");
    assert_values("city is empty", "");
    assert_int_equal(0, parse("city is empty").count);
    /* matomo-org/matomo#19617, #21058, #12503, #7218: nothing is decoded, no sign is special. */
    assert_values("name = Before, after; comma", "Before, after; comma");
    assert_values("url = https://contoso.example/Some,+url", "https://contoso.example/Some,+url");
    assert_values("url = /#_inbox!{\"sc\":\"0\"}", "/#_inbox!{\"sc\":\"0\"}");
    assert_values("url = /%E6%A9%9F%25", "/%E6%A9%9F%25");
    assert_values("name = It's value", "It's value"); /* keephq/keep#3793 */
    assert_values("name = a\\,b", "a\\,b");           /* PostHog/posthog#23772 */
    assert_values("city in (a|b, [c])", "[c]|a|b");   /* plausible/analytics#2266 */
    /* Times and whole numbers. */
    assert_values("hour = 2026-11-29 14:00", "2026-11-29 14:00:00");
    assert_values("hour = 2026-11-29", "2026-11-29 00:00:00");
    assert_values("hour >= 2026-11-29T14:30:00", "2026-11-29 14:30:00");
    assert_values("day in (2026-11-30, \"2026-11-29 00:00:00\")", "2026-11-29|2026-11-30");
    assert_values("day < 2026-11-29 12:00", "2026-11-29 12:00:00");
    assert_values("week = 2026-11-23", "2026-11-23");
    assert_values("week = 1969-12-29", "1969-12-29");
    assert_values("month != 2026-02-01", "2026-02-01");
    assert_values("weekday in (6, 07)", "6|7");
    assert_values("hour_of_day = 0", "0");
    assert_values("engaged_ms = 0010", "10");
    assert_values("day ~ 2026-11-*", "2026-11-*");
}

/* Whether the condition holds for a value; NULL: for an absent one. */
static void holds(const char *text, const char *value, bool expected)
{
    const cm_condition_t condition = parse(text);

    if (cm_condition_holds(&condition, cm_str(value)) != expected)
        fail_msg("%s: %s: %d", text, value ? value : "absent", !expected);
}

static void texts(void **state)
{
    (void)state;
    holds("country = DE", "DE", true);
    holds("country = DE", "de", false);
    holds("country = DE", "D", false);
    holds("country = Unknown", "Unknown", true);
    holds("country != DE", "DE", false);
    holds("country != DE", "AT", true);
    holds("country in (DE, AT)", "AT", true);
    holds("country in (DE, AT)", "A", false);
    holds("country in (DE, AT)", "DE, AT", false);
    holds("country not in (DE, AT)", "DE", false);
    holds("country not in (DE, AT)", "CH", true);
    holds("country is empty", "DE", false);
    holds("country is not empty", "DE", true);
    holds("url ~ https://a.example/*", "https://a.example/", true);
    holds("url ~ /b", "/a/b", false); /* the whole value */
    holds("url ~ */b", "/a/b", true);
    holds("url ~ /?", "/ä", true);
    holds("url ~ /?", "/", false);
    holds("url ~ /?", "/ab", false);
    holds("url ~ /A*", "/a", false);
    holds("url !~ */b", "/a/b", false);
    holds("url !~ */b", "/a", true);
    holds("name ~ *", "", true);
    /* plausible/analytics#3634: only * and ? are special. */
    holds("url ~ /a.b(c)+[d]*", "/a.b(c)+[d]/e", true);
    holds("url ~ /a.b*", "/axb", false);
    /* As text: 1.0 is not 1. PostHog/posthog#4846: a text of digits is a text. */
    holds("props.zip = 00501", "00501", true);
    holds("props.zip = 00501", "501", false);
    holds("props.n = 1", "1.0", false);
    holds("props.n = 1", "1", true);
    holds("props.gift = false", "false", true);
}

/* datalust/seq-tickets#1216, dhis2/dhis2-core#11430, PostHog/posthog#18030: what is not there is
 * unequal to every value, and `false` is there. */
static void absent_values(void **state)
{
    static const char *const never[] = {"city = a",         "city = \"\"",      "city in (a)",
                                        "city ~ *",         "props.n < 1",      "props.n >= -1",
                                        "day > 2000-01-01", "city is not empty"};
    static const char *const always[] = {"city != a", "city not in (a)", "city !~ *",
                                         "city is empty", "city != \"\""};

    (void)state;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        holds(never[i], NULL, false);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        holds(always[i], NULL, true);
    holds("props.gift is empty", "false", false);
    holds("props.n is empty", "0", false);
}

static void numbers_and_times(void **state)
{
    (void)state;
    holds("props.n < 10", "9", true);
    holds("props.n < 10", "9.999999999", true);
    holds("props.n < 10", "10", false);
    holds("props.n > 1000", "239.3", false); /* PostHog/posthog#33043 */
    holds("props.n <= 10", "1e1", true);
    holds("props.n <= 10", "10.00", true);
    holds("props.n > 0.1", "0.100000001", true);
    holds("props.n >= -5", "-5.0", true);
    holds("props.n > 5", "abc", false); /* no number: no comparison holds */
    holds("props.n <= 5", "abc", false);
    holds("props.n < 5", "", false);
    holds("props.n < 5", " 1", false);
    holds("props.n < 1e17", "1e18", false); /* too many digits, as in sum: */
    holds("props.n > 1e17", "1e18", false);
    holds("engaged_ms >= 1000", "1000", true);
    holds("engaged_ms < 1e3", "999", true);
    holds("weekday >= 6", "7", true);
    holds("weekday >= 6", "5", false);
    holds("hour_of_day < 9", "10", false); /* as numbers, not as texts */
    holds("hour_of_day < 24", "23", true);
    holds("day >= 2026-11-29", "2026-11-29", true);
    holds("day < 2026-11-29", "2026-11-28", true);
    holds("day < 2026-11-29", "2026-11-29", false);
    holds("day < 2026-11-29 12:00", "2026-11-29", true);
    holds("day > 2026-11-29 12:00", "2026-11-29", false);
    holds("month <= 2026-11-15", "2026-11-01", true);
    holds("month > 2026-11-15", "2026-11-01", false);
    holds("hour >= 2026-11-29", "2026-11-29 00:00:00", true);
    holds("hour < 2026-11-29", "2026-11-28 23:00:00", true);
    holds("hour <= 2026-11-29 14:30", "2026-11-29 14:00:00", true);
    holds("hour > 2026-11-29 14:30", "2026-11-29 15:00:00", true);
    holds("day = 2026-11-29", "2026-11-29", true);
    holds("day in (2026-11-29, 2026-11-30)", "2026-11-30", true);
}

typedef struct mistake {
    const char *text, *message;
} mistake_t;

static void assert_wrong(const mistake_t *mistakes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cm_condition_t condition;
        cm_err_t err = {0};
        assert_int_equal(CM_EUSAGE, cm_condition_parse(mistakes[i].text, &arena, &condition, &err));
        assert_string_equal(mistakes[i].message, err.text);
    }
}

#define ASSERT_WRONG(mistakes) assert_wrong(mistakes, sizeof(mistakes) / sizeof *(mistakes))

#define OPERATORS "=, !=, <, <=, >, >=, ~, !~, in (a, b), not in (a, b), is empty, is not empty"

static void wrong_names(void **state)
{
    static const mistake_t mistakes[] = {
        {"contry = DE",
         "the condition \"contry = DE\": there is no dimension \"contry\"; did you mean country?"},
        {"Country = DE", "the condition \"Country = DE\": there is no dimension \"Country\"; did "
                         "you mean country?"},
        {"prop.plan = a", "the condition \"prop.plan = a\": there is no dimension \"prop.plan\"; "
                          "did you mean props.KEY?"},
        {"clicks > 5",
         "the condition \"clicks > 5\": there is no dimension \"clicks\": it is a measure"},
        {"props. = 1", "the condition \"props. = 1\": the key of the property is missing: write "
                       "props.KEY, or props.\"KEY\" when it has blanks, commas or other signs"},
        {"props.\"a = 1",
         "the condition \"props.\"a = 1\": the quote behind props.\"a = 1 is missing"},
        {"a\xff = 1", "a condition is not UTF-8 text"},
    };

    (void)state;
    ASSERT_WRONG(mistakes);
}

static void wrong_operators(void **state)
{
    static const mistake_t mistakes[] = {
        {"country == DE",
         "the condition \"country == DE\": there is no operator \"==\"; did you mean =?"},
        {"country <> DE",
         "the condition \"country <> DE\": there is no operator \"<>\"; did you mean !=?"},
        {"props.n => 1",
         "the condition \"props.n => 1\": there is no operator \"=>\"; did you mean >=?"},
        {"country",
         "the condition \"country\": an operator is missing behind country; there are " OPERATORS},
        {"country contains D", "the condition \"country contains D\": there is no operator "
                               "\"contains\"; there are " OPERATORS},
        {"country is DE",
         "the condition \"country is DE\": there is no operator \"is DE\"; there are " OPERATORS},
        {"country is emty", "the condition \"country is emty\": there is no operator \"is emty\"; "
                            "did you mean is empty?"},
    };

    (void)state;
    ASSERT_WRONG(mistakes);
}

static void wrong_values(void **state)
{
    static const mistake_t mistakes[] = {
        {"country =", "the condition \"country =\": a value is missing; events without a value are "
                      "found by \"is empty\""},
        {"country in (a,)", "the condition \"country in (a,)\": a value is missing; events without "
                            "a value are found by \"is empty\""},
        {"country in ()", "the condition \"country in ()\": a value is missing; events without a "
                          "value are found by \"is empty\""},
        {"country in (a",
         "the condition \"country in (a\": a comma or \")\" is missing behind a value"},
        {"country in a",
         "the condition \"country in a\": behind \"in\" stands a list in parentheses: in (a, b)"},
        {"country in (a) and os = b",
         "the condition \"country in (a) and os = b\": the condition ends before \"and os = b\"; "
         "each condition is given by itself, and all must hold"},
        {"country is empty x", "the condition \"country is empty x\": the condition ends before "
                               "\"x\"; each condition is given by itself, and all must hold"},
        {"country = \"a\" b", "the condition \"country = \"a\" b\": the condition ends before "
                              "\"b\"; each condition is given by itself, and all must hold"},
        {"country = \"a", "the condition \"country = \"a\": the quote behind a value is missing; a "
                          "quote within a value in quotes is written \"\""},
    };

    (void)state;
    ASSERT_WRONG(mistakes);
}

static void wrong_times_and_numbers(void **state)
{
    static const mistake_t mistakes[] = {
        {"country < DE",
         "the condition \"country < DE\": country is text; <, <=, > and >= compare numbers "
         "(props.KEY, engaged_ms) and times (hour, day, week, month, weekday, hour_of_day)"},
        {"props.n > abc", "the condition \"props.n > abc\": \"abc\" is no number; it has digits, a "
                          "point and an exponent, at most 18 digits before and 9 behind the point"},
        {"day = monday", "the condition \"day = monday\": \"monday\" is no time; day is compared "
                         "with a date and time in the zone, 2026-11-29 or 2026-11-29 14:00:00"},
        {"day > 2026-02-30",
         "the condition \"day > 2026-02-30\": \"2026-02-30\" is no time; day is compared with a "
         "date and time in the zone, 2026-11-29 or 2026-11-29 14:00:00"},
        {"week = 2026-11-25",
         "the condition \"week = 2026-11-25\": no week begins at 2026-11-25; write 2026-11-23"},
        {"month = 2026-11-25",
         "the condition \"month = 2026-11-25\": no month begins at 2026-11-25; write 2026-11-01"},
        {"hour = 2026-11-25 14:30", "the condition \"hour = 2026-11-25 14:30\": no hour begins at "
                                    "2026-11-25 14:30; write 2026-11-25 14:00:00"},
        {"weekday = 0",
         "the condition \"weekday = 0\": weekday is a whole number from 1 to 7; 1 is Monday"},
        {"hour_of_day = 24",
         "the condition \"hour_of_day = 24\": hour_of_day is a whole number from 0 to 23"},
    };

    (void)state;
    ASSERT_WRONG(mistakes);
}

static int end(void **state)
{
    (void)state;
    cm_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_it_is_written),
        cmocka_unit_test(values),
        cmocka_unit_test(texts),
        cmocka_unit_test(absent_values),
        cmocka_unit_test(numbers_and_times),
        cmocka_unit_test(wrong_names),
        cmocka_unit_test(wrong_operators),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(wrong_times_and_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
