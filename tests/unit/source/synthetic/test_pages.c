#include "source/synthetic/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_url(const cm_pages_t *pages, uint32_t page, const char *expected)
{
    cm_str_t url = cm_pages_url(pages, page);
    assert_int_equal(url.len, strlen(expected));
    assert_memory_equal(url.data, expected, url.len);
}

static void the_first_ten_are_the_demo_site(void **state)
{
    cm_pages_t pages;
    (void)state;
    assert_int_equal(cm_pages_init(&pages, 16, NULL), 0);
    assert_url(&pages, 0, "https://www.example.com/");
    assert_url(&pages, 1, "https://www.example.com/home");
    assert_url(&pages, 2, "https://www.example.com/about");
    assert_url(&pages, 3, "https://www.example.com/contact");
    assert_url(&pages, 4, "https://www.example.com/products");
    assert_url(&pages, 5, "https://www.example.com/services");
    assert_url(&pages, 6, "https://www.example.com/blog");
    assert_url(&pages, 7, "https://www.example.com/faq");
    assert_url(&pages, 8, "https://www.example.com/pricing");
    assert_url(&pages, 9, "https://www.example.com/login");
    assert_url(&pages, 10, "https://www.example.com/products/green-broom-1");
    assert_url(&pages, 11, "https://www.example.com/blog/how-to-fold-a-modern-desk");
    assert_url(&pages, 12, "https://www.example.com/services/performance-for-developers");
    assert_url(&pages, 13, "https://www.example.com/faq/sales-1");
    assert_url(&pages, 14, "https://www.example.com/blog/2021/05/tracking-a-checklist");
    assert_url(&pages, 15, "https://www.example.com/products/pale-mug-2");
    cm_pages_free(&pages);
}

static int by_text(const void *a, const void *b)
{
    return cm_str_compare(*(const cm_str_t *)a, *(const cm_str_t *)b);
}

static void a_million_are_distinct(void **state)
{
    enum { COUNT = CM_PAGES_MAX };
    cm_pages_t pages;
    cm_str_t *urls = malloc(COUNT * sizeof *urls);
    (void)state;

    assert_int_equal(cm_pages_init(&pages, COUNT, NULL), 0);
    for (uint32_t page = 0; page < COUNT; page++) {
        urls[page] = cm_pages_url(&pages, page);
        if (urls[page].len < 24 || urls[page].len >= CM_PAGES_URL_MAX - 24)
            fail_msg("page %u has %zu bytes", page, urls[page].len);
    }
    qsort(urls, COUNT, sizeof *urls, by_text);
    for (uint32_t page = 1; page < COUNT; page++) {
        if (cm_str_equal(urls[page - 1], urls[page]))
            fail_msg("twice: %.*s", (int)urls[page].len, urls[page].data);
    }
    free(urls);
    cm_pages_free(&pages);
}

static void refuses_none_and_too_many(void **state)
{
    cm_pages_t pages;
    cm_err_t err;
    (void)state;
    assert_int_equal(cm_pages_init(&pages, 0, &err), CM_EUSAGE);
    assert_string_equal(err.text, "0 URLs cannot be generated; give a number from 1 to 1000000");
    assert_int_equal(cm_pages_init(&pages, 1000001, &err), CM_EUSAGE);
    assert_string_equal(err.text,
                        "1000001 URLs cannot be generated; give a number from 1 to 1000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_ten_are_the_demo_site),
        cmocka_unit_test(a_million_are_distinct),
        cmocka_unit_test(refuses_none_and_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
