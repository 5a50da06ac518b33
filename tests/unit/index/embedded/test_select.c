/* Questions find their rows: how many steps of SQLite's machine they take where there are many rows
 * that are not asked for, and that they end when the client no longer waits. */
#include "index_site.h"

#include "index/embedded/embedded.h"
#include "index/embedded/refresh.h"
#include "index/embedded/select.h"

enum { HOURS = 300, PAGES = 60, FEW = 4, MANY = 40 };

/* A click on each page in each hour, from one of two countries. */
static void fill(site_t *site)
{
    char urls[PAGES][8];
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    for (int page = 0; page < PAGES; page++)
        snprintf(urls[page], sizeof urls[page], "/%d", page);
    for (int hour = 0; hour < HOURS; hour++) {
        for (int page = 0; page < PAGES; page++)
            site_click(site, "u", site_day + hour * CM_HOUR_MS + page, urls[page],
                       page % 2 ? "Peru" : "Chad");
        site_commit(site);
    }
    const cm_index_refresh_options_t options = {.windows = CM_WINDOWS_EVERY,
                                                .session_timeout = TIMEOUT,
                                                .clock = &site->clock,
                                                .threads = 1};
    assert_ok(cm_index_refresh(site->store, &options, &refreshed, &err), err);
    assert_int_equal(refreshed.events, HOURS * PAGES);
}

typedef struct asked {
    int looks; /* one each 10,000 steps */
    int most;  /* after which the client no longer waits */
    int64_t rows, clicks;
} asked_t;

static bool gives_up(void *context)
{
    asked_t *asked = context;

    return ++asked->looks > asked->most;
}

static int take(void *context, const cm_answer_t *answer)
{
    asked_t *asked = context;

    asked->rows++;
    asked->clicks += answer->measures.clicks;
    return 0;
}

static int ask(site_t *site, cm_index_query_t query, bool unchecked, asked_t *asked)
{
    cm_index_t *index;
    cm_err_t err;

    query.gives_up = gives_up;
    query.gives_up_context = asked;
    assert_ok(cm_index_embedded_open(site->directory, &index, &err), err);
    index->unchecked = unchecked;
    int rc = cm_index_query(index, &query, take, asked, &err);
    cm_index_close(index);
    return rc;
}

static void expect(site_t *site, cm_index_query_t query, int looks, int64_t rows, int64_t clicks)
{
    for (int unchecked = 0; unchecked < 2; unchecked++) {
        asked_t asked = {.most = 1 << 30};
        assert_int_equal(ask(site, query, unchecked, &asked), 0);
        assert_int_equal(asked.rows, rows);
        assert_int_equal(asked.clicks, clicks);
        if (asked.looks > looks)
            fail_msg("it took %d times 10,000 steps, at most %d are right", asked.looks, looks);
    }
}

static void test_steps(void **state)
{
    site_t *site = *state;
    const int64_t hour = site_day + 7 * CM_HOUR_MS;
    cm_index_query_t query = {.dimension = CM_PER_URL, .window = CM_WINDOW_HOUR, .limit = 100000};

    fill(site);
    /* That the measure measures: all rows of pages, which are sorted. */
    asked_t asked = {.most = 1 << 30};
    assert_int_equal(ask(site, query, true, &asked), 0);
    assert_int_equal(asked.rows, HOURS * PAGES);
    assert_true(asked.looks > MANY);

    query =
        (cm_index_query_t){.dimension = CM_PER_NOTHING, .window = CM_WINDOW_HOUR, .limit = 100000};
    expect(site, query, FEW, HOURS, HOURS * PAGES);
    query.sort = CM_SORT_WINDOW;
    query.limit = 1;
    expect(site, query, FEW, 1, PAGES);
    query.dimension = CM_PER_COUNTRY;
    query.limit = 100000;
    expect(site, query, 2 * FEW, HOURS * 2, HOURS * PAGES);
    query.country = "Peru";
    expect(site, query, 2 * FEW, HOURS, HOURS * PAGES / 2);
    query.from = hour;
    query.to = hour + CM_HOUR_MS;
    expect(site, query, FEW, 1, PAGES / 2);
    query.country = NULL;
    for (int dimension = 0; dimension < CM_DIMENSION_COUNT; dimension++) {
        const int64_t rows[] = {[CM_PER_CELL] = PAGES,
                                [CM_PER_URL] = PAGES,
                                [CM_PER_COUNTRY] = 2,
                                [CM_PER_NOTHING] = 1};
        query.dimension = (cm_dimension_t)dimension;
        expect(site, query, FEW, rows[dimension], PAGES);
    }
    query.dimension = CM_PER_URL;
    query.url = "/7";
    expect(site, query, FEW, 1, 1);
    query.url = "*/?";
    expect(site, query, FEW, 10, 10);
    query = (cm_index_query_t){.dimension = CM_PER_COUNTRY, .window = CM_WINDOW_ALL, .limit = 100};
    expect(site, query, FEW, 2, HOURS * PAGES);
}

static void test_client_gives_up(void **state)
{
    site_t *site = *state;
    asked_t asked = {.most = 3};

    fill(site);
    const cm_index_query_t query = {.dimension = CM_PER_CELL, .window = CM_WINDOW_HOUR};
    assert_int_equal(ask(site, query, false, &asked), CM_ESTOP);
    assert_int_equal(asked.rows, 0);
    assert_int_equal(asked.looks, 4);
    /* The next one of the connection is not disturbed. */
    asked = (asked_t){.most = 1 << 30};
    assert_int_equal(ask(site, query, false, &asked), 0);
    assert_int_equal(asked.rows, HOURS * PAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steps, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_client_gives_up, site_set_up, site_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
