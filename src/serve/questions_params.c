/* The parameters of a question, as they stand in a request. */
#include "base/clock.h"
#include "base/nearest.h"
#include "serve/params.h"
#include "serve/questions.h"

enum param {
    BY,
    VALUES,
    MEASURES,
    WHERE,
    WHERE_VISIT,
    WHERE_USER,
    FROM,
    TO,
    STEP,
    TZ,
    COMPARE,
    SORT,
    REVERSE,
    LIMIT,
    OFFSET,
    FORMAT,
    SAFE,
    PARAM_COUNT,
};

static const char *const names[PARAM_COUNT + 1] = {
    "by", "values",  "measures", "where",   "where-visit", "where-user", "from",   "to",   "step",
    "tz", "compare", "sort",     "reverse", "limit",       "offset",     "format", "safe", NULL};

static enum param find(cm_str_t name)
{
    int found = 0;

    while (found < PARAM_COUNT && !cm_str_equal(name, cm_str(names[found])))
        found++;
    return (enum param)found;
}

/* Each of them begins a question. */
static bool begins(enum param param)
{
    return param == BY || param == VALUES;
}

static bool may_repeat(enum param param)
{
    return param == WHERE || param == WHERE_VISIT || param == WHERE_USER;
}

/* Removes the first pair from the text. */
static bool next(cm_str_t *rest, enum param *param, const char **value)
{
    if (rest->len == 0)
        return false;
    const size_t name_len = strlen(rest->data) + 1;
    *param = find((cm_str_t){rest->data, name_len - 1});
    *value = rest->data + name_len;
    const size_t len = name_len + strlen(*value) + 1;
    *rest = (cm_str_t){rest->data + len, rest->len - len};
    return true;
}

int cm_questions_set(cm_buf_t *text, cm_str_t name, cm_str_t value, cm_err_t *err)
{
    const enum param param = find(name);
    cm_str_t rest = {text->data, text->len};
    enum param other;
    const char *of_other;
    bool twice = false;

    if (param == PARAM_COUNT) {
        const char *near = name.len == strlen(name.data) ? cm_nearest(name.data, names) : NULL;
        return cm_fail(err, CM_EUSAGE, "there is no parameter \"%.*s\"%s%s%s",
                       cm_utf8_head(name, 80), name.data, near != NULL ? "; did you mean " : "",
                       near != NULL ? near : "", near != NULL ? "?" : "");
    }
    if (value.data == NULL || memchr(value.data, '\0', value.len) != NULL)
        return cm_fail(err, CM_EUSAGE, "%s must have a text as its value", names[param]);
    while (next(&rest, &other, &of_other)) {
        twice |= other == param;
        if (begins(other))
            twice = false; /* another question */
    }
    if (twice && !begins(param) && !may_repeat(param))
        return cm_fail(err, CM_EUSAGE, "%s is given twice", names[param]);
    cm_buf_add(text, names[param], strlen(names[param]) + 1);
    cm_buf_add_str(text, value);
    cm_buf_add_char(text, '\0');
    return 0;
}

/* ---- reading ---- */

/* Values of parameters that may be repeated. */
typedef struct lists {
    const char *values[3][CM_QUESTION_CONDITIONS_MAX + 2];
    size_t counts[3];
} lists_t;

static int read_number(enum param param, const char *value, int64_t most, int64_t *number,
                       cm_err_t *err)
{
    const int64_t least = param == LIMIT ? 1 : 0;

    if (!cm_str_to_i64(cm_str(value), number) || *number < least || *number > most)
        return cm_fail(err, CM_EUSAGE, "%s must be a number from %lld to %lld", names[param],
                       (long long)least, (long long)most);
    return 0;
}

static int read_switch(enum param param, const char *value, bool *on, cm_err_t *err)
{
    *on = strcmp(value, "1") == 0;
    if (!*on && strcmp(value, "0") != 0)
        return cm_fail(err, CM_EUSAGE, "%s must be 0 or 1", names[param]);
    return 0;
}

static int read_format(const char *value, bool *csv, cm_err_t *err)
{
    *csv = strcmp(value, "csv") == 0;
    if (!*csv && strcmp(value, "json") != 0)
        return cm_fail(err, CM_EUSAGE, "format must be json or csv");
    return 0;
}

static const char **text_of(enum param param, cm_question_text_t *text)
{
    const char **const fields[PARAM_COUNT] = {
        [BY] = &text->by,     [MEASURES] = &text->measures, [FROM] = &text->from,
        [TO] = &text->to,     [STEP] = &text->step,         [TZ] = &text->zone,
        [SORT] = &text->sort, [COMPARE] = &text->compare};

    return fields[param];
}

static int read_one(enum param param, const char *value, cm_question_text_t *text, lists_t *lists,
                    cm_questions_format_t *format, cm_err_t *err)
{
    switch (param) {
    case WHERE:
    case WHERE_VISIT:
    case WHERE_USER:
        if (lists->counts[param - WHERE] <= CM_QUESTION_CONDITIONS_MAX) /* one more is refused */
            lists->values[param - WHERE][lists->counts[param - WHERE]++] = value;
        return 0;
    case VALUES: /* of one dimension, with their events */
        text->by = value;
        return 0;
    case REVERSE:
        return read_switch(param, value, &text->reverse, err);
    case LIMIT:
        return read_number(param, value, CM_PARAMS_LIMIT_MAX, &text->limit, err);
    case OFFSET:
        return read_number(param, value, INT64_MAX, &text->offset, err);
    case FORMAT:
        return read_format(value, &format->csv, err);
    case SAFE:
        return read_switch(param, value, &format->safe, err);
    default:
        *text_of(param, text) = value;
        return 0;
    }
}

size_t cm_questions_count(cm_str_t text)
{
    enum param param;
    const char *value;
    size_t count = 0;

    while (next(&text, &param, &value))
        count += begins(param);
    return count > 0 ? count : 1;
}

int cm_questions_read(cm_str_t given, size_t number, int64_t now, cm_question_t *question,
                      cm_questions_format_t *format, cm_err_t *err)
{
    lists_t lists = {.counts = {0}};
    cm_question_text_t text = {.where = lists.values[0],
                               .where_visit = lists.values[1],
                               .where_user = lists.values[2],
                               .limit = CM_PARAMS_LIMIT,
                               .parameters = true,
                               .now = now};
    enum param param;
    const char *value;
    size_t begun = 0; /* questions */
    bool values = false;
    int rc = 0;

    *question = (cm_question_t){.arena = CM_ARENA_INIT};
    *format = (cm_questions_format_t){.csv = false};
    while (rc == 0 && next(&given, &param, &value)) {
        begun += begins(param);
        if (begun != 0 && begun != number + 1)
            continue;
        values |= param == VALUES;
        rc = read_one(param, value, &text, &lists, format, err);
    }
    if (rc == 0 && text.by == NULL)
        rc = cm_fail(err, CM_EUSAGE, "by must name dimensions; an empty one is the total");
    if (rc == 0 && format->safe && !format->csv)
        rc = cm_fail(err, CM_EUSAGE, "safe is of CSV: give format=csv with it");
    if (rc == 0 && values && text.measures != NULL)
        rc = cm_fail(err, CM_EUSAGE,
                     "values lists the values of a dimension with their events; for other "
                     "measures ask with by");
    if (rc == 0 && values)
        text.measures = "events";
    if (rc == 0)
        rc = cm_question_parse(&text, question, err);
    if (rc == 0 && values && question->dim_count != 1)
        rc = cm_fail(err, CM_EUSAGE, "values wants one dimension, not %zu", question->dim_count);
    return rc;
}

int cm_questions_check(cm_str_t text, cm_questions_format_t *format, cm_err_t *err)
{
    const size_t count = cm_questions_count(text);
    const int64_t now = cm_clock_now_ms(NULL);
    cm_question_t question;
    int rc = 0;

    if (count > CM_QUESTIONS_MAX)
        return cm_fail(err, CM_EUSAGE, "a request has at most %d questions, not %zu",
                       CM_QUESTIONS_MAX, count);
    for (size_t q = 0; rc == 0 && q < count; q++) {
        rc = cm_questions_read(text, q, now, &question, format, err);
        cm_question_free(&question);
        if (rc == 0 && format->csv && count > 1)
            rc = cm_fail(err, CM_EUSAGE, "format=csv is for one question, not for several");
    }
    return rc;
}
