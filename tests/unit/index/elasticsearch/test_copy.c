/* index/elasticsearch/copy.h: what a copy of the index lacks, and what it has too much. */
#include "index/elasticsearch/copy.h"

#include "support.h"

#include <stdio.h>

static cm_answer_t answer_of(int number, cm_dimension_t dimension, cm_window_t window)
{
    static char urls[8][16];
    char *url = urls[number % 8];

    snprintf(url, sizeof urls[0], "/%d", number);
    return (cm_answer_t){.dimension = dimension,
                         .window = window,
                         .window_start = window == CM_WINDOW_ALL ? 0 : 3600000,
                         .url = cm_str(url),
                         .country = CM_STR("Peru"),
                         .measures = {.clicks = number + 1}};
}

static void add(cm_copy_t *copy, const cm_answer_t *answer)
{
    char id[CM_DOCUMENT_ID];

    cm_document_id(answer, id);
    assert_int_equal(cm_copy_add(copy, (cm_str_t){id, sizeof id}, answer), 0);
}

static bool has(cm_copy_t *copy, const cm_answer_t *answer)
{
    char id[CM_DOCUMENT_ID];

    cm_document_id(answer, id);
    return cm_copy_has(copy, answer, id);
}

typedef struct rest {
    int count[2];
    char last[64];
} rest_t;

static int take_rest(void *context, int part, cm_str_t id)
{
    rest_t *rest = context;

    rest->count[part]++;
    snprintf(rest->last, sizeof rest->last, "%.*s", (int)id.len, id.data);
    return 0;
}

static void test_equal_and_changed(void **state)
{
    cm_copy_t *copy = cm_copy_new(1u << CM_WINDOW_ALL);
    cm_answer_t same = answer_of(1, CM_PER_CELL, CM_WINDOW_ALL);
    cm_answer_t changed = answer_of(2, CM_PER_CELL, CM_WINDOW_ALL);
    cm_answer_t missing = answer_of(3, CM_PER_CELL, CM_WINDOW_ALL);
    rest_t rest = {0};
    (void)state;

    assert_false(has(copy, &same)); /* of an empty one */
    add(copy, &same);
    add(copy, &changed);
    changed.measures.exits++;
    assert_true(has(copy, &same));
    assert_false(has(copy, &changed));
    assert_false(has(copy, &missing));
    assert_int_equal(cm_copy_rest(copy, take_rest, &rest), 0);
    assert_int_equal(rest.count[0] + rest.count[1], 0);
    cm_copy_free(copy);
}

/* Averages that do not follow, another id than the content's, and no answer at all. */
static void test_spoiled(void **state)
{
    const cm_stored_average_t wrong[2] = {{true, 1.5}, {false, 0}};
    cm_copy_t *copy = cm_copy_new(1u << CM_WINDOW_ALL);
    cm_answer_t inexact = answer_of(1, CM_PER_CELL, CM_WINDOW_ALL);
    cm_answer_t moved = answer_of(2, CM_PER_CELL, CM_WINDOW_ALL);
    cm_answer_t other = answer_of(3, CM_PER_CELL, CM_WINDOW_ALL);
    char id[CM_DOCUMENT_ID];
    rest_t rest = {0};
    (void)state;

    inexact.stored = wrong;
    add(copy, &inexact);
    cm_document_id(&moved, id);
    assert_int_equal(cm_copy_add(copy, (cm_str_t){id, sizeof id}, &other), 0);
    assert_int_equal(cm_copy_add(copy, CM_STR("stray"), &other), 0);
    inexact.stored = NULL;
    assert_false(has(copy, &inexact));
    assert_false(has(copy, &moved));
    assert_int_equal(cm_copy_rest(copy, take_rest, &rest), 0);
    assert_int_equal(rest.count[0], 1);
    assert_string_equal(rest.last, "stray");
    cm_copy_free(copy);
}

/* Cells and totals do not mix, and documents of other windows stay. */
static void test_parts_and_windows(void **state)
{
    cm_copy_t *copy = cm_copy_new(1u << CM_WINDOW_ALL);
    cm_answer_t cell = answer_of(1, CM_PER_CELL, CM_WINDOW_ALL);
    cm_answer_t day = answer_of(1, CM_PER_CELL, CM_WINDOW_DAY);
    cm_answer_t total = answer_of(1, CM_PER_NOTHING, CM_WINDOW_ALL);
    rest_t rest = {0};
    (void)state;

    total.url = total.country = CM_STR("");
    add(copy, &cell);
    add(copy, &day);
    cm_copy_begin(copy, 1);
    add(copy, &total);
    assert_true(has(copy, &total));
    assert_int_equal(cm_copy_rest(copy, take_rest, &rest), 0);
    assert_int_equal(rest.count[0], 1); /* the cell: the day is not there */
    assert_int_equal(rest.count[1], 0);
    char id[CM_DOCUMENT_ID + 1] = "";
    cm_document_id(&cell, id);
    assert_string_equal(rest.last, id);
    cm_copy_free(copy);
}

static void test_many(void **state)
{
    enum { MANY = 5000 };
    cm_copy_t *copy = cm_copy_new(1u << CM_WINDOW_HOUR);
    rest_t rest = {0};
    (void)state;

    for (int i = 0; i < MANY; i++) {
        cm_answer_t answer = answer_of(i, CM_PER_CELL, CM_WINDOW_HOUR);
        add(copy, &answer);
    }
    for (int i = 0; i < MANY; i += 2) {
        cm_answer_t answer = answer_of(i, CM_PER_CELL, CM_WINDOW_HOUR);
        assert_true(has(copy, &answer));
    }
    assert_int_equal(cm_copy_rest(copy, take_rest, &rest), 0);
    assert_int_equal(rest.count[0], MANY / 2);
    cm_copy_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_and_changed),
        cmocka_unit_test(test_spoiled),
        cmocka_unit_test(test_parts_and_windows),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
