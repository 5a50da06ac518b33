/* What `query` takes for the nearest name, and tables on terminals of every width. */
#include "support.h"

#include "base/terminal.h"
#include "cmd/query_nearest.h"
#include "cmd/query_table.h"

static const cm_str_t countries[] = {CM_STR("United States"), CM_STR("Germany"),
                                     CM_STR("Côte d'Ivoire"), CM_STR("United Arab Emirates"),
                                     CM_STR("日本"),          CM_STR("")};
static const cm_str_t urls[] = {
    CM_STR("https://www.example.com/"), CM_STR("https://www.example.com/shop/about"),
    CM_STR("https://www.example.com/about"), CM_STR("https://www.example.com/[a]/b")};

static void expect_nearest(bool of_countries, const char *word, const char *wanted)
{
    const cm_str_t *names = of_countries ? countries : urls;
    const size_t count =
        of_countries ? sizeof countries / sizeof countries[0] : sizeof urls / sizeof urls[0];
    const cm_str_t *near = cm_query_nearest(word, names, count, of_countries);

    if (wanted == NULL) {
        assert_null(near);
        return;
    }
    assert_non_null(near);
    assert_int_equal(near->len, strlen(wanted));
    assert_memory_equal(near->data, wanted, near->len);
}

static void test_countries(void **state)
{
    (void)state;
    expect_nearest(true, "germany", "Germany");
    expect_nearest(true, "Grmany", "Germany");
    expect_nearest(true, "de", "Germany");
    expect_nearest(true, "usa", "United States");
    expect_nearest(true, "uae", "United Arab Emirates");
    expect_nearest(true, "emirates", "United Arab Emirates");
    expect_nearest(true, "united", "United States"); /* the first has most clicks */
    expect_nearest(true, "CÔTE D'IVOIRE", "Côte d'Ivoire");
    expect_nearest(true, "Cote d'Ivoire", "Côte d'Ivoire");
    expect_nearest(true, "日", "日本");
    expect_nearest(true, "Atlantis", NULL);
    expect_nearest(true, "\xff", NULL);
    assert_null(cm_query_nearest("x", countries, 0, true));
}

static void test_urls(void **state)
{
    (void)state;
    expect_nearest(false, "http://www.example.com/about", "https://www.example.com/about");
    expect_nearest(false, "https://www.example.com/abuot", "https://www.example.com/about");
    expect_nearest(false, "HTTPS://WWW.EXAMPLE.COM/", "https://www.example.com/");
    expect_nearest(false, "/shop/", "https://www.example.com/shop/about");
    expect_nearest(false, "/about", "https://www.example.com/shop/about");
    expect_nearest(false, "*/ABOUT", "https://www.example.com/shop/about");
    expect_nearest(false, "https://www.example.com/[A]/?", "https://www.example.com/[a]/b");
    expect_nearest(false, "us", NULL); /* a country's code is no page */
    expect_nearest(false, "*nowhere*", NULL);
    expect_nearest(false, "", NULL);
}

/* Rows as wide as the widest number and the longest names make them. */
static void fill(cm_query_table_t *table)
{
    for (int i = 0; i < 3; i++) {
        const cm_answer_t answer = {
            .dimension = table->dimension,
            .window = table->window,
            .url = i == 0 ? CM_STR("日本日本日本日本日本日本日本日本日本日本日本日本日本日本")
                          : urls[i],
            .country = i == 0 ? CM_STR("日本日本日本日本日本日本日本日本日本") : countries[i],
            .measures = {
                .clicks = 123456789012, .users = i, .time_spent_sum = 1, .time_spent_count = i}};
        cm_query_table_add(table, &answer);
    }
}

/* Down to what two names and two numbers take, no line is wider than the terminal. */
static void test_every_width(void **state)
{
    enum { LEAST = 8 + 2 + 8 + 2 + 15 + 2 + 14 };
    (void)state;

    for (size_t width = 1; width < 150; width++) {
        for (int dimension = 0; dimension < CM_DIMENSION_COUNT; dimension++) {
            const cm_index_query_t query = {.dimension = (cm_dimension_t)dimension};
            cm_query_table_t table;
            cm_buf_t out = CM_BUF_INIT;
            cm_query_table_start(&table, &query, true, width);
            fill(&table);
            const size_t shown = cm_text_table_print(&table.table, &out);
            size_t len = strcspn(out.data, "\n"), lines = 0;
            for (const char *at = out.data; *at != '\0'; at += len + 1, lines++) {
                len = strcspn(at, "\n");
                size_t columns = cm_terminal_columns((cm_str_t){at, len});
                assert_true(columns <= width || width < LEAST);
            }
            assert_int_equal(lines, 4);
            assert_true(shown == table.table.column_count || width < 140);
            cm_buf_free(&out);
            cm_query_table_free(&table);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_countries),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
