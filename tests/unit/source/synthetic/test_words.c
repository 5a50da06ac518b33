#include "enrich/countries.h"
#include "source/synthetic/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_distinct(char **texts, size_t count)
{
    qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(texts[i - 1], texts[i]) == 0)
            fail_msg("twice: %s", texts[i]);
    }
}

static void lists_hold_distinct_ascii(void **state)
{
    const cm_words_t *lists[] = {
        &cm_words_first_names,   &cm_words_last_names, &cm_words_countries, &cm_words_city_prefixes,
        &cm_words_city_suffixes, &cm_words_verbs,      &cm_words_things,    &cm_words_adjectives,
        &cm_words_topics,        &cm_words_audiences,
    };
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        char **copy = malloc(lists[i]->count * sizeof *copy);
        memcpy(copy, lists[i]->texts, lists[i]->count * sizeof *copy);
        assert_distinct(copy, lists[i]->count);
        free(copy);
        for (uint32_t j = 0; j < lists[i]->count; j++) {
            assert_true(strlen(lists[i]->texts[j]) >= 2);
            for (const char *c = lists[i]->texts[j]; *c; c++)
                assert_true(*c >= ' ' && *c <= '~');
        }
    }
}

static void names_can_be_joined_in_one_way_only(void **state)
{
    const cm_words_t *first = &cm_words_first_names, *last = &cm_words_last_names;
    size_t count = 0, cap = first->count + (26 + 2 * (size_t)first->count) * last->count;
    char **stems = malloc(cap * sizeof *stems);
    (void)state;

    for (uint32_t i = 0; i < first->count; i++) {
        stems[count++] = strdup(first->texts[i]);
        for (uint32_t j = 0; j < last->count; j++) {
            assert_true(asprintf(&stems[count++], "%s%s", first->texts[i], last->texts[j]) > 0);
            assert_true(asprintf(&stems[count++], "%s%s", last->texts[j], first->texts[i]) > 0);
        }
    }
    for (uint32_t j = 0; j < last->count; j++) {
        for (char letter = 'a'; letter <= 'z'; letter++)
            assert_true(asprintf(&stems[count++], "%c%s", letter, last->texts[j]) > 0);
    }
    assert_int_equal(count, cap);
    assert_distinct(stems, count);
    for (size_t i = 0; i < count; i++)
        free(stems[i]);
    free(stems);
}

static void there_are_countries_enough(void **state)
{
    (void)state;
    assert_int_equal(cm_words_countries.count, 219);
    assert_string_equal(cm_words_countries.texts[0], "IN");
    assert_string_equal(cm_words_countries.texts[2], "US");
    assert_string_equal(cm_words_countries.texts[218], "VA");
    /* Each has the name that GeoIP has for its code. */
    for (uint32_t i = 0; i < cm_words_countries.count; i++) {
        if (cm_country_name(cm_str(cm_words_countries.texts[i])).len == 0)
            fail_msg("no country: %s", cm_words_countries.texts[i]);
    }
    assert_true(cm_str_equal(cm_country_name(CM_STR("US")), CM_STR("United States")));
    assert_true(cm_str_equal(cm_country_name(CM_STR("RU")), CM_STR("Russia")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_hold_distinct_ascii),
        cmocka_unit_test(names_can_be_joined_in_one_way_only),
        cmocka_unit_test(there_are_countries_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
