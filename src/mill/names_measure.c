/* Names of measures (mill/names.h). */
#include "mill/names.h"

/* In the order of the documents, which is that of `all`. */
static const struct {
    const char *name;
    cm_measure_kind_t kind;
    cm_counter_t counter, divisor;
} plain[] = {
    {"clicks", CM_MEASURE_COUNTER, CM_COUNTER_CLICKS, 0},
    {"unique_user_count", CM_MEASURE_COUNTER, CM_COUNTER_USERS, 0},
    {"time_spent_sum", CM_MEASURE_COUNTER, CM_COUNTER_TIME_SPENT_SUM, 0},
    {"time_spent_count", CM_MEASURE_COUNTER, CM_COUNTER_TIME_SPENT_COUNT, 0},
    {"average_time_spent", CM_MEASURE_QUOTIENT, CM_COUNTER_TIME_SPENT_SUM,
     CM_COUNTER_TIME_SPENT_COUNT},
    {"time_on_page_sum", CM_MEASURE_COUNTER, CM_COUNTER_TIME_ON_PAGE_SUM, 0},
    {"time_on_page_count", CM_MEASURE_COUNTER, CM_COUNTER_TIME_ON_PAGE_COUNT, 0},
    {"average_time_on_page", CM_MEASURE_QUOTIENT, CM_COUNTER_TIME_ON_PAGE_SUM,
     CM_COUNTER_TIME_ON_PAGE_COUNT},
    {"entrances", CM_MEASURE_COUNTER, CM_COUNTER_ENTRANCES, 0},
    {"exits", CM_MEASURE_COUNTER, CM_COUNTER_EXITS, 0},
    {"events", CM_MEASURE_COUNTER, CM_COUNTER_EVENTS, 0},
    {"event_user_count", CM_MEASURE_COUNTER, CM_COUNTER_EVENT_USERS, 0},
    {"visits", CM_MEASURE_COUNTER, CM_COUNTER_VISITS, 0},
    {"views_per_visit", CM_MEASURE_QUOTIENT, CM_COUNTER_CLICKS, CM_COUNTER_VISITS},
    {"bounces", CM_MEASURE_COUNTER, CM_COUNTER_BOUNCES, 0},
    {"bounce_rate", CM_MEASURE_QUOTIENT, CM_COUNTER_BOUNCES, CM_COUNTER_ENTRANCES},
    {"visit_duration_sum", CM_MEASURE_COUNTER, CM_COUNTER_VISIT_DURATION_SUM, 0},
    {"average_visit_duration", CM_MEASURE_QUOTIENT, CM_COUNTER_VISIT_DURATION_SUM,
     CM_COUNTER_ENTRANCES},
    {"engaged_ms_sum", CM_MEASURE_COUNTER, CM_COUNTER_ENGAGED_MS_SUM, 0},
    {"engaged_count", CM_MEASURE_COUNTER, CM_COUNTER_ENGAGED_COUNT, 0},
    {"average_engaged_ms", CM_MEASURE_QUOTIENT, CM_COUNTER_ENGAGED_MS_SUM,
     CM_COUNTER_ENGAGED_COUNT},
    {"new_user_count", CM_MEASURE_COUNTER, CM_COUNTER_NEW_USERS, 0},
};

enum { PLAIN = sizeof plain / sizeof *plain };

/* Measures of a property: `sum:props.KEY`. */
static const struct {
    const char *name;
    cm_measure_kind_t kind;
} of_props[] = {
    {"sum", CM_MEASURE_PROP_SUM},
    {"count", CM_MEASURE_PROP_COUNT},
    {"average", CM_MEASURE_PROP_AVERAGE},
    {"left_out", CM_MEASURE_PROP_LEFT_OUT},
};

enum { OF_PROPS = sizeof of_props / sizeof *of_props };

/* ---- one name ---- */

static int fail_measure(cm_str_t word, const char *where, cm_err_t *err)
{
    const char *names[PLAIN + OF_PROPS + 2];
    cm_buf_t hint = CM_BUF_INIT;
    size_t count = 0;
    bool is_dim = false;

    for (size_t i = 0; i < PLAIN; i++)
        names[count++] = plain[i].name;
    for (size_t i = 0; i < OF_PROPS; i++)
        names[count++] = of_props[i].name;
    names[count++] = "all";
    names[count] = NULL;
    for (size_t f = 0; f < CM_FACET_COUNT; f++)
        is_dim = is_dim || cm_str_equal(word, cm_str(cm_facet_names[f]));
    const char *near = is_dim ? NULL : cm_names_nearest(word, names);
    if (word.len == 0)
        cm_buf_add_text(&hint, "the name of a measure is missing");
    else
        cm_buf_printf(&hint, "there is no measure \"%.*s\"", cm_names_shown(word), word.data);
    if (is_dim)
        cm_buf_add_text(&hint, ": it is a dimension");
    else if (near != NULL)
        cm_buf_printf(&hint, "; did you mean %s?", near);
    else
        cm_buf_add_text(&hint, "; there are ");
    for (size_t i = 0; i < PLAIN && !is_dim && near == NULL; i++)
        cm_buf_printf(&hint, "%s, ", plain[i].name);
    if (!is_dim && near == NULL)
        cm_buf_add_text(&hint, "and sum:, count:, average:, left_out: with props.KEY behind");
    int rc = cm_fail(err, CM_EUSAGE, "%s: %s", where, hint.data);
    cm_buf_free(&hint);
    return rc;
}

/* Takes `props.KEY` behind "sum:". */
static int take_prop(cm_str_t *rest, cm_str_t kind, const char *where, cm_arena_t *arena,
                     cm_measure_t *measure, cm_str_t *key, cm_err_t *err)
{
    static const cm_str_t props = {"props.", 6};
    cm_dim_t dim;

    if (rest->len < props.len || memcmp(rest->data, props.data, props.len) != 0)
        return cm_fail(err, CM_EUSAGE, "%s: behind %.*s: stands a property: %.*s:props.KEY", where,
                       (int)kind.len, kind.data, (int)kind.len, kind.data);
    int rc = cm_dim_take(rest, false, where, arena, &dim, err);
    if (rc < 0)
        return rc;
    char *name = cm_arena_alloc(arena, kind.len + 1 + dim.name.len);
    memcpy(name, kind.data, kind.len);
    name[kind.len] = ':';
    memcpy(name + kind.len + 1, dim.name.data, dim.name.len);
    measure->name = (cm_str_t){name, kind.len + 1 + dim.name.len};
    *key = dim.key;
    return 0;
}

int cm_measure_take(cm_str_t *rest, const char *where, cm_arena_t *arena, cm_measure_t *measure,
                    cm_str_t *key, cm_err_t *err)
{
    const cm_str_t word = cm_names_word(*rest);
    const char *colon = word.len > 0 ? memchr(word.data, ':', word.len) : NULL;
    const cm_str_t kind = {word.data, colon != NULL ? (size_t)(colon - word.data) : 0};

    *measure = (cm_measure_t){.kind = CM_MEASURE_COUNTER};
    *key = (cm_str_t){NULL, 0};
    for (size_t i = 0; i < OF_PROPS && colon != NULL; i++) {
        if (cm_str_equal(kind, cm_str(of_props[i].name))) {
            rest->data += kind.len + 1;
            rest->len -= kind.len + 1;
            measure->kind = of_props[i].kind;
            return take_prop(rest, kind, where, arena, measure, key, err);
        }
    }
    for (size_t i = 0; i < PLAIN; i++) {
        if (cm_str_equal(word, cm_str(plain[i].name))) {
            rest->data += word.len;
            rest->len -= word.len;
            *measure = (cm_measure_t){plain[i].kind, plain[i].counter, plain[i].divisor, 0,
                                      cm_str(plain[i].name)};
            return 0;
        }
    }
    return fail_measure(colon != NULL ? kind : word, where, err);
}

/* ---- a list ---- */

static bool has_measure(const cm_question_t *question, cm_str_t name)
{
    for (size_t m = 0; m < question->measure_count; m++) {
        if (cm_str_equal(question->measures[m].name, name))
            return true;
    }
    return false;
}

static void add_measure(cm_question_t *question, const cm_measure_t *measure)
{
    question->measures[question->measure_count++] = *measure;
    if (measure->kind <= CM_MEASURE_QUOTIENT)
        question->counters |= UINT32_C(1) << measure->counter;
    if (measure->kind == CM_MEASURE_QUOTIENT)
        question->counters |= UINT32_C(1) << measure->divisor;
}

/* Finds the place of the property among those of the question, or adds it. */
static int find_prop(cm_question_t *question, cm_str_t key, const char *where, size_t *prop,
                     cm_err_t *err)
{
    for (*prop = 0; *prop < question->prop_count; ++*prop) {
        if (cm_str_equal(question->props[*prop], key))
            return 0;
    }
    if (question->prop_count == CM_QUESTION_PROPS_MAX)
        return cm_fail(err, CM_EUSAGE, "%s: a question adds up at most %d properties", where,
                       CM_QUESTION_PROPS_MAX);
    question->props[question->prop_count++] = key;
    return 0;
}

/* `all`: the measures that are not named yet. */
static void add_all(cm_question_t *question)
{
    for (size_t i = 0; i < PLAIN; i++) {
        const cm_measure_t measure = {plain[i].kind, plain[i].counter, plain[i].divisor, 0,
                                      cm_str(plain[i].name)};
        if (!has_measure(question, measure.name))
            add_measure(question, &measure);
    }
}

static int add_one(cm_str_t *rest, const char *where, cm_question_t *question, cm_err_t *err)
{
    static const cm_str_t all = {"all", 3};
    cm_measure_t measure;
    cm_str_t key;

    if (cm_str_equal(cm_names_word(*rest), all)) {
        rest->data += all.len;
        rest->len -= all.len;
        add_all(question);
        return 0;
    }
    int rc = cm_measure_take(rest, where, &question->arena, &measure, &key, err);
    if (rc == 0 && has_measure(question, measure.name))
        rc = cm_names_fail_twice(measure.name, where, err);
    if (rc == 0 && measure.kind > CM_MEASURE_QUOTIENT)
        rc = find_prop(question, key, where, &measure.prop, err);
    if (rc == 0)
        add_measure(question, &measure);
    return rc;
}

int cm_measure_list(cm_str_t text, const char *where, cm_question_t *question, cm_err_t *err)
{
    /* No name is there twice, so that there cannot be more. */
    const size_t most = PLAIN + (size_t)OF_PROPS * CM_QUESTION_PROPS_MAX;
    bool more = true;
    int rc = 0;

    question->measures = cm_arena_alloc(&question->arena, most * sizeof *question->measures);
    text = cm_str_trim(text);
    while (rc == 0 && more) {
        cm_names_skip(&text);
        cm_str_t name = text;
        rc = add_one(&text, where, question, err);
        name.len -= text.len;
        if (rc == 0)
            rc = cm_names_take_comma(&text, name, where, &more, err);
    }
    return rc;
}
