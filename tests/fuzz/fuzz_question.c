/* A question as text: what is read is within its limits, its names and conditions are read again as
 * the same, and of a condition and its opposite one holds for every value. The input is lines: by,
 * measures, from, to, step, zone, compare, sort, then conditions; an empty line is not given. */
#include "fuzz.h"
#include "mill/names.h"
#include "mill/question.h"

enum { TEXTS = 8, CONDITIONS = 70 };

typedef struct input {
    char *texts[TEXTS];
    const char *conditions[CONDITIONS + 1];
} input_t;

/* Cuts the lines in place. */
static void cut(char *lines, input_t *input)
{
    size_t count = 0;

    for (char *line = lines, *next; line != NULL && count < TEXTS + CONDITIONS; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (count < TEXTS)
            input->texts[count] = line[0] != '\0' ? line : NULL;
        else
            input->conditions[count - TEXTS] = line;
        count++;
    }
}

static void check_condition(const cm_condition_t *condition)
{
    static const cm_condition_op_t opposites[] = {
        [CM_OP_EQUAL] = CM_OP_NOT_EQUAL,    [CM_OP_LESS] = CM_OP_GREATER_EQUAL,
        [CM_OP_GREATER] = CM_OP_LESS_EQUAL, [CM_OP_LIKE] = CM_OP_NOT_LIKE,
        [CM_OP_IN] = CM_OP_NOT_IN,          [CM_OP_EMPTY] = CM_OP_NOT_EMPTY,
        [CM_OP_NOT_EQUAL] = CM_OP_EQUAL,    [CM_OP_LESS_EQUAL] = CM_OP_GREATER,
        [CM_OP_GREATER_EQUAL] = CM_OP_LESS, [CM_OP_NOT_LIKE] = CM_OP_LIKE,
        [CM_OP_NOT_IN] = CM_OP_IN,          [CM_OP_NOT_EMPTY] = CM_OP_EMPTY,
    };
    cm_condition_t opposite = *condition;
    const bool comparison = condition->op >= CM_OP_LESS && condition->op <= CM_OP_GREATER_EQUAL;
    cm_decimal_t number;

    opposite.op = opposites[condition->op];
    for (size_t v = 0; v <= condition->count + 1; v++) {
        const cm_str_t value = v < condition->count    ? condition->values[v]
                               : v == condition->count ? condition->text
                                                       : (cm_str_t){NULL, 0};
        const bool holds = cm_condition_holds(condition, value);
        const bool other = cm_condition_holds(&opposite, value);
        /* For what is no number no comparison holds. */
        if (comparison && (value.data == NULL || !cm_decimal_parse(value, &number)))
            FUZZ_CHECK(!holds || !other);
        else
            FUZZ_CHECK(holds != other);
        if (v < condition->count && condition->op == CM_OP_IN)
            FUZZ_CHECK(holds);
    }
    if (condition->op == CM_OP_EQUAL)
        FUZZ_CHECK(cm_condition_holds(condition, condition->values[0]));
}

static void check_again(const cm_condition_t *condition, cm_arena_t *arena)
{
    cm_condition_t again;
    cm_err_t err;
    char *text = fuzz_copy(condition->text.data, condition->text.len, 1, '\0');

    FUZZ_CHECK(cm_condition_parse(text, arena, &again, &err) == 0);
    FUZZ_CHECK(again.op == condition->op && again.count == condition->count);
    FUZZ_CHECK(again.dim.facet == condition->dim.facet);
    for (size_t v = 0; v < again.count; v++)
        FUZZ_CHECK(cm_str_equal(again.values[v], condition->values[v]));
    free(text);
    check_condition(condition);
}

/* The names, with commas between them, are the same list. */
static void check_names(const cm_question_t *question)
{
    cm_question_t again = {.dim_count = 0};
    cm_buf_t dims = CM_BUF_INIT, measures = CM_BUF_INIT;
    cm_err_t err;

    for (size_t d = 0; d < question->dim_count; d++) {
        cm_buf_add_text(&dims, d > 0 ? "," : "");
        cm_buf_add_str(&dims, question->dims[d].name);
    }
    for (size_t m = 0; m < question->measure_count; m++) {
        cm_buf_add_text(&measures, m > 0 ? "," : "");
        cm_buf_add_str(&measures, question->measures[m].name);
    }
    FUZZ_CHECK(cm_dim_list((cm_str_t){dims.data, dims.len}, "", &again, &err) == 0);
    FUZZ_CHECK(cm_measure_list((cm_str_t){measures.data, measures.len}, "", &again, &err) == 0);
    FUZZ_CHECK(again.dim_count == question->dim_count);
    FUZZ_CHECK(again.measure_count == question->measure_count);
    FUZZ_CHECK(again.counters == question->counters && again.prop_count == question->prop_count);
    for (size_t d = 0; d < again.dim_count; d++) {
        FUZZ_CHECK(cm_str_equal(again.dims[d].name, question->dims[d].name));
        FUZZ_CHECK(cm_str_equal(again.dims[d].key, question->dims[d].key));
    }
    cm_buf_free(&dims);
    cm_buf_free(&measures);
    cm_question_free(&again);
}

static void check(cm_question_t *question)
{
    FUZZ_CHECK(question->dim_count <= CM_QUESTION_DIMS_MAX && question->measure_count > 0);
    FUZZ_CHECK(question->prop_count <= CM_QUESTION_PROPS_MAX);
    FUZZ_CHECK(question->where_count <= CM_QUESTION_CONDITIONS_MAX);
    FUZZ_CHECK(question->span.from < question->span.to);
    FUZZ_CHECK(question->sort <
               (question->sort_is_dim ? question->dim_count : question->measure_count));
    if (question->compare != CM_COMPARE_NONE)
        FUZZ_CHECK(question->before.from < question->before.to);
    if (question->compare == CM_COMPARE_PREVIOUS)
        FUZZ_CHECK(question->before.to <= question->span.from);
    check_names(question);
    for (size_t i = 0; i < question->where_count; i++)
        check_again(&question->where[i], &question->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines = fuzz_copy(data, size, 1, '\0');
    input_t input = {.texts = {NULL}};
    cm_question_t question;
    cm_err_t err = {0};

    cut(lines, &input);
    const cm_question_text_t text = {.by = input.texts[0],
                                     .measures = input.texts[1],
                                     .from = input.texts[2],
                                     .to = input.texts[3],
                                     .step = input.texts[4],
                                     .zone = input.texts[5],
                                     .compare = input.texts[6],
                                     .sort = input.texts[7],
                                     .where = input.conditions,
                                     .now = INT64_C(1796114823250),
                                     .parameters = size % 2 == 1};
    const int rc = cm_question_parse(&text, &question, &err);
    if (rc == 0)
        check(&question);
    else
        fuzz_check_refusal(rc, CM_EUSAGE, &err);
    cm_question_free(&question);
    free(lines);
    return 0;
}
