/* What a report says beside its rows: what the data lack, and what a measure cannot count. */
#include "base/lookup.h"
#include "base/nearest.h"
#include "event/props.h"
#include "mill/report_inside.h"

#include <stdlib.h>

enum {
    NAMES_MOST = 20000, /* that are compared to find the nearest */
    SHOWN_BYTES = 80,   /* of a name */
};

typedef struct noting {
    cm_report_t *report;
    const cm_question_t *question;
    cm_timelines_t *timelines;
    cm_group_t total;
    size_t cap;
    cm_buf_t text; /* of the next note */
} noting_t;

static void say(noting_t *self)
{
    cm_report_t *report = self->report;
    const cm_str_t note =
        cm_arena_copy(&report->arena, (cm_str_t){self->text.data, self->text.len});

    cm_buf_clear(&self->text);
    for (size_t n = 0; n < report->note_count; n++) {
        if (cm_str_equal(report->notes[n], note))
            return;
    }
    if (report->note_count == self->cap) {
        self->cap = self->cap > 0 ? 2 * self->cap : 8;
        cm_str_t *notes = cm_arena_alloc(&report->arena, self->cap * sizeof *notes);
        if (report->note_count > 0)
            memcpy(notes, report->notes, report->note_count * sizeof *notes);
        report->notes = notes;
    }
    report->notes[report->note_count++] = note;
}

static void add_shown(cm_buf_t *text, cm_str_t name)
{
    cm_buf_add(text, name.data, (size_t)cm_utf8_head(name, SHOWN_BYTES));
}

/* ---- measures ---- */

/* Counters that other events than page views add to. */
enum { OF_ALL_EVENTS = 1U << CM_COUNTER_EVENTS | 1U << CM_COUNTER_EVENT_USERS };

static bool counts_views(const cm_measure_t *measure)
{
    return (measure->kind == CM_MEASURE_COUNTER || measure->kind == CM_MEASURE_QUOTIENT) &&
           (OF_ALL_EVENTS & 1U << measure->counter) == 0;
}

static bool counts_users(const cm_measure_t *measure)
{
    return measure->kind == CM_MEASURE_COUNTER &&
           (measure->counter == CM_COUNTER_USERS || measure->counter == CM_COUNTER_EVENT_USERS ||
            measure->counter == CM_COUNTER_NEW_USERS);
}

/* Page views are asked for, and only other events match. */
static void note_no_views(noting_t *self)
{
    const cm_question_t *question = self->question;
    cm_buf_t names = CM_BUF_INIT;
    bool users = false, others = false;

    if (self->total.counters[CM_COUNTER_CLICKS] > 0 || self->total.counters[CM_COUNTER_EVENTS] == 0)
        return;
    for (size_t m = 0; m < question->measure_count; m++) {
        const cm_measure_t *measure = &question->measures[m];
        if (!counts_views(measure))
            continue;
        cm_buf_add_text(&names, names.len > 0 ? ", " : "");
        cm_buf_add_str(&names, measure->name);
        users |= counts_users(measure);
        others |= !counts_users(measure);
    }
    if (names.len > 0) {
        cm_buf_printf(&self->text,
                      "no page view is among the events that match, and page views alone are "
                      "counted by %s: %s meant",
                      names.data,
                      users && others ? "event_user_count and events are"
                      : users         ? "event_user_count is"
                                      : "events is");
        say(self);
    }
    cm_buf_free(&names);
}

static int note_engagement(noting_t *self, cm_err_t *err)
{
    const cm_question_t *question = self->question;
    const uint32_t engaged = 1U << CM_COUNTER_ENGAGED_MS_SUM | 1U << CM_COUNTER_ENGAGED_COUNT;

    if ((question->counters & engaged) == 0 || self->total.counters[CM_COUNTER_ENGAGED_COUNT] > 0)
        return 0;
    int rc = cm_timelines_need(self->timelines, CM_COLUMN_NAME, err);
    if (rc < 0)
        return rc;
    const uint32_t count = cm_timelines_value_count(self->timelines, CM_COLUMN_NAME);
    for (uint32_t v = 1; v < count; v++) {
        if (cm_str_equal(cm_timelines_string(self->timelines, CM_COLUMN_NAME, v),
                         CM_STR("engagement")))
            return 0;
    }
    cm_buf_add_text(&self->text, "no event has an engaged time: the tracker sends it, access logs "
                                 "do not have it");
    say(self);
    return 0;
}

/* ---- ids of one day ---- */

static bool asks_for_users(const cm_question_t *question)
{
    bool asks = question->where_user_count > 0;

    for (size_t m = 0; m < question->measure_count; m++)
        asks |= counts_users(&question->measures[m]);
    for (size_t d = 0; d < question->dim_count; d++)
        asks |= cm_facet_is_of_user(question->dims[d].facet);
    for (size_t c = 0; c < question->where_count; c++)
        asks |= cm_facet_is_of_user(question->where[c].dim.facet);
    for (size_t c = 0; c < question->where_visit_count; c++)
        asks |= cm_facet_is_of_user(question->where_visit[c].dim.facet);
    return asks;
}

/* The span, as far as there are events in the store, has more than one UTC day. */
static bool has_days(const noting_t *self)
{
    const cm_span_t span = self->question->span;
    int64_t first, last;

    if (!cm_timelines_times(self->timelines, &first, &last))
        return false;
    first = first < span.from ? span.from : first;
    last = last >= span.to ? span.to - 1 : last;
    return first <= last && first / CM_DAY_MS < last / CM_DAY_MS;
}

static void note_daily(noting_t *self, const cm_report_facts_t *facts)
{
    if (!facts->daily_ids || !asks_for_users(self->question) || !has_days(self))
        return;
    cm_buf_add_text(&self->text,
                    "users are daily visitors: one who came on three days counts as three, and is "
                    "new on each, because ids of visitors live for one UTC day");
    say(self);
}

/* ---- dimensions ---- */

typedef struct lack {
    cm_facet_t facet;
    cm_timelines_column_t column;
    const char *why;
} lack_t;

static const char by_place[] =
    "a GeoIP database that has it fills it when events come in (enrich.geoip)";
static const char by_agent[] = "it is found in user agents, which access logs and the tracker have";
static const char by_campaign[] = "it comes from utm_ parameters of URLs";

static const lack_t lacks[] = {
    {CM_FACET_COUNTRY, CM_COLUMN_COUNTRY, by_place},
    {CM_FACET_REGION, CM_COLUMN_REGION, by_place},
    {CM_FACET_CITY, CM_COLUMN_CITY, by_place},
    {CM_FACET_BROWSER, CM_COLUMN_BROWSER, by_agent},
    {CM_FACET_BROWSER_VERSION, CM_COLUMN_BROWSER_VERSION, by_agent},
    {CM_FACET_OS, CM_COLUMN_OS, by_agent},
    {CM_FACET_OS_VERSION, CM_COLUMN_OS_VERSION, by_agent},
    {CM_FACET_DEVICE, CM_COLUMN_DEVICE, by_agent},
    {CM_FACET_LANGUAGE, CM_COLUMN_LANGUAGE, "the tracker sends it, access logs do not have it"},
    {CM_FACET_REFERRER, CM_COLUMN_REFERRER,
     "access logs in the combined format and the tracker have it"},
    {CM_FACET_UTM_SOURCE, CM_COLUMN_UTM_SOURCE, by_campaign},
    {CM_FACET_UTM_MEDIUM, CM_COLUMN_UTM_MEDIUM, by_campaign},
    {CM_FACET_UTM_CAMPAIGN, CM_COLUMN_UTM_CAMPAIGN, by_campaign},
    {CM_FACET_UTM_TERM, CM_COLUMN_UTM_TERM, by_campaign},
    {CM_FACET_UTM_CONTENT, CM_COLUMN_UTM_CONTENT, by_campaign},
    {CM_FACET_FIRST_UTM_CAMPAIGN, CM_COLUMN_UTM_CAMPAIGN, by_campaign},
};

static const lack_t *lack_of(cm_facet_t facet)
{
    for (size_t l = 0; l < sizeof lacks / sizeof lacks[0]; l++) {
        if (lacks[l].facet == facet)
            return &lacks[l];
    }
    return NULL;
}

static int note_column(noting_t *self, const cm_dim_t *dim, cm_err_t *err)
{
    const lack_t *lack = lack_of(dim->facet);

    if (lack == NULL)
        return 0;
    int rc = cm_timelines_need(self->timelines, lack->column, err);
    if (rc < 0)
        return rc;
    const uint32_t count = cm_timelines_value_count(self->timelines, lack->column);
    const bool unknown =
        count == 2 &&
        cm_str_equal(cm_timelines_string(self->timelines, lack->column, 1), CM_STR("Unknown"));
    if (count > 1 && !unknown)
        return 0;
    cm_buf_add_text(&self->text, unknown ? "every " : "no event has a value for ");
    cm_buf_add_str(&self->text, dim->name);
    cm_buf_printf(&self->text, "%s: %s", unknown ? " is Unknown" : "", lack->why);
    say(self);
    return 0;
}

/* The keys of properties of all events, `count` of them, NULL at the end. */
typedef struct keys {
    const char **names;
    size_t count;
    cm_lookup_t lookup;
    cm_arena_t arena;
} keys_t;

static void keys_free(keys_t *keys)
{
    free(keys->names);
    cm_lookup_free(&keys->lookup);
    cm_arena_free(&keys->arena);
}

static void add_keys(keys_t *keys, cm_str_t props)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_prop_t prop;
    size_t at;

    while (keys->count < NAMES_MOST && cm_props_next(&props, &arena, &prop)) {
        if (cm_lookup_find(&keys->lookup, prop.key, &at))
            continue;
        char *name = cm_arena_alloc(&keys->arena, prop.key.len + 1);
        memcpy(name, prop.key.data, prop.key.len);
        name[prop.key.len] = '\0';
        cm_lookup_add(&keys->lookup, prop.key, keys->count);
        keys->names[keys->count++] = name;
    }
    cm_arena_free(&arena);
}

/* Looks for the key among the properties of all events. */
static int note_prop(noting_t *self, cm_str_t key, cm_err_t *err)
{
    keys_t keys = {.names = cm_alloc_zero(NAMES_MOST + 1, sizeof *keys.names)};
    cm_buf_t wanted = CM_BUF_INIT;
    size_t at;

    int rc = cm_timelines_need(self->timelines, CM_COLUMN_PROPS, err);
    const uint32_t count = rc == 0 ? cm_timelines_value_count(self->timelines, CM_COLUMN_PROPS) : 0;
    for (uint32_t v = 1; v < count && !cm_lookup_find(&keys.lookup, key, &at); v++)
        add_keys(&keys, cm_timelines_string(self->timelines, CM_COLUMN_PROPS, v));
    if (rc == 0 && !cm_lookup_find(&keys.lookup, key, &at) && keys.count < NAMES_MOST) {
        cm_buf_add_str(&wanted, key);
        const char *near = keys.count > 0 ? cm_nearest(wanted.data, keys.names) : NULL;
        cm_buf_add_text(&self->text, "no event has the property \"");
        add_shown(&self->text, key);
        cm_buf_add_text(&self->text, "\"");
        if (near != NULL)
            cm_buf_printf(&self->text, "; did you mean \"%s\"?", near);
        else if (keys.count == 0)
            cm_buf_add_text(&self->text, ", nor any other: they come with custom events");
        say(self);
    }
    cm_buf_free(&wanted);
    keys_free(&keys);
    return rc;
}

/* Whether some group has a value for the dimension. */
static bool answered(const noting_t *self, size_t dim)
{
    const cm_groups_t *groups = self->report->rows->groups[CM_ASKED_NOW];
    const size_t count = cm_groups_count(groups);

    for (size_t g = 0; g < count; g++) {
        if (cm_groups_at(groups, g).key[dim] != 0)
            return true;
    }
    return false;
}

static int note_dim(noting_t *self, const cm_dim_t *dim, cm_err_t *err)
{
    return dim->facet == CM_FACET_PROP ? note_prop(self, dim->key, err)
                                       : note_column(self, dim, err);
}

static int note_dims(noting_t *self, cm_err_t *err)
{
    const cm_question_t *question = self->question;
    int rc = 0;

    for (size_t d = 0; rc == 0 && d < question->dim_count; d++) {
        if (question->dims[d].facet != CM_FACET_PROP || !answered(self, d))
            rc = note_dim(self, &question->dims[d], err);
    }
    for (size_t p = 0; rc == 0 && p < question->prop_count; p++) {
        const cm_sums_t *sums = &self->total.props[p];
        if (sums->count == 0 && sums->left_out == 0)
            rc = note_prop(self, question->props[p], err);
    }
    return rc;
}

/* ---- conditions, where nothing is found ---- */

/* No event has the value that a condition wants; the nearest one. */
static int note_value(noting_t *self, const cm_condition_t *condition, cm_err_t *err)
{
    const lack_t *lack = lack_of(condition->dim.facet);
    const cm_timelines_column_t column = condition->dim.facet == CM_FACET_NAME  ? CM_COLUMN_NAME
                                         : condition->dim.facet == CM_FACET_URL ? CM_COLUMN_URL
                                         : lack != NULL                         ? lack->column
                                                                                : CM_COLUMN_COUNT;

    if (condition->op != CM_OP_EQUAL || column == CM_COLUMN_COUNT)
        return 0;
    int rc = cm_timelines_need(self->timelines, column, err);
    if (rc < 0)
        return rc;
    const uint32_t count = cm_timelines_value_count(self->timelines, column);
    const char **names = cm_alloc_zero(NAMES_MOST + 1, sizeof *names);
    cm_arena_t arena = CM_ARENA_INIT;
    cm_buf_t wanted = CM_BUF_INIT;
    bool found = false;
    for (uint32_t v = 1; v < count && !found; v++) {
        const cm_str_t text = cm_timelines_string(self->timelines, column, v);
        found = cm_str_equal(text, condition->values[0]);
        if (v > NAMES_MOST)
            continue;
        char *name = cm_arena_alloc(&arena, text.len + 1);
        memcpy(name, text.data, text.len);
        name[text.len] = '\0';
        names[v - 1] = name;
    }
    if (!found && count > 1) {
        cm_buf_add_str(&wanted, condition->values[0]);
        const char *near = cm_nearest(wanted.data != NULL ? wanted.data : "", names);
        cm_buf_add_text(&self->text, "no event has the ");
        cm_buf_add_str(&self->text, condition->dim.name);
        cm_buf_add_text(&self->text, " \"");
        add_shown(&self->text, condition->values[0]);
        cm_buf_printf(&self->text, "\"%s%s%s", near != NULL ? "; did you mean \"" : "",
                      near != NULL ? near : "", near != NULL ? "\"?" : "");
        say(self);
    }
    cm_buf_free(&wanted);
    cm_arena_free(&arena);
    free(names);
    return 0;
}

static int note_conditions(noting_t *self, const cm_condition_t *conditions, size_t count,
                           cm_err_t *err)
{
    const bool nothing = self->total.counters[CM_COUNTER_EVENTS] == 0;
    int rc = 0;

    for (size_t c = 0; rc == 0 && c < count; c++) {
        const cm_condition_t *condition = &conditions[c];
        if (nothing || condition->dim.facet != CM_FACET_PROP)
            rc = note_dim(self, &condition->dim, err);
        if (rc == 0 && nothing)
            rc = note_value(self, condition, err);
    }
    return rc;
}

static void note_span(noting_t *self)
{
    const cm_span_t span = self->question->span;
    char first_text[CM_TIME_TEXT], last_text[CM_TIME_TEXT];
    int64_t first, last;

    if (self->total.counters[CM_COUNTER_EVENTS] > 0 ||
        !cm_timelines_times(self->timelines, &first, &last) ||
        (span.from <= last && span.to > first))
        return;
    cm_buf_printf(&self->text, "no events are in this span; the first is at %s, the last at %s",
                  cm_time_format(first, first_text), cm_time_format(last, last_text));
    say(self);
}

static void note_steps(noting_t *self)
{
    const cm_report_rows_t *rows = self->report->rows;

    if (!self->question->stepped || rows->steps_before.count <= rows->steps.count)
        return;
    cm_buf_printf(&self->text,
                  "the span before has %zu steps, and this one %zu: those that have no pair are "
                  "not shown",
                  rows->steps_before.count, rows->steps.count);
    say(self);
}

int cm_report_note(cm_report_t *report, cm_timelines_t *timelines, const cm_report_facts_t *facts,
                   cm_err_t *err)
{
    const cm_question_t *question = report->question;
    noting_t self = {.report = report,
                     .question = question,
                     .timelines = timelines,
                     .total = cm_groups_total(report->rows->groups[CM_ASKED_NOW])};

    if (cm_timelines_events(timelines) == 0) {
        cm_buf_add_text(&self.text, "no events are stored yet");
        say(&self);
        cm_buf_free(&self.text);
        return 0;
    }
    note_span(&self);
    int rc = note_dims(&self, err);
    if (rc == 0)
        rc = note_conditions(&self, question->where, question->where_count, err);
    if (rc == 0)
        rc = note_conditions(&self, question->where_visit, question->where_visit_count, err);
    if (rc == 0)
        rc = note_conditions(&self, question->where_user, question->where_user_count, err);
    if (rc == 0)
        rc = note_engagement(&self, err);
    note_no_views(&self);
    note_daily(&self, facts);
    note_steps(&self);
    cm_buf_free(&self.text);
    return rc;
}
