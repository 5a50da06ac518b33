#include "base/clock.h"
#include "mill/names.h"

#include <stdio.h>
#include <stdlib.h>

/* A condition that is being read. */
typedef struct reader {
    cm_str_t rest;
    cm_arena_t *arena;
    cm_condition_t *condition;
    char where[100]; /* `the condition "..."`, at the begin of messages */
    cm_err_t *err;
} reader_t;

#define OPERATORS "=, !=, <, <=, >, >=, ~, !~, in (a, b), not in (a, b), is empty, is not empty"

/* ---- the operator ---- */

/* In the order of cm_condition_op_t. */
static const char *const signs[] = {"=", "!=", "<", "<=", ">", ">=", "~", "!~", NULL};

static bool is_sign(char c)
{
    return c == '=' || c == '!' || c == '<' || c == '>' || c == '~';
}

static int fail_operator(reader_t *reader, cm_str_t word)
{
    const char *near = NULL;

    if (word.len == 0)
        return cm_fail(reader->err, CM_EUSAGE,
                       "%s: an operator is missing behind %.*s; there are " OPERATORS,
                       reader->where, cm_names_shown(reader->condition->dim.name),
                       reader->condition->dim.name.data);
    if (word.len == 2 && is_sign(word.data[0])) { /* two of which one is right: ==, =<, <>, =~ */
        near = memcmp(word.data, "==", 2) == 0   ? "="
               : memcmp(word.data, "=<", 2) == 0 ? "<="
               : memcmp(word.data, "=>", 2) == 0 ? ">="
               : memcmp(word.data, "<>", 2) == 0 ? "!="
               : memcmp(word.data, "=!", 2) == 0 ? "!="
                                                 : "~";
    } else if (word.data[0] != '=') {
        static const char *const words[] = {"in", "not in", "is empty", "is not empty", NULL};
        near = cm_names_nearest(word, words);
    }
    return cm_fail(reader->err, CM_EUSAGE, "%s: there is no operator \"%.*s\"; %s%s%s",
                   reader->where, cm_names_shown(word), word.data,
                   near ? "did you mean " : "there are " OPERATORS, near ? near : "",
                   near ? "?" : "");
}

/* Takes the word if it is there, in any case. */
static bool take_word(cm_str_t *rest, cm_str_t wanted)
{
    cm_str_t at = *rest;

    cm_names_skip(&at);
    const cm_str_t word = cm_names_word(at);
    if (!cm_str_equal_nocase(word, wanted))
        return false;
    *rest = (cm_str_t){at.data + word.len, at.len - word.len};
    return true;
}

/* `in`, `not in`, `is empty`, `is not empty`. */
static bool take_words(cm_str_t *rest, cm_condition_op_t *op)
{
    if (take_word(rest, CM_STR("in"))) {
        *op = CM_OP_IN;
        return true;
    }
    if (take_word(rest, CM_STR("not"))) {
        *op = CM_OP_NOT_IN;
        return take_word(rest, CM_STR("in"));
    }
    if (!take_word(rest, CM_STR("is")))
        return false;
    *op = take_word(rest, CM_STR("not")) ? CM_OP_NOT_EMPTY : CM_OP_EMPTY;
    return take_word(rest, CM_STR("empty"));
}

static int take_operator(reader_t *reader)
{
    cm_str_t *rest = &reader->rest, word;

    cm_names_skip(rest);
    word = (cm_str_t){rest->data, 0};
    while (word.len < rest->len && is_sign(rest->data[word.len]))
        word.len++;
    for (int op = 0; signs[op] != NULL; op++) {
        if (cm_str_equal(word, cm_str(signs[op]))) {
            *rest = (cm_str_t){rest->data + word.len, rest->len - word.len};
            reader->condition->op = (cm_condition_op_t)op;
            return 0;
        }
    }
    if (word.len > 0)
        return fail_operator(reader, word);
    const cm_str_t begin = *rest;
    if (take_words(rest, &reader->condition->op))
        return 0;
    /* The words before what would be the value. */
    word = cm_names_word(begin);
    if (rest->data > begin.data) {
        cm_str_t last = *rest;
        cm_names_skip(&last);
        last = cm_names_word(last);
        word = cm_str_trim((cm_str_t){begin.data, (size_t)(last.data - begin.data) + last.len});
    }
    return fail_operator(reader, word);
}

/* ---- values ---- */

static int take_value(reader_t *reader, bool in_list, cm_str_t *value)
{
    cm_str_t *rest = &reader->rest;
    size_t len = 0;

    cm_names_skip(rest);
    if (rest->len > 0 && rest->data[0] == '"') {
        if (!cm_names_take_quoted(rest, reader->arena, value))
            return cm_fail(reader->err, CM_EUSAGE,
                           "%s: the quote behind a value is missing; a quote within a value in "
                           "quotes is written \"\"",
                           reader->where);
        cm_names_skip(rest);
        return 0;
    }
    while (len < rest->len && !(in_list && (rest->data[len] == ',' || rest->data[len] == ')')))
        len++;
    *value = cm_arena_copy(reader->arena, cm_str_trim((cm_str_t){rest->data, len}));
    *rest = (cm_str_t){rest->data + len, rest->len - len};
    if (value->len > 0)
        return 0;
    return cm_fail(reader->err, CM_EUSAGE,
                   "%s: a value is missing; events without a value are found by \"is empty\"",
                   reader->where);
}

static int compare_values(const void *a, const void *b)
{
    return cm_str_compare(*(const cm_str_t *)a, *(const cm_str_t *)b);
}

/* Takes "(a, b)". */
static int take_list(reader_t *reader)
{
    cm_condition_t *condition = reader->condition;
    size_t most = 1;
    bool more = true;

    cm_names_skip(&reader->rest);
    if (!cm_str_take_char(&reader->rest, '('))
        return cm_fail(reader->err, CM_EUSAGE,
                       "%s: behind \"in\" stands a list in parentheses: in (a, b)", reader->where);
    for (size_t i = 0; i < reader->rest.len; i++)
        most += reader->rest.data[i] == ',';
    condition->values = cm_arena_alloc(reader->arena, most * sizeof *condition->values);
    while (more) {
        int rc = take_value(reader, true, &condition->values[condition->count]);
        if (rc < 0)
            return rc;
        condition->count++;
        more = cm_str_take_char(&reader->rest, ',');
    }
    if (!cm_str_take_char(&reader->rest, ')'))
        return cm_fail(reader->err, CM_EUSAGE, "%s: a comma or \")\" is missing behind a value",
                       reader->where);
    return 0;
}

static int take_values(reader_t *reader)
{
    cm_condition_t *condition = reader->condition;
    int rc = 0;

    if (condition->op == CM_OP_IN || condition->op == CM_OP_NOT_IN) {
        rc = take_list(reader);
    } else if (condition->op < CM_OP_IN) {
        condition->values = cm_arena_alloc(reader->arena, sizeof *condition->values);
        condition->count = 1;
        rc = take_value(reader, false, &condition->values[0]);
    }
    cm_names_skip(&reader->rest);
    if (rc == 0 && reader->rest.len > 0)
        rc = cm_fail(reader->err, CM_EUSAGE,
                     "%s: the condition ends before \"%.*s\"; each condition is given by "
                     "itself, and all must hold",
                     reader->where, cm_names_shown(reader->rest), reader->rest.data);
    return rc;
}

/* ---- values of numbers and times ---- */

static bool is_comparison(cm_condition_op_t op)
{
    return op >= CM_OP_LESS && op <= CM_OP_GREATER_EQUAL;
}

/* Facets whose values are whole numbers, and the least and the greatest of them. */
static bool is_number(cm_facet_t facet, int64_t *min, int64_t *max)
{
    *min = facet == CM_FACET_WEEKDAY;
    *max = facet == CM_FACET_WEEKDAY ? 7 : facet == CM_FACET_HOUR_OF_DAY ? 23 : 86400000;
    return facet == CM_FACET_WEEKDAY || facet == CM_FACET_HOUR_OF_DAY ||
           facet == CM_FACET_ENGAGED_MS;
}

/* Writes the number as the dimension has it: 7, not 07. */
static int settle_number(reader_t *reader, cm_str_t *value)
{
    char text[24];
    int64_t number, min, max;
    const cm_dim_t *dim = &reader->condition->dim;

    is_number(dim->facet, &min, &max);
    if (!cm_str_to_i64(*value, &number) || number < min || number > max)
        return cm_fail(reader->err, CM_EUSAGE, "%s: %s is a whole number from %lld to %lld%s",
                       reader->where, cm_facet_names[dim->facet], (long long)min, (long long)max,
                       dim->facet == CM_FACET_WEEKDAY ? "; 1 is Monday" : "");
    const int len = snprintf(text, sizeof text, "%lld", (long long)number);
    *value = cm_arena_copy(reader->arena, (cm_str_t){text, (size_t)len});
    return 0;
}

/* Reads `2026-11-29`, `2026-11-29 14:00` or `2026-11-29T14:00:00` as local time. */
static bool read_local(cm_str_t value, int64_t *ms)
{
    char text[20] = "....-..-.. 00:00:00";

    if (value.len != 10 && value.len != 16 && value.len != 19)
        return false;
    memcpy(text, value.data, value.len);
    return cm_time_parse_local((cm_str_t){text, 19}, ms);
}

/* The begin of the label that the local time is in. */
static int64_t begin_of(cm_facet_t facet, int64_t ms)
{
    int year, month, day;
    const int64_t unit = facet == CM_FACET_HOUR ? CM_HOUR_MS : CM_DAY_MS;
    const int64_t units = ms / unit - (ms % unit < 0);

    if (facet == CM_FACET_WEEK) /* the epoch was a Thursday */
        return (units - ((units + 3) % 7 + 7) % 7) * CM_DAY_MS;
    if (facet == CM_FACET_MONTH) {
        cm_time_date(units, &year, &month, &day);
        return cm_time_days(year, month, 1) * CM_DAY_MS;
    }
    return units * unit;
}

/* A time as labels have it, with the time of the day where it is needed. */
static cm_str_t write_time(cm_facet_t facet, int64_t ms, char text[CM_TIME_TEXT])
{
    cm_time_format(ms, text);
    text[10] = ' ';
    return (cm_str_t){text, facet != CM_FACET_HOUR && ms % CM_DAY_MS == 0 ? 10 : 19};
}

/* Writes a time so that the order of labels is that of texts. What is equal to a label must be one.
 */
static int settle_time(reader_t *reader, cm_str_t *value)
{
    char text[CM_TIME_TEXT];
    int64_t ms;
    const cm_facet_t facet = reader->condition->dim.facet;

    if (!read_local(*value, &ms))
        return cm_fail(reader->err, CM_EUSAGE,
                       "%s: \"%.*s\" is no time; %s is compared with a date and time in the zone, "
                       "2026-11-29 or 2026-11-29 14:00:00",
                       reader->where, cm_names_shown(*value), value->data, cm_facet_names[facet]);
    const int64_t begin = begin_of(facet, ms);
    if (!is_comparison(reader->condition->op) && begin != ms) {
        const cm_str_t label = write_time(facet, begin, text);
        return cm_fail(reader->err, CM_EUSAGE, "%s: no %s begins at %.*s; write %.*s",
                       reader->where, cm_facet_names[facet], cm_names_shown(*value), value->data,
                       (int)label.len, label.data);
    }
    *value = cm_arena_copy(reader->arena, write_time(facet, ms, text));
    return 0;
}

static int settle_comparison(reader_t *reader)
{
    cm_condition_t *condition = reader->condition;
    const cm_facet_t facet = condition->dim.facet;
    int64_t min, max;

    if (facet >= CM_FACET_HOUR && facet <= CM_FACET_MONTH)
        return settle_time(reader, &condition->values[0]);
    if (facet != CM_FACET_PROP && !is_number(facet, &min, &max))
        return cm_fail(
            reader->err, CM_EUSAGE,
            "%s: %s is text; <, <=, > and >= compare numbers (props.KEY, engaged_ms) and "
            "times (hour, day, week, month, weekday, hour_of_day)",
            reader->where, cm_facet_names[facet]);
    if (!cm_decimal_parse(condition->values[0], &condition->number))
        return cm_fail(reader->err, CM_EUSAGE,
                       "%s: \"%.*s\" is no number; it has digits, a point and an exponent, at most "
                       "18 digits before and 9 behind the point",
                       reader->where, cm_names_shown(condition->values[0]),
                       condition->values[0].data);
    return 0;
}

/* Checks the values and makes of them what cm_condition_holds() needs. */
static int settle(reader_t *reader)
{
    cm_condition_t *condition = reader->condition;
    const cm_facet_t facet = condition->dim.facet;
    int64_t min, max;
    int rc = 0;

    if (is_comparison(condition->op))
        return settle_comparison(reader);
    if (condition->op == CM_OP_LIKE || condition->op == CM_OP_NOT_LIKE) {
        condition->pattern = cm_pattern_make(condition->values[0], reader->arena);
        return 0;
    }
    for (size_t i = 0; i < condition->count && rc == 0; i++) {
        if (is_number(facet, &min, &max))
            rc = settle_number(reader, &condition->values[i]);
        else if (cm_facet_is_of_time(facet))
            rc = settle_time(reader, &condition->values[i]);
    }
    if (rc == 0 && condition->count > 1)
        qsort(condition->values, condition->count, sizeof *condition->values, compare_values);
    return rc;
}

int cm_condition_parse(const char *text, cm_arena_t *arena, cm_condition_t *condition,
                       cm_err_t *err)
{
    const cm_str_t whole = cm_str_trim(cm_str(text));
    reader_t reader = {.rest = whole, .arena = arena, .condition = condition, .err = err};

    *condition = (cm_condition_t){.count = 0};
    if (!cm_utf8_valid(whole.data, whole.len))
        return cm_fail(err, CM_EUSAGE, "a condition is not UTF-8 text");
    snprintf(reader.where, sizeof reader.where, "the condition \"%.*s%s\"", cm_names_shown(whole),
             whole.data, (size_t)cm_names_shown(whole) < whole.len ? "..." : "");
    condition->text = cm_arena_copy(arena, whole);
    int rc = cm_dim_take(&reader.rest, true, reader.where, arena, &condition->dim, err);
    if (rc == 0)
        rc = take_operator(&reader);
    if (rc == 0)
        rc = take_values(&reader);
    return rc == 0 ? settle(&reader) : rc;
}

/* ---- the test ---- */

/* Compares a value with that of the condition; false when it is no number. */
static bool compare(const cm_condition_t *condition, cm_str_t value, int *order)
{
    cm_decimal_t number;
    const cm_facet_t facet = condition->dim.facet;

    if (facet >= CM_FACET_HOUR && facet <= CM_FACET_MONTH) {
        *order = cm_str_compare(value, condition->values[0]);
        return true;
    }
    if (!cm_decimal_parse(value, &number))
        return false;
    *order = cm_decimal_compare(number, condition->number);
    return true;
}

static bool is_in(const cm_condition_t *condition, cm_str_t value)
{
    return bsearch(&value, condition->values, condition->count, sizeof value, compare_values) !=
           NULL;
}

bool cm_condition_holds(const cm_condition_t *condition, cm_str_t value)
{
    const cm_condition_op_t op = condition->op;
    int order;

    if (value.data == NULL)
        return op == CM_OP_EMPTY || op == CM_OP_NOT_EQUAL || op == CM_OP_NOT_IN ||
               op == CM_OP_NOT_LIKE;
    switch (op) {
    case CM_OP_EQUAL:
        return cm_str_equal(value, condition->values[0]);
    case CM_OP_NOT_EQUAL:
        return !cm_str_equal(value, condition->values[0]);
    case CM_OP_LESS:
        return compare(condition, value, &order) && order < 0;
    case CM_OP_LESS_EQUAL:
        return compare(condition, value, &order) && order <= 0;
    case CM_OP_GREATER:
        return compare(condition, value, &order) && order > 0;
    case CM_OP_GREATER_EQUAL:
        return compare(condition, value, &order) && order >= 0;
    case CM_OP_LIKE:
        return cm_pattern_matches(condition->pattern, value);
    case CM_OP_NOT_LIKE:
        return !cm_pattern_matches(condition->pattern, value);
    case CM_OP_IN:
        return is_in(condition, value);
    case CM_OP_NOT_IN:
        return !is_in(condition, value);
    default:
        return op == CM_OP_NOT_EMPTY;
    }
}
