/* Whole questions: what is taken when nothing is given, steps, order, limits, and what goes with
 * what. */
#include "mill/question.h"

#include "base/clock.h"
#include "support.h"

static cm_question_t parse(cm_question_text_t text)
{
    cm_question_t question;
    cm_err_t err;

    assert_ok(cm_question_parse(&text, &question, &err), err);
    return question;
}

static void assert_wrong(cm_question_text_t text, const char *message)
{
    cm_question_t question;
    cm_err_t err = {0};

    assert_int_equal(CM_EUSAGE, cm_question_parse(&text, &question, &err));
    assert_string_equal(message, err.text);
    cm_question_free(&question);
}

static void nothing_given(void **state)
{
    cm_question_t question = parse((cm_question_text_t){.by = ""});

    (void)state;
    assert_int_equal(0, question.dim_count);
    assert_int_equal(4, question.measure_count);
    assert_true(cm_str_equal(CM_STR("unique_user_count"), question.measures[0].name));
    assert_true(cm_str_equal(CM_STR("visits"), question.measures[1].name));
    assert_true(cm_str_equal(CM_STR("clicks"), question.measures[2].name));
    assert_true(cm_str_equal(CM_STR("events"), question.measures[3].name));
    assert_int_equal(1 << CM_COUNTER_USERS | 1 << CM_COUNTER_VISITS | 1 << CM_COUNTER_CLICKS |
                         1 << CM_COUNTER_EVENTS,
                     question.counters);
    assert_true(question.span.from == INT64_MIN && question.span.to == INT64_MAX);
    assert_true(cm_str_equal(CM_STR("UTC"), question.zone_name));
    assert_false(question.stepped || question.sort_is_dim || question.reverse);
    assert_int_equal(0, question.sort);
    assert_int_equal(CM_COMPARE_NONE, question.compare);
    assert_int_equal(0, question.where_count + question.where_visit_count +
                            question.where_user_count + question.limit + question.offset);
    cm_question_free(&question);
}

static void everything_given(void **state)
{
    static const char *const where[] = {"country = DE", "url ~ */shop/*", NULL};
    static const char *const visit[] = {"entry_page = /", NULL};
    static const char *const user[] = {"name = purchase", "props.value > 10", "os is empty", NULL};
    int64_t now;

    (void)state;
    assert_true(cm_time_parse(CM_STR("2026-12-01T08:00:00Z"), &now));
    cm_question_t question = parse((cm_question_text_t){.by = "browser,props.plan",
                                                        .measures = "clicks,sum:props.value",
                                                        .from = "-7d",
                                                        .to = "today",
                                                        .step = "day",
                                                        .zone = "Europe/Berlin",
                                                        .compare = "previous",
                                                        .sort = "-sum:props.value",
                                                        .where = where,
                                                        .where_visit = visit,
                                                        .where_user = user,
                                                        .limit = 10,
                                                        .offset = 5,
                                                        .now = now});
    assert_int_equal(2, question.dim_count);
    assert_int_equal(CM_FACET_PROP, question.dims[1].facet);
    assert_true(question.stepped);
    assert_int_equal(CM_FACET_DAY, question.step);
    assert_int_equal(INT64_C(1763938800000) + INT64_C(365) * CM_DAY_MS, question.span.from);
    assert_int_equal(7 * CM_DAY_MS, question.span.to - question.span.from);
    assert_int_equal(question.span.from, question.before.to);
    assert_int_equal(7 * CM_DAY_MS, question.before.to - question.before.from);
    assert_int_equal(2, question.where_count);
    assert_int_equal(1, question.where_visit_count);
    assert_int_equal(3, question.where_user_count);
    assert_int_equal(CM_OP_LIKE, question.where[1].op);
    assert_int_equal(CM_FACET_ENTRY_PAGE, question.where_visit[0].dim.facet);
    assert_int_equal(CM_OP_EMPTY, question.where_user[2].op);
    assert_true(cm_str_equal(CM_STR("url ~ */shop/*"), question.where[1].text));
    assert_false(question.sort_is_dim);
    assert_int_equal(1, question.sort);
    assert_true(question.reverse);
    assert_int_equal(10, question.limit);
    assert_int_equal(5, question.offset);
    cm_question_free(&question);
}

/* The question owns its strings. */
static void owned_strings(void **state)
{
    char by[] = "props.plan", measures[] = "sum:props.value", condition[] = "city = Berlin";
    const char *const where[] = {condition, NULL};
    cm_question_t question =
        parse((cm_question_text_t){.by = by, .measures = measures, .where = where});

    (void)state;
    memset(by, 'x', sizeof by - 1);
    memset(measures, 'x', sizeof measures - 1);
    memset(condition, 'x', sizeof condition - 1);
    assert_true(cm_str_equal(CM_STR("props.plan"), question.dims[0].name));
    assert_true(cm_str_equal(CM_STR("plan"), question.dims[0].key));
    assert_true(cm_str_equal(CM_STR("sum:props.value"), question.measures[0].name));
    assert_true(cm_str_equal(CM_STR("value"), question.props[0]));
    assert_true(cm_str_equal(CM_STR("Berlin"), question.where[0].values[0]));
    assert_true(cm_str_equal(CM_STR("city = Berlin"), question.where[0].text));
    cm_question_free(&question);
}

static void order(void **state)
{
    static const struct {
        const char *sort;
        bool reverse, is_dim;
        size_t column;
        bool reversed;
    } cases[] = {
        {NULL, false, false, 0, false},
        {NULL, true, false, 0, true},
        {"clicks", false, false, 1, false},
        {"-clicks", false, false, 1, true},
        {"clicks", true, false, 1, true},
        {" country ", false, true, 0, false},
        {"-country", false, true, 0, true},
        {"props.\"a\"", false, true, 1, false},
        {"sum:props.\"b\"", false, false, 2, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_question_t question = parse((cm_question_text_t){.by = "country,props.a",
                                                            .measures = "visits,clicks,sum:props.b",
                                                            .sort = cases[i].sort,
                                                            .reverse = cases[i].reverse});
        assert_int_equal(cases[i].is_dim, question.sort_is_dim);
        assert_int_equal(cases[i].column, question.sort);
        assert_int_equal(cases[i].reversed, question.reverse);
        cm_question_free(&question);
    }
}

static void wrong(void **state)
{
    static const char *const bad[] = {"country = DE", "contry = DE", NULL};
    static const char *many[66];

    (void)state;
    assert_wrong((cm_question_text_t){.by = "contry"},
                 "--by: there is no dimension \"contry\"; did you mean country?");
    assert_wrong((cm_question_text_t){.by = "contry", .parameters = true},
                 "by: there is no dimension \"contry\"; did you mean country?");
    assert_wrong((cm_question_text_t){.measures = "clics"},
                 "--measures: there is no measure \"clics\"; did you mean clicks?");
    assert_wrong((cm_question_text_t){.step = "days"},
                 "--step: there is no step \"days\"; did you mean day?");
    assert_wrong((cm_question_text_t){.step = "minute"},
                 "--step: there is no step \"minute\"; there are hour, day, week and month");
    assert_wrong((cm_question_text_t){.by = "country,day", .step = "day"},
                 "--step day puts day in front; leave it out of --by");
    assert_wrong((cm_question_text_t){.where = bad},
                 "the condition \"contry = DE\": there is no dimension \"contry\"; did you mean "
                 "country?");
    assert_wrong((cm_question_text_t){.zone = "Berlin"},
                 "--tz: there is no time zone \"Berlin\" in /usr/share/zoneinfo/; give a name such "
                 "as Europe/Berlin, or install the package tzdata");
    assert_wrong((cm_question_text_t){.zone = "Berlin", .parameters = true},
                 "tz: there is no time zone \"Berlin\" in /usr/share/zoneinfo/; give a name such "
                 "as Europe/Berlin, or install the package tzdata");
    assert_wrong((cm_question_text_t){.by = "country", .measures = "clicks", .sort = "contry"},
                 "--sort: there is no column \"contry\"; did you mean country?");
    assert_wrong((cm_question_text_t){.by = "country", .measures = "clicks", .sort = "revenue"},
                 "--sort: there is no column \"revenue\"; name a dimension or a measure of the "
                 "question");
    assert_wrong((cm_question_text_t){.by = "country", .sort = "bounces"},
                 "--sort: bounces is not in the answer; add it to --measures");
    assert_wrong((cm_question_text_t){.by = "country", .sort = "city", .parameters = true},
                 "sort: city is not in the answer; add it to by");
    assert_wrong((cm_question_text_t){.by = "country", .step = "day", .sort = "day"},
                 "--sort: steps are always in the order of time; --sort orders groups");
    assert_wrong((cm_question_text_t){.by = "country", .sort = "clicks_change"},
                 "--sort: groups are put in order by values of the span itself, not by "
                 "\"clicks_change\"");
    assert_wrong((cm_question_text_t){.limit = -1},
                 "--limit is -1, and a number of rows is not below 0");
    assert_wrong((cm_question_text_t){.offset = -2},
                 "--offset is -2, and a number of rows is not below 0");
    assert_wrong((cm_question_text_t){.by = "url\xff"}, "--by is not UTF-8 text");
    assert_wrong((cm_question_text_t){.from = "\xff"}, "--from is not UTF-8 text");
    for (size_t i = 0; i < 65; i++)
        many[i] = "country = DE";
    assert_wrong((cm_question_text_t){.where = many},
                 "a question has at most 64 conditions; \"in (a, b)\" is one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given), cmocka_unit_test(everything_given),
        cmocka_unit_test(owned_strings), cmocka_unit_test(order),
        cmocka_unit_test(wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
