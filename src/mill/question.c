#include "mill/question.h"

#include "mill/names.h"
#include "mill/span.h"

static const char *const default_measures = "unique_user_count,visits,clicks,events";

static int check_utf8(const cm_question_text_t *text, cm_err_t *err)
{
    const struct {
        const char *option, *text;
    } all[] = {{"--by", text->by},     {"--measures", text->measures}, {"--step", text->step},
               {"--sort", text->sort}, {"--compare", text->compare},   {"--tz", text->zone}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const cm_str_t one = cm_str(all[i].text);
        if (!cm_utf8_valid(one.data, one.len))
            return cm_fail(err, CM_EUSAGE, "%s is not UTF-8 text",
                           cm_span_word(text, all[i].option));
    }
    return 0;
}

static int open_zone(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    const char *name = text->zone != NULL ? text->zone : "UTC";
    cm_err_t why;
    cm_zone_t *zone;

    question->zone_name = cm_arena_copy(&question->arena, cm_str(name));
    const int rc = cm_zone_open(name, &zone, &why);
    if (rc < 0) /* its message begins with --tz */
        return cm_fail(err, rc, "%s", cm_span_word(text, why.text));
    question->zone = zone;
    return 0;
}

static int parse_step(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    const char *where = cm_span_word(text, "--step");

    if (text->step == NULL)
        return 0;
    question->stepped = true;
    int rc = cm_facet_step(text->step, where, &question->step, err);
    for (size_t d = 0; d < question->dim_count && rc == 0; d++) {
        if (question->dims[d].facet == question->step)
            rc = cm_fail(err, CM_EUSAGE, "%s %s puts %s in front; leave it out of %s", where,
                         text->step, text->step, cm_span_word(text, "--by"));
    }
    return rc;
}

/* ---- conditions ---- */

static size_t count_texts(const char *const *texts)
{
    size_t count = 0;

    while (texts != NULL && texts[count] != NULL)
        count++;
    return count;
}

static int parse_conditions(const char *const *texts, cm_question_t *question,
                            cm_condition_t **conditions, size_t *count, cm_err_t *err)
{
    const size_t given = count_texts(texts);
    int rc = 0;

    *conditions = cm_arena_alloc(&question->arena, (given + 1) * sizeof **conditions);
    for (*count = 0; *count < given && rc == 0; ++*count)
        rc = cm_condition_parse(texts[*count], &question->arena, &(*conditions)[*count], err);
    return rc;
}

static int parse_filters(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    if (count_texts(text->where) + count_texts(text->where_visit) + count_texts(text->where_user) >
        CM_QUESTION_CONDITIONS_MAX)
        return cm_fail(err, CM_EUSAGE, "a question has at most %d conditions; \"in (a, b)\" is one",
                       CM_QUESTION_CONDITIONS_MAX);
    int rc = parse_conditions(text->where, question, &question->where, &question->where_count, err);
    if (rc == 0)
        rc = parse_conditions(text->where_visit, question, &question->where_visit,
                              &question->where_visit_count, err);
    if (rc == 0)
        rc = parse_conditions(text->where_user, question, &question->where_user,
                              &question->where_user_count, err);
    return rc;
}

/* ---- order ---- */

static bool find_column(cm_question_t *question, cm_str_t name)
{
    for (size_t d = 0; d < question->dim_count; d++) {
        if (cm_str_equal(name, question->dims[d].name)) {
            question->sort_is_dim = true;
            question->sort = d;
            return true;
        }
    }
    for (size_t m = 0; m < question->measure_count; m++) {
        if (cm_str_equal(name, question->measures[m].name)) {
            question->sort_is_dim = false;
            question->sort = m;
            return true;
        }
    }
    return false;
}

/* The name as headings have it, of a dimension or a measure that may not be in the question. */
static bool settle_name(cm_str_t written, cm_question_t *question, cm_str_t *name, bool *is_dim)
{
    cm_str_t rest = written, key;
    cm_dim_t dim;
    cm_measure_t measure;

    *is_dim = cm_dim_take(&rest, true, "", &question->arena, &dim, NULL) == 0 && rest.len == 0;
    if (*is_dim) {
        *name = dim.name;
        return true;
    }
    rest = written;
    if (cm_measure_take(&rest, "", &question->arena, &measure, &key, NULL) < 0 || rest.len > 0)
        return false;
    *name = measure.name;
    return true;
}

static bool ends_with(cm_str_t name, cm_str_t end)
{
    return name.len > end.len && memcmp(name.data + name.len - end.len, end.data, end.len) == 0;
}

static int fail_sort(const cm_question_text_t *text, cm_question_t *question, cm_str_t name,
                     cm_err_t *err)
{
    const size_t columns = question->dim_count + question->measure_count;
    const char **names = cm_arena_alloc(&question->arena, (columns + 1) * sizeof *names);
    const char *where = cm_span_word(text, "--sort");

    if (ends_with(name, CM_STR("_change")) || ends_with(name, CM_STR("_before")))
        return cm_fail(err, CM_EUSAGE,
                       "%s: groups are put in order by values of the span itself, not by \"%.*s\"",
                       where, cm_names_shown(name), name.data);
    for (size_t i = 0; i < columns; i++) {
        const cm_str_t column = i < question->dim_count
                                    ? question->dims[i].name
                                    : question->measures[i - question->dim_count].name;
        char *copy = cm_arena_alloc(&question->arena, column.len + 1);
        memcpy(copy, column.data, column.len);
        copy[column.len] = '\0';
        names[i] = copy;
    }
    names[columns] = NULL;
    return cm_names_fail_unknown(name, "column", names,
                                 "name a dimension or a measure of the question", where, err);
}

static int parse_sort(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    cm_str_t name;
    bool is_dim = false;

    question->reverse = text->reverse;
    if (text->sort == NULL)
        return 0;
    cm_str_t written = cm_str_trim(cm_str(text->sort));
    if (cm_str_take_char(&written, '-'))
        question->reverse = true;
    if (!settle_name(written, question, &name, &is_dim))
        return fail_sort(text, question, written, err);
    if (find_column(question, name))
        return 0;
    if (question->stepped && cm_str_equal(name, cm_str(cm_facet_names[question->step])))
        return cm_fail(err, CM_EUSAGE,
                       "%s: steps are always in the order of time; %s orders groups",
                       cm_span_word(text, "--sort"), cm_span_word(text, "--sort"));
    return cm_fail(err, CM_EUSAGE, "%s: %.*s is not in the answer; add it to %s",
                   cm_span_word(text, "--sort"), cm_names_shown(name), name.data,
                   cm_span_word(text, is_dim ? "--by" : "--measures"));
}

/* ---- all of it ---- */

static int parse_limits(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    if (text->limit < 0 || text->offset < 0)
        return cm_fail(err, CM_EUSAGE, "%s is %lld, and a number of rows is not below 0",
                       cm_span_word(text, text->limit < 0 ? "--limit" : "--offset"),
                       (long long)(text->limit < 0 ? text->limit : text->offset));
    question->limit = text->limit;
    question->offset = text->offset;
    return 0;
}

int cm_question_parse(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err)
{
    const char *measures = text->measures != NULL ? text->measures : default_measures;

    *question = (cm_question_t){.arena = CM_ARENA_INIT, .span = CM_SPAN_ALL};
    int rc = check_utf8(text, err);
    if (rc == 0)
        rc = open_zone(text, question, err);
    if (rc == 0)
        rc = cm_dim_list(cm_str(text->by), cm_span_word(text, "--by"), question, err);
    if (rc == 0)
        rc = cm_measure_list(cm_str(measures), cm_span_word(text, "--measures"), question, err);
    if (rc == 0)
        rc = parse_step(text, question, err);
    if (rc == 0)
        rc = parse_filters(text, question, err);
    if (rc == 0)
        rc = cm_span_parse(text, question, err);
    if (rc == 0)
        rc = parse_sort(text, question, err);
    if (rc == 0)
        rc = parse_limits(text, question, err);
    return rc;
}

void cm_question_free(cm_question_t *question)
{
    cm_zone_free(question->zone);
    cm_arena_free(&question->arena);
    *question = (cm_question_t){.arena = CM_ARENA_INIT};
}
