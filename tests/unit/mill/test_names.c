/* Lists of dimensions and measures, and what messages say about a name that is wrong. */
#include "mill/names.h"

#include "support.h"

typedef struct list {
    const char *text, *expected;
} list_t;

static void add_name(cm_buf_t *names, cm_str_t name)
{
    cm_buf_add_text(names, names->len > 0 ? "|" : "");
    cm_buf_add_str(names, name);
}

static void dims(void **state)
{
    static const list_t lists[] = {
        {"", ""},
        {"  ", ""},
        {"browser", "browser"},
        {" browser ,country,\tday ", "browser|country|day"},
        {"props.plan", "props.plan"},
        {"props.\"a,b\",url", "props.\"a,b\"|url"},
        {"props.\"plan\"", "props.plan"},
        {"props.\"a \"\"b\"", "props.\"a \"\"b\""},
        {"props.order.total, props.url", "props.order.total|props.url"},
        {"props.a,props.b", "props.a|props.b"},
        {"url,path,host,country,region,city,browser,browser_version",
         "url|path|host|country|region|city|browser|browser_version"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cm_question_t question = {.dim_count = 0};
        cm_buf_t names = CM_BUF_INIT;
        cm_err_t err;
        assert_ok(cm_dim_list(cm_str(lists[i].text), "--by", &question, &err), err);
        cm_buf_add_text(&names, "");
        for (size_t d = 0; d < question.dim_count; d++)
            add_name(&names, question.dims[d].name);
        assert_string_equal(lists[i].expected, names.data ? names.data : "");
        cm_buf_free(&names);
        cm_question_free(&question);
    }
}

/* Every name of a facet is read as that facet. */
static void all_facets(void **state)
{
    cm_err_t err;

    (void)state;
    for (int f = 0; f < CM_FACET_COUNT; f++) {
        cm_arena_t arena = CM_ARENA_INIT;
        cm_str_t rest = cm_str(cm_facet_names[f]);
        cm_dim_t dim;
        assert_ok(cm_dim_take(&rest, true, "--by", &arena, &dim, &err), err);
        assert_int_equal(f, dim.facet);
        assert_int_equal(0, rest.len);
        assert_true(cm_str_equal(cm_str(cm_facet_names[f]), dim.name));
        cm_arena_free(&arena);
    }
    assert_null(cm_facet_names[CM_FACET_COUNT]);
    assert_string_equal("utm_content", cm_facet_names[CM_FACET_UTM_CONTENT]);
    assert_string_equal("hour_of_day", cm_facet_names[CM_FACET_HOUR_OF_DAY]);
    assert_string_equal("first_utm_campaign", cm_facet_names[CM_FACET_FIRST_UTM_CAMPAIGN]);
}

#define FACETS                                                                                     \
    "url, path, host, country, region, city, browser, browser_version, os, os_version, device, "   \
    "language, name, referrer, props.KEY, source, channel, utm_source, utm_medium, utm_campaign, " \
    "utm_term, utm_content, entry_page, exit_page, first_source, first_channel, "                  \
    "first_utm_campaign, hour, day, week, month, weekday, hour_of_day, engaged_ms"

static void wrong_dims(void **state)
{
    static const list_t lists[] = {
        {"contry", "--by: there is no dimension \"contry\"; did you mean country?"},
        {"URL", "--by: there is no dimension \"URL\"; did you mean url?"},
        {"OS", "--by: there is no dimension \"OS\"; did you mean os?"},
        {"utm-source", "--by: there is no dimension \"utm-source\"; did you mean utm_source?"},
        {"landing", "--by: there is no dimension \"landing\"; there are " FACETS},
        {"clicks", "--by: there is no dimension \"clicks\": it is a measure"},
        {"property.plan", "--by: there is no dimension \"property.plan\"; there are " FACETS},
        {"prop.plan", "--by: there is no dimension \"prop.plan\"; did you mean props.KEY?"},
        {"props", "--by: there is no dimension \"props\"; did you mean props.KEY?"},
        {"url,,day", "--by: the name of a dimension is missing; there are " FACETS},
        {"url,", "--by: the name of a dimension is missing; there are " FACETS},
        {"url day",
         "--by: a comma or the end is expected behind url, not \"day\"; a key with blanks or signs "
         "is written in quotes: props.\"a b\""},
        {"props.a b",
         "--by: a comma or the end is expected behind props.a, not \"b\"; a key with blanks or "
         "signs is written in quotes: props.\"a b\""},
        {"url,day,url", "--by: url is named twice"},
        {"props.a,props.\"a\"", "--by: props.a is named twice"},
        {"engaged_ms", "--by: engaged_ms is for conditions only; the measures engaged_ms_sum, "
                       "engaged_count and average_engaged_ms count it"},
        {"url,path,host,country,region,city,os,device,name",
         "--by: a question has at most 8 dimensions"},
        {"props.12345678901234567890123456789012345678901234567890123456789012345",
         "--by: the key of a property has at most 64 bytes, and "
         "\"123456789012345678901234567890123456789012345678901234567890...\" has 65"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cm_question_t question = {.dim_count = 0};
        cm_err_t err = {0};
        assert_int_equal(CM_EUSAGE, cm_dim_list(cm_str(lists[i].text), "--by", &question, &err));
        assert_string_equal(lists[i].expected, err.text);
        cm_question_free(&question);
    }
}

#define MEASURES                                                                                   \
    "clicks, unique_user_count, time_spent_sum, time_spent_count, average_time_spent, "            \
    "time_on_page_sum, time_on_page_count, average_time_on_page, entrances, exits, events, "       \
    "event_user_count, visits, views_per_visit, bounces, bounce_rate, visit_duration_sum, "        \
    "average_visit_duration, engaged_ms_sum, engaged_count, average_engaged_ms, new_user_count"

static void measures(void **state)
{
    static const list_t lists[] = {
        {"clicks", "clicks"},
        {" clicks , visits", "clicks|visits"},
        {"sum:props.value,average:props.value", "sum:props.value|average:props.value"},
        {"count:props.\"a,b\",left_out:props.\"x\"", "count:props.\"a,b\"|left_out:props.x"},
        {"visits,all,sum:props.v",
         "visits|clicks|unique_user_count|time_spent_sum|time_spent_count|average_time_spent|"
         "time_on_page_sum|time_on_page_count|average_time_on_page|entrances|exits|events|"
         "event_user_count|views_per_visit|bounces|bounce_rate|visit_duration_sum|"
         "average_visit_duration|engaged_ms_sum|engaged_count|average_engaged_ms|new_user_count|"
         "sum:props.v"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cm_question_t question = {.dim_count = 0};
        cm_buf_t names = CM_BUF_INIT;
        cm_err_t err;
        assert_ok(cm_measure_list(cm_str(lists[i].text), "--measures", &question, &err), err);
        for (size_t m = 0; m < question.measure_count; m++)
            add_name(&names, question.measures[m].name);
        assert_string_equal(lists[i].expected, names.data);
        cm_buf_free(&names);
        cm_question_free(&question);
    }
}

static void what_measures_need(void **state)
{
    static const struct {
        const char *name;
        cm_counter_t counter, divisor;
    } quotients[] = {
        {"average_time_spent", CM_COUNTER_TIME_SPENT_SUM, CM_COUNTER_TIME_SPENT_COUNT},
        {"average_time_on_page", CM_COUNTER_TIME_ON_PAGE_SUM, CM_COUNTER_TIME_ON_PAGE_COUNT},
        {"views_per_visit", CM_COUNTER_CLICKS, CM_COUNTER_VISITS},
        {"bounce_rate", CM_COUNTER_BOUNCES, CM_COUNTER_ENTRANCES},
        {"average_visit_duration", CM_COUNTER_VISIT_DURATION_SUM, CM_COUNTER_ENTRANCES},
        {"average_engaged_ms", CM_COUNTER_ENGAGED_MS_SUM, CM_COUNTER_ENGAGED_COUNT},
    };
    cm_question_t question;
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof quotients / sizeof *quotients; i++) {
        question = (cm_question_t){.dim_count = 0};
        assert_ok(cm_measure_list(cm_str(quotients[i].name), "", &question, &err), err);
        assert_int_equal(CM_MEASURE_QUOTIENT, question.measures[0].kind);
        assert_int_equal(quotients[i].counter, question.measures[0].counter);
        assert_int_equal(quotients[i].divisor, question.measures[0].divisor);
        assert_int_equal(1 << quotients[i].counter | 1 << quotients[i].divisor, question.counters);
        cm_question_free(&question);
    }
    question = (cm_question_t){.dim_count = 0};
    assert_ok(cm_measure_list(CM_STR("all"), "", &question, &err), err);
    assert_int_equal((1 << CM_COUNTER_COUNT) - 1, question.counters);
    cm_question_free(&question);
    question = (cm_question_t){.dim_count = 0};
    assert_ok(cm_measure_list(CM_STR("sum:props.b,new_user_count,left_out:props.a,average:props.b,"
                                     "count:props.\"a\""),
                              "", &question, &err),
              err);
    assert_int_equal(2, question.prop_count);
    assert_true(cm_str_equal(CM_STR("b"), question.props[0]));
    assert_true(cm_str_equal(CM_STR("a"), question.props[1]));
    assert_int_equal(1 << CM_COUNTER_NEW_USERS, question.counters);
    static const cm_measure_kind_t kinds[] = {CM_MEASURE_PROP_SUM, CM_MEASURE_COUNTER,
                                              CM_MEASURE_PROP_LEFT_OUT, CM_MEASURE_PROP_AVERAGE,
                                              CM_MEASURE_PROP_COUNT};
    static const size_t places[] = {0, 0, 1, 0, 1};
    for (size_t m = 0; m < 5; m++) {
        assert_int_equal(kinds[m], question.measures[m].kind);
        assert_int_equal(places[m], question.measures[m].prop);
    }
    cm_question_free(&question);
}

static void wrong_measures(void **state)
{
    static const list_t lists[] = {
        {"click", "--measures: there is no measure \"click\"; did you mean clicks?"},
        {"bounces_rate", "--measures: there is no measure \"bounces_rate\"; did you mean "
                         "bounce_rate?"},
        {"country", "--measures: there is no measure \"country\": it is a dimension"},
        {"users", "--measures: there is no measure \"users\"; there are " MEASURES
                  ", and sum:, count:, average:, left_out: with props.KEY behind"},
        {"", "--measures: the name of a measure is missing; there are " MEASURES
             ", and sum:, count:, average:, left_out: with props.KEY behind"},
        {"avrage:props.v", "--measures: there is no measure \"avrage\"; did you mean average?"},
        {"sum:value", "--measures: behind sum: stands a property: sum:props.KEY"},
        {"sum:props.", "--measures: the key of the property is missing: write props.KEY, or "
                       "props.\"KEY\" when it has blanks, commas or other signs"},
        {"clicks,clicks", "--measures: clicks is named twice"},
        {"sum:props.a,sum:props.\"a\"", "--measures: sum:props.a is named twice"},
        {"clicks visits",
         "--measures: a comma or the end is expected behind clicks, not \"visits\"; a key with "
         "blanks or signs is written in quotes: props.\"a b\""},
        {"sum:props.1,sum:props.2,sum:props.3,sum:props.4,sum:props.5,sum:props.6,sum:props.7,"
         "sum:props.8,sum:props.9,sum:props.10,sum:props.11,sum:props.12,sum:props.13,sum:props.14,"
         "sum:props.15,sum:props.16,sum:props.17",
         "--measures: a question adds up at most 16 properties"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cm_question_t question = {.dim_count = 0};
        cm_err_t err = {0};
        assert_int_equal(CM_EUSAGE,
                         cm_measure_list(cm_str(lists[i].text), "--measures", &question, &err));
        assert_string_equal(lists[i].expected, err.text);
        cm_question_free(&question);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dims),
        cmocka_unit_test(all_facets),
        cmocka_unit_test(wrong_dims),
        cmocka_unit_test(measures),
        cmocka_unit_test(what_measures_need),
        cmocka_unit_test(wrong_measures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
