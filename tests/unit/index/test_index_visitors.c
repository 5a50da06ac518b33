/* Ids of visitors that live for one UTC day: what the freshness says of the users of all time, by
 * the store's record, by the configuration of the program that computes and of the one that reads,
 * in a mirror, and what verify finds. */
#include "index_site.h"

#include "index/computed.h"
#include "index/embedded/refresh.h"
#include "index/open.h"
#include "index/verify.h"
#include "store/memory.h"

enum { DAY = 86400000 };

static cm_index_refresh_options_t options_of(const site_t *site, bool daily)
{
    return (cm_index_refresh_options_t){.windows = cm_window_mask(CM_WINDOW_ALL) |
                                                   cm_window_mask(CM_WINDOW_DAY),
                                        .session_timeout = TIMEOUT,
                                        .threads = 1,
                                        .daily = daily,
                                        .clock = &site->clock};
}

/* `daily`: the configuration says so. */
static void refresh(site_t *site, bool daily)
{
    const cm_index_refresh_options_t options = options_of(site, daily);
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    site_commit(site);
    assert_ok(cm_index_refresh(site->store, &options, &refreshed, &err), err);
}

/* The batch's events as another store. */
static void refresh_from(site_t *site, bool daily)
{
    const cm_index_refresh_options_t options = options_of(site, daily);
    cm_store_t *other = cm_memory_new();
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    test_put(other, &site->batch);
    test_commit(other);
    assert_ok(cm_index_refresh_from(other, site->store, &options, &refreshed, &err), err);
    cm_store_close(other);
    cm_batch_clear(&site->batch);
}

static cm_index_t *open_index(const site_t *site, bool daily)
{
    const cm_index_settings_t settings = {.data_dir = site->directory, .daily = daily};
    cm_index_t *index;
    cm_err_t err;

    assert_ok(cm_index_open(&settings, &index, &err), err);
    return index;
}

/* What the users of all time are called; "" where nothing says how long ids live. `daily`: the
 * reader's configuration says so. Those of a day are users. */
static const char *called(const site_t *site, bool daily)
{
    cm_index_t *index = open_index(site, daily);
    cm_freshness_t all, day;
    cm_err_t err;

    assert_ok(cm_index_freshness(index, CM_WINDOW_ALL, &all, &err), err);
    assert_ok(cm_index_freshness(index, CM_WINDOW_DAY, &day, &err), err);
    assert_string_equal(cm_freshness_visitors(&day), "users");
    assert_int_equal(day.daily_ids, all.daily_ids);
    cm_index_close(index);
    return all.daily_ids ? cm_freshness_visitors(&all) : "";
}

/* ---- the events of the directory ---- */

static void recorded(void **state)
{
    site_t *site = *state;
    bool daily;
    cm_err_t err;

    site_click(site, "u", site_day, "/", "X");
    refresh(site, false);
    assert_string_equal(called(site, false), "");
    assert_ok(cm_store_daily(site->store, &daily, &err), err);
    assert_false(daily);
    assert_ok(cm_store_set_daily(site->store, &err), err);
    site_click(site, "v", site_day + DAY - 1, "/", "X");
    refresh(site, false);
    assert_ok(cm_store_daily(site->store, &daily, &err), err);
    assert_true(daily);
    assert_string_equal(called(site, false), "users");
    site_click(site, "v", site_day + DAY, "/", "X");
    refresh(site, false);
    assert_string_equal(called(site, false), "daily");
}

/* The configuration may change while no event comes. */
static void said_where_answers_are_computed(void **state)
{
    site_t *site = *state;

    site_click(site, "u", site_day, "/", "X");
    refresh(site, true);
    assert_string_equal(called(site, false), "users");
    site_click(site, "v", site_day - 1, "/", "X");
    refresh(site, true);
    assert_string_equal(called(site, false), "daily");
    refresh(site, false);
    assert_string_equal(called(site, false), "");
    refresh(site, true);
    assert_string_equal(called(site, false), "daily");
}

static void said_where_they_are_read(void **state)
{
    site_t *site = *state;

    site_click(site, "u", site_day, "/", "X");
    refresh(site, false);
    assert_string_equal(called(site, true), "users");
    site_click(site, "v", site_day + DAY, "/", "X");
    refresh(site, false);
    assert_string_equal(called(site, true), "daily");
    assert_string_equal(called(site, false), "");
}

/* ---- another store's events ---- */

static void of_another_store(void **state)
{
    site_t *site = *state;
    cm_err_t err;

    assert_ok(cm_store_set_daily(site->store, &err), err); /* of the directory's events alone */
    site_click(site, "v", site_day - DAY, "/", "X");
    refresh(site, false);
    site_click(site, "u", site_day, "/", "X");
    site_click(site, "v", site_day + DAY - 1, "/", "X");
    refresh_from(site, true);
    assert_string_equal(called(site, false), "users");
    assert_string_equal(called(site, true), "users");
    site_click(site, "u", site_day, "/", "X");
    site_click(site, "v", site_day + DAY, "/", "X");
    refresh_from(site, true);
    assert_string_equal(called(site, false), "daily");
    site_click(site, "u", site_day, "/", "X");
    refresh_from(site, false);
    assert_string_equal(called(site, false), "");
    assert_string_equal(called(site, true), "daily"); /* the days are not known */
}

/* ---- a mirror, and verify ---- */

static void copy(site_t *from, site_t *to)
{
    const cm_index_settings_t settings = {.data_dir = to->directory, .daily = true};
    cm_index_checkpoint_t checkpoint = {.watermark = 0};
    cm_index_t *source = open_index(from, false), *target;
    cm_index_applied_t applied = {0};
    cm_freshness_t made, copied;
    cm_err_t err;

    assert_ok(cm_index_open_writer(&settings, to->store, &target, &err), err);
    assert_ok(cm_index_apply(target, source, &(cm_index_apply_t){.rebuild = false}, &checkpoint,
                             &applied, &err),
              err);
    assert_ok(cm_index_freshness(source, CM_WINDOW_ALL, &made, &err), err);
    assert_ok(cm_index_freshness(target, CM_WINDOW_ALL, &copied, &err), err);
    /* Not what the configuration of the writer's own handle says. */
    assert_int_equal(copied.daily_ids, made.daily_ids);
    assert_int_equal(copied.daily_visitors, made.daily_visitors);
    cm_index_close(source);
    cm_index_close(target);
}

static void in_a_mirror(void **state)
{
    site_t *site = *state, *mirror;
    void *other;
    cm_err_t err;

    site_set_up(&other);
    mirror = other;
    site_click(site, "u", site_day, "/", "X");
    refresh(site, false);
    copy(site, mirror);
    assert_string_equal(called(mirror, false), "");
    assert_ok(cm_store_set_daily(site->store, &err), err);
    site_click(site, "v", site_day, "/", "X");
    refresh(site, false);
    copy(site, mirror);
    assert_string_equal(called(mirror, false), "users");
    site_click(site, "v", site_day + DAY, "/", "X");
    refresh(site, false);
    copy(site, mirror);
    assert_string_equal(called(mirror, false), "daily");
    site_tear_down(&other);
}

static int ignore(void *context, const cm_index_discrepancy_t *discrepancy)
{
    (void)context;
    (void)discrepancy;
    return 0;
}

/* Compares with the events; `daily`: their ids live for one day. */
static cm_index_verified_t verify(site_t *site, cm_index_t *index, bool daily, unsigned windows)
{
    const cm_mill_options_t options = {.session_timeout = TIMEOUT,
                                       .windows = cm_window_mask(CM_WINDOW_ALL) |
                                                  cm_window_mask(CM_WINDOW_DAY),
                                       .threads = 1,
                                       .reader = cm_store_reader_of,
                                       .context = site->store};
    cm_index_verified_t verified = {0};
    cm_mill_result_t result;
    cm_reader_t *strings;
    cm_err_t err;

    assert_ok(cm_mill(&options, &result, &err), err);
    assert_ok(cm_store_reader(site->store, &strings, &err), err);
    cm_index_t *expected = cm_index_computed_new(&result, strings, daily);
    assert_ok(cm_index_verify(
                  &(cm_index_verify_options_t){
                      .expected = expected, .actual = index, .windows = windows, .found = ignore},
                  &verified, &err),
              err);
    cm_index_close(expected);
    cm_reader_close(strings);
    cm_mill_result_free(&result);
    return verified;
}

static void verified(void **state)
{
    const unsigned all = cm_window_mask(CM_WINDOW_ALL);
    site_t *site = *state;

    site_click(site, "u", site_day, "/", "X");
    site_click(site, "v", site_day + DAY, "/", "X");
    refresh(site, false);
    cm_index_t *index = open_index(site, false);
    cm_index_verified_t done = verify(site, index, true, all);
    assert_int_equal(cm_index_verified_wrong(&done), 1);
    assert_true(done.miscalled && done.daily);
    done = verify(site, index, true, cm_window_mask(CM_WINDOW_DAY));
    assert_int_equal(cm_index_verified_wrong(&done), 0);
    done = verify(site, index, false, all);
    assert_int_equal(cm_index_verified_wrong(&done), 0);
    refresh(site, true);
    done = verify(site, index, true, all);
    assert_int_equal(cm_index_verified_wrong(&done), 0);
    /* Where nothing says how long ids live, the word is not compared. */
    done = verify(site, index, false, all);
    assert_int_equal(cm_index_verified_wrong(&done), 0);
    cm_index_close(index);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_set_up, site_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(recorded),
        TEST(said_where_answers_are_computed),
        TEST(said_where_they_are_read),
        TEST(of_another_store),
        TEST(in_a_mirror),
        TEST(verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
