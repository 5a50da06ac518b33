/* Reports of eleven events: order, limit, steps, comparison, notes, CSV and JSON, byte by byte. */
#include "event_parser.h"
#include "store_support.h"

#include "mill/report.h"
#include "store/readers.h"

/* Two days in UTC; the clock of Berlin goes forward between them: 02:00 on 29 March is skipped. */
static const char *const events[] = {
    "{'user_id':'u1','timestamp':'2026-03-28T10:00:00Z','url':'https://s.example/a','country':"
    "'Peru','browser':'Firefox'}",
    "{'user_id':'u1','timestamp':'2026-03-28T10:01:00Z','url':'https://s.example/b','country':"
    "'Peru','browser':'Firefox'}",
    "{'user_id':'u2','timestamp':'2026-03-28T10:02:00Z','url':'https://s.example/a','country':"
    "'=Chad','browser':'Chrome','utm_source':'mail'}",
    "{'user_id':'u2','timestamp':'2026-03-28T10:03:00Z','url':'https://s.example/a','country':"
    "'=Chad','name':'buy','props':{'value':0.1,'plan':'a,b'}}",
    "{'user_id':'u3','timestamp':'2026-03-29T00:30:00Z','url':'https://s.example/a','country':"
    "'Peru'}",
    "{'user_id':'u3','timestamp':'2026-03-29T01:30:00Z','url':'https://s.example/a','country':"
    "'Italy','name':'buy','props':{'value':'0.20'}}",
    "{'user_id':'u3','timestamp':'2026-03-29T01:30:01Z','url':'https://s.example/a','country':"
    "'Italy','name':'buy','props':{'value':'none'}}",
};

typedef struct world {
    char *directory;
    cm_store_t *store;
    cm_readers_t readers;
    cm_timelines_t *timelines;
    cm_attribution_rules_t *rules;
} world_t;

static void put_events(cm_store_t *store)
{
    cm_batch_t batch = CM_BATCH_INIT;
    void *state;

    assert_int_equal(event_parser_set_up(&state), 0);
    event_parser_t *parser = state;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        char *text = strdup(events[i]);
        for (char *c = text; *c != '\0'; c++)
            *c = *c == '\'' ? '"' : *c;
        assert_ok(event_parser_parse(parser, cm_str(text)), parser->err);
        *cm_batch_slot(&batch) = parser->event;
        cm_batch_accept(&batch);
        test_put(store, &batch);
        cm_batch_clear(&batch);
        free(text);
    }
    test_commit(store);
    cm_batch_free(&batch);
    event_parser_tear_down(&state);
}

static int open_world(void **state)
{
    static world_t world;
    cm_err_t err;

    world = (world_t){.directory = test_directory()};
    world.store = test_open(world.directory);
    put_events(world.store);
    assert_ok(cm_readers_open(world.store, 2, &world.readers, &err), err);
    const cm_timelines_options_t options = {
        .threads = 2, .reader = cm_readers_take, .context = &world.readers};
    assert_ok(cm_timelines_open(&options, &world.timelines, &err), err);
    assert_ok(cm_attribution_rules_new(NULL, NULL, &world.rules, &err), err);
    *state = &world;
    return 0;
}

static int close_world(void **state)
{
    world_t *world = *state;

    cm_timelines_close(world->timelines);
    cm_readers_close(&world->readers);
    cm_attribution_rules_free(world->rules);
    cm_store_close(world->store);
    test_remove(world->directory);
    return 0;
}

/* Asks; the caller frees both. */
static int ask(const world_t *world, const cm_question_text_t *text, bool daily,
               cm_question_t *question, cm_report_t *report, cm_err_t *err)
{
    const cm_ask_options_t options = {.timelines = world->timelines,
                                      .rules = world->rules,
                                      .session_timeout = 1800000,
                                      .threads = 2};
    const cm_report_facts_t facts = {.daily_ids = daily};

    assert_ok(cm_question_parse(text, question, err), *err);
    return cm_report_make(&options, &facts, question, report, err);
}

static void add_notes(cm_buf_t *text, const cm_report_t *report)
{
    for (size_t n = 0; n < report->note_count; n++) {
        cm_buf_add_text(text, "# ");
        cm_buf_add_str(text, report->notes[n]);
        cm_buf_add_char(text, '\n');
    }
}

/* The rows as CSV, then the notes. */
static void assert_asked(void **state, bool daily, cm_question_text_t asked, const char *expected)
{
    cm_question_t question;
    cm_report_t report;
    cm_buf_t text = CM_BUF_INIT;
    cm_err_t err;

    assert_ok(ask(*state, &asked, daily, &question, &report, &err), err);
    cm_report_add_csv_header(&text, &report);
    for (size_t r = 0; r < report.count; r++) {
        const cm_report_line_t line = cm_report_line(&report, r);
        cm_report_add_csv(&text, &report, &line, false);
    }
    add_notes(&text, &report);
    assert_string_equal(text.data, expected);
    cm_buf_free(&text);
    cm_report_free(&report);
    cm_question_free(&question);
}

#define ASKED(expected, ...) assert_asked(state, false, (cm_question_text_t){__VA_ARGS__}, expected)

/* ---- order ---- */

static void by_the_first_measure_then_by_text(void **state)
{
    ASKED("country,clicks,events\n"
          "Peru,3,3\n"
          "=Chad,1,2\n"
          "Italy,0,2\n",
          .by = "country", .measures = "clicks,events");
    ASKED("country,events,clicks\n"
          "Peru,3,3\n"
          "=Chad,2,1\n"
          "Italy,2,0\n",
          .by = "country", .measures = "events,clicks");
    ASKED("country,events\n"
          "=Chad,2\n"
          "Italy,2\n"
          "Peru,3\n",
          .by = "country", .measures = "events", .reverse = true);
    ASKED("country,clicks,events\n"
          "Peru,3,3\n"
          "Italy,0,2\n"
          "=Chad,1,2\n",
          .by = "country", .measures = "clicks,events", .sort = "-country");
}

static void absent_is_last_in_both_orders(void **state)
{
    ASKED("country,bounce_rate\n"
          "=Chad,1.0\n"
          "Peru,0.5\n"
          "Italy,\n",
          .by = "country", .measures = "bounce_rate");
    ASKED("country,bounce_rate\n"
          "Peru,0.5\n"
          "=Chad,1.0\n"
          "Italy,\n",
          .by = "country", .measures = "bounce_rate", .reverse = true);
    ASKED("utm_source,events\n"
          "mail,2\n"
          ",5\n",
          .by = "utm_source", .measures = "events", .sort = "utm_source");
    ASKED("utm_source,events\n"
          "mail,2\n"
          ",5\n",
          .by = "utm_source", .measures = "events", .sort = "-utm_source");
}

static void hours_are_in_their_order(void **state)
{
    ASKED("hour_of_day,events\n"
          "0,1\n"
          "1,2\n"
          "10,4\n",
          .by = "hour_of_day", .measures = "events", .sort = "hour_of_day");
}

static void limit_and_offset(void **state)
{
    cm_question_text_t asked = {
        .by = "country", .measures = "events", .limit = 1, .offset = 1, .step = "day"};
    cm_question_t question;
    cm_report_t report;
    cm_err_t err;

    ASKED("country,clicks,events\n"
          "=Chad,1,2\n",
          .by = "country", .measures = "clicks,events", .limit = 1, .offset = 1);
    ASKED("country,events\n", .by = "country", .measures = "events", .limit = 1, .offset = 3);
    ASKED("events\n7\n", .by = "", .measures = "events", .limit = 1, .offset = 3);
    assert_ok(ask(*state, &asked, false, &question, &report, &err), err);
    assert_int_equal(report.groups, 3);
    assert_true(report.more);
    assert_int_equal(report.count, 2);
    cm_report_free(&report);
    cm_question_free(&question);
}

/* ---- steps ---- */

static void every_step_is_listed(void **state)
{
    ASKED("day,events\n"
          "2026-03-27,0\n"
          "2026-03-28,4\n"
          "2026-03-29,3\n"
          "2026-03-30,0\n",
          .by = "", .measures = "events", .step = "day", .from = "2026-03-27", .to = "2026-03-31");
    ASKED("day,country,events\n"
          "2026-03-28,Peru,2\n"
          "2026-03-28,=Chad,2\n"
          "2026-03-29,Peru,1\n"
          "2026-03-29,=Chad,0\n",
          .by = "country", .measures = "events", .step = "day", .limit = 2);
    ASKED("hour,events\n# no events are in this span; the first is at 2026-03-28T10:00:00Z, the "
          "last at 2026-03-29T01:30:01Z\n",
          .by = "", .measures = "events", .step = "hour", .from = "2027-01-01");
}

static void a_skipped_hour_is_no_step(void **state)
{
    ASKED("hour,events\n"
          "2026-03-29 01:00:00,1\n"
          "2026-03-29 03:00:00,2\n"
          "2026-03-29 04:00:00,0\n",
          .by = "", .measures = "events", .step = "hour", .zone = "Europe/Berlin",
          .from = "2026-03-29T00:00:00Z", .to = "2026-03-29T03:00:00Z");
}

static void too_many_rows(void **state)
{
    cm_question_text_t asked = {.by = "country",
                                .measures = "events",
                                .step = "hour",
                                .from = "2023-01-01",
                                .to = "2027-01-01"};
    cm_question_t question;
    cm_report_t report;
    cm_err_t err;

    assert_int_equal(ask(*state, &asked, false, &question, &report, &err), CM_EUSAGE);
    assert_string_equal(err.text, "105192 rows are more than 100000: ask with a longer step, a "
                                  "shorter span or a smaller limit");
    cm_report_free(&report);
    cm_question_free(&question);
    asked.limit = 2;
    assert_ok(ask(*state, &asked, false, &question, &report, &err), err);
    assert_int_equal(report.count, 70128);
    cm_report_free(&report);
    cm_question_free(&question);
    asked.from = "1970-01-01"; /* refused before it is asked */
    assert_int_equal(ask(*state, &asked, false, &question, &report, &err), CM_EUSAGE);
    assert_string_equal(err.text, "499656 rows are more than 100000: ask with a longer step, a "
                                  "shorter span or a smaller limit");
    cm_report_free(&report);
    cm_question_free(&question);
}

/* ---- comparison ---- */

static void groups_of_either_span(void **state)
{
    ASKED("country,events,events_before,events_change,clicks,clicks_before,clicks_change\n"
          "Italy,2,0,,0,0,\n"
          "Peru,1,2,-0.5,1,2,-0.5\n"
          "=Chad,0,2,-1.0,0,1,-1.0\n",
          .by = "country", .measures = "events,clicks", .from = "2026-03-29", .to = "2026-03-30",
          .compare = "previous");
    ASKED("bounce_rate,bounce_rate_before,bounce_rate_change\n1.0,0.5,1.0\n", .by = "",
          .measures = "bounce_rate", .from = "2026-03-29", .to = "2026-03-30",
          .compare = "previous");
}

static void steps_pair_by_position(void **state)
{
    ASKED("day,country,events,events_before,events_change\n"
          "2026-03-29,Peru,1,0,\n"
          "2026-03-29,=Chad,0,0,\n"
          "2026-03-30,Peru,0,2,-1.0\n"
          "2026-03-30,=Chad,0,2,-1.0\n",
          .by = "country", .measures = "events", .from = "2026-03-29", .to = "2026-03-31",
          .compare = "previous", .step = "day",
          .where = (const char *[]){"country != Italy", NULL});
}

static void steps_without_a_pair(void **state)
{
    ASKED("month,events,events_before,events_change\n"
          "2026-03-01,7,0,\n"
          "# the span before has 2 steps, and this one 1: those that have no pair are not shown\n",
          .by = "", .measures = "events", .from = "2026-03-05", .to = "2026-03-31",
          .compare = "previous", .step = "month");
}

/* Two questions that share a walk are answered as each alone. */
static void several_at_once(void **state)
{
    const cm_question_text_t texts[] = {
        {.by = "country", .measures = "events", .step = "day", .limit = 1},
        {.by = "",
         .measures = "clicks",
         .from = "2026-03-29",
         .to = "2026-03-30",
         .compare = "previous"}};
    const world_t *world = *state;
    const cm_ask_options_t options = {
        .timelines = world->timelines, .rules = world->rules, .session_timeout = 1800000};
    const cm_report_facts_t facts = {.daily_ids = false};
    cm_question_t questions[2];
    const cm_question_t *list[] = {&questions[0], &questions[1]};
    cm_report_t reports[2];
    cm_err_t err;

    for (int q = 0; q < 2; q++)
        assert_ok(cm_question_parse(&texts[q], &questions[q], &err), err);
    assert_ok(cm_report_make_all(&options, &facts, list, 2, reports, &err), err);
    assert_int_equal(reports[0].count, 2);
    assert_int_equal(cm_report_line(&reports[0], 0).figures[0].integer, 2);
    assert_int_equal(cm_report_line(&reports[0], 1).figures[0].integer, 1);
    assert_int_equal(reports[1].count, 1);
    assert_int_equal(cm_report_line(&reports[1], 0).figures[CM_REPORT_NOW].integer, 1);
    assert_int_equal(cm_report_line(&reports[1], 0).figures[CM_REPORT_BEFORE].integer, 3);
    for (int q = 0; q < 2; q++) {
        cm_report_free(&reports[q]);
        cm_question_free(&questions[q]);
    }
}

/* ---- properties ---- */

static void sums_are_decimals(void **state)
{
    cm_question_text_t asked = {.by = "country,props.plan",
                                .measures = "sum:props.value,average:props.value"};
    cm_question_t question;
    cm_report_t report;
    cm_buf_t text = CM_BUF_INIT;
    cm_err_t err;

    ASKED("sum:props.value,count:props.value,average:props.value,left_out:props.value\n"
          "0.3,2,0.15,1\n",
          .by = "",
          .measures = "sum:props.value,count:props.value,average:props.value,left_out:props.value");
    assert_ok(ask(*state, &asked, false, &question, &report, &err), err);
    for (size_t r = 0; r < 2; r++) {
        const cm_report_line_t line = cm_report_line(&report, r);
        cm_report_add_json(&text, &report, &line);
        cm_report_add_csv(&text, &report, &line, true);
    }
    cm_report_add_json(&text, &report, &report.total);
    assert_string_equal(text.data,
                        "{\"country\":\"Italy\",\"props.plan\":null,\"sum:props.value\":\"0.2\","
                        "\"average:props.value\":0.2}Italy,,0.2,0.2\n"
                        "{\"country\":\"=Chad\",\"props.plan\":\"a,b\",\"sum:props.value\":\"0.1\","
                        "\"average:props.value\":0.1}'=Chad,\"a,b\",0.1,0.1\n"
                        "{\"sum:props.value\":\"0.3\",\"average:props.value\":0.15}");
    cm_buf_free(&text);
    cm_report_free(&report);
    cm_question_free(&question);
}

/* ---- notes ---- */

static void notes(void **state)
{
    ASKED("region,events\n,7\n# no event has a value for region: a GeoIP database that has it "
          "fills it when events come in (enrich.geoip)\n",
          .by = "region", .measures = "events");
    ASKED("props.plans,events\n,7\n# no event has the property \"plans\"; did you mean \"plan\"?\n",
          .by = "props.plans", .measures = "events");
    ASKED("city,events\nUnknown,7\n# every city is Unknown: a GeoIP database that has it fills it "
          "when events come in (enrich.geoip)\n",
          .by = "city", .measures = "events");
    ASKED("unique_user_count,events,visits\n0,3,0\n# no page view is among the events that match, "
          "and page views alone are counted by unique_user_count, visits: event_user_count and "
          "events are meant\n",
          .by = "", .measures = "unique_user_count,events,visits",
          .where = (const char *[]){"name = buy", NULL});
    ASKED("events\n0\n# no event has the country \"Perus\"; did you mean \"Peru\"?\n", .by = "",
          .measures = "events", .where = (const char *[]){"country = Perus", NULL});
    ASKED("bounce_rate\n\"\"\n", .by = "", .measures = "bounce_rate", .from = "2026-03-28",
          .where = (const char *[]){"country = Peru", "browser = Chrome", NULL});
    ASKED("engaged_count\n0\n# no event has an engaged time: the tracker sends it, access logs do "
          "not have it\n",
          .by = "", .measures = "engaged_count");
}

static void ids_of_one_day(void **state)
{
    static const char daily[] =
        "# users are daily visitors: one who came on three days counts as three, and is new on "
        "each, because ids of visitors live for one UTC day\n";
    char expected[300];

    snprintf(expected, sizeof expected, "new_user_count\n3\n%s", daily);
    assert_asked(state, true, (cm_question_text_t){.by = "", .measures = "new_user_count"},
                 expected);
    snprintf(expected, sizeof expected, "first_source,events\nDirect,5\nmail,2\n%s", daily);
    assert_asked(state, true, (cm_question_text_t){.by = "first_source", .measures = "events"},
                 expected);
    assert_asked(state, true, (cm_question_text_t){.by = "", .measures = "events"}, "events\n7\n");
    assert_asked(
        state, true,
        (cm_question_text_t){.by = "", .measures = "unique_user_count", .from = "2026-03-29"},
        "unique_user_count\n1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_the_first_measure_then_by_text),
        cmocka_unit_test(absent_is_last_in_both_orders),
        cmocka_unit_test(hours_are_in_their_order),
        cmocka_unit_test(limit_and_offset),
        cmocka_unit_test(every_step_is_listed),
        cmocka_unit_test(a_skipped_hour_is_no_step),
        cmocka_unit_test(too_many_rows),
        cmocka_unit_test(groups_of_either_span),
        cmocka_unit_test(steps_pair_by_position),
        cmocka_unit_test(steps_without_a_pair),
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(sums_are_decimals),
        cmocka_unit_test(notes),
        cmocka_unit_test(ids_of_one_day),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
