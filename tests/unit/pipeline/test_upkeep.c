/* The upkeep of the answers: when a refresh is due, and what it covers, with a thread and without.
 * The clock is the test's own. */
#include "pipeline/upkeep.h"

#include "index_site.h"

static int64_t now_ns;

static int64_t fake_ticks(void)
{
    return now_ns;
}

static void open_upkeep(cm_upkeep_t *upkeep, site_t *site, int64_t every_ms)
{
    const cm_pipeline_env_t env = {.ticks_ns = fake_ticks};
    const cm_index_refresh_options_t options = {.windows = cm_window_mask(CM_WINDOW_ALL),
                                                .session_timeout = TIMEOUT,
                                                .memory = INT64_C(1) << 30,
                                                .threads = 1,
                                                .clock = &site->clock};

    now_ns = INT64_C(1000000000000);
    cm_upkeep_open(upkeep, &env, site->store, &options, every_ms);
}

/* Waits until the thread has ended, which the fake clock does not say. */
static void wait_for_thread(const cm_upkeep_t *upkeep)
{
    for (int i = 0; i < 5000 && !cm_upkeep_due(upkeep, now_ns); i++)
        cm_sleep_ms(1);
    assert_true(cm_upkeep_due(upkeep, now_ns));
}

/* By this thread: the time runs from the beginning of the last refresh. */
static void here(void **state)
{
    site_t *site = *state;
    cm_upkeep_t upkeep;
    cm_err_t err;

    open_upkeep(&upkeep, site, 1000);
    assert_true(cm_upkeep_due(&upkeep, now_ns));
    assert_ok(cm_upkeep_whole(&upkeep, &err), err);
    assert_int_equal(upkeep.answers.events, 0);
    now_ns += INT64_C(999999999);
    assert_false(cm_upkeep_due(&upkeep, now_ns));
    now_ns++;
    assert_true(cm_upkeep_due(&upkeep, now_ns));

    site_click(site, "ada", site_day, "/", "Norway");
    site_click(site, "bob", site_day, "/a", "Chile");
    site_commit(site);
    assert_ok(cm_upkeep_step(&upkeep, &err), err);
    assert_false(cm_upkeep_due(&upkeep, now_ns));
    assert_true(upkeep.answers.changed);
    assert_int_equal(upkeep.answers.events, 2);
    assert_int_equal(upkeep.answers.cells, 2);
    assert_ok(cm_upkeep_step(&upkeep, &err), err);
    assert_false(upkeep.answers.changed);
    cm_upkeep_close(&upkeep);
}

/* After a click of a person 250 ms are enough, unless refreshes are more frequent anyway. */
static void sooner_after_a_click(void **state)
{
    site_t *site = *state;
    cm_upkeep_t upkeep;
    cm_err_t err;

    open_upkeep(&upkeep, site, 1000);
    assert_ok(cm_upkeep_whole(&upkeep, &err), err);
    upkeep.clicked = true;
    assert_false(cm_upkeep_due(&upkeep, now_ns + INT64_C(249999999)));
    assert_true(cm_upkeep_due(&upkeep, now_ns + INT64_C(250000000)));
    upkeep.every_ms = 100;
    assert_false(cm_upkeep_due(&upkeep, now_ns + INT64_C(99999999)));
    assert_true(cm_upkeep_due(&upkeep, now_ns + INT64_C(100000000)));
    cm_upkeep_close(&upkeep);
}

/* By a thread: one step begins, the next one writes what was committed before the first. */
static void beside(void **state)
{
    site_t *site = *state;
    cm_upkeep_t upkeep;
    cm_err_t err;

    open_upkeep(&upkeep, site, 1000);
    upkeep.beside = true;
    site_click(site, "ada", site_day, "/", "Norway");
    site_commit(site);
    assert_ok(cm_upkeep_step(&upkeep, &err), err);
    assert_int_equal(upkeep.answers.events, 0);
    site_click(site, "bob", site_day, "/a", "Chile");
    site_commit(site);
    wait_for_thread(&upkeep);
    now_ns += 5000000;
    assert_ok(cm_upkeep_step(&upkeep, &err), err);
    assert_int_equal(upkeep.answers.events, 1);
    assert_false(cm_upkeep_due(&upkeep, now_ns + INT64_C(999999999)));
    assert_true(cm_upkeep_due(&upkeep, now_ns + INT64_C(1000000000)));
    assert_ok(cm_upkeep_whole(&upkeep, &err), err);
    assert_int_equal(upkeep.answers.events, 2);
    cm_upkeep_close(&upkeep);
}

/* What is at work is given up, or ended by a whole refresh. */
static void close_and_whole_while_at_work(void **state)
{
    site_t *site = *state;
    cm_upkeep_t upkeep;
    cm_err_t err;

    open_upkeep(&upkeep, site, 1000);
    upkeep.beside = true;
    site_click(site, "ada", site_day, "/", "Norway");
    site_commit(site);
    assert_ok(cm_upkeep_step(&upkeep, &err), err);
    site_click(site, "ada", site_day + 1000, "/a", "Norway");
    site_commit(site);
    assert_ok(cm_upkeep_whole(&upkeep, &err), err);
    assert_int_equal(upkeep.answers.events, 2);
    assert_ok(cm_upkeep_step(&upkeep, &err), err);
    cm_upkeep_close(&upkeep);
    assert_null(upkeep.refreshing);
    cm_upkeep_close(&upkeep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(here, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(sooner_after_a_click, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(beside, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(close_and_whole_while_at_work, site_set_up, site_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
