/* Following an index: what the target refuses becomes dead letters of the store. */
#include "elastic_world.h"
#include "index_site.h"

#include "index/embedded/refresh.h"
#include "index/mirror.h"

/* A store whose puts or commits fail while it is told to. */
typedef struct broken_store {
    const cm_sink_ops_t *real;
    bool put_fails, commit_fails;
    int attempts;
} broken_store_t;

static broken_store_t broken;

static int broken_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    broken.attempts++;
    return broken.put_fails ? cm_fail(err, CM_EDISK, "no space")
                            : broken.real->put(sink, batch, err);
}

/* As the embedded store does it: what a failed commit had is rolled back. */
static int broken_commit(cm_sink_t *sink, cm_err_t *err)
{
    if (!broken.commit_fails)
        return broken.real->commit(sink, err);
    cm_store_embedded_rollback((cm_store_t *)sink, NULL);
    return cm_fail(err, CM_EDISK, "no space to commit");
}

/* Until the mirror's thread has pushed and refused a row, or for 5 seconds at most. */
static void wait_for_refusal(const cm_index_mirror_t *mirror)
{
    for (int i = 0; i < 500 && cm_index_mirror_applied(mirror).refused == 0; i++)
        cm_sleep_ms(10);
    assert_int_equal(cm_index_mirror_applied(mirror).refused, 1);
}

static int take_letter(void *context, const cm_store_letter_t *letter)
{
    cm_buf_printf(context, "%.*s|", (int)letter->reason.len, letter->reason.data);
    return 0;
}

static void check_letters(site_t *site, const char *expected)
{
    cm_buf_t letters = CM_BUF_INIT;
    cm_err_t err;

    cm_buf_reserve(&letters, 1);
    assert_ok(cm_store_each_letter(site->store, 0, 0, take_letter, &letters, &err), err);
    assert_string_equal(letters.data != NULL ? letters.data : "", expected);
    cm_buf_free(&letters);
}

static void fill(site_t *site)
{
    const cm_index_refresh_options_t options = {.windows = cm_window_mask(CM_WINDOW_ALL),
                                                .session_timeout = TIMEOUT,
                                                .clock = &site->clock};
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    site_click(site, "u1", site_day, "/a", "Peru");
    site_click(site, "u1", site_day + 1000, "/b", "Chile");
    site_commit(site);
    assert_ok(cm_index_refresh(site->store, &options, &refreshed, &err), err);
}

/* A letter and the checkpoint wait while the store fails to put or to commit the letter, and are
 * written once when it works again. */
static void test_letters_wait_for_the_store(void **state)
{
    static const atomic_bool stop;
    site_t *site = *state;
    cm_index_mirror_t *mirror;
    elastic_world_t server;
    cm_sink_ops_t ops;
    cm_err_t err;

    elastic_world_open(&server);
    elastic_world_refuse(&server, "\"url\":\"/b\",\"country\":\"Chile\"");
    fill(site);
    const cm_index_mirror_options_t options = {
        .source = {.data_dir = site->directory},
        .target = {.engine = CM_INDEX_ELASTICSEARCH, .elasticsearch = server.settings},
        .store = site->store,
        .stop = &stop,
        .messages = stderr};
    assert_ok(cm_index_mirror_start(&options, &mirror, &err), err);
    broken = (broken_store_t){.real = site->store->sink.ops, .put_fails = true};
    ops = *broken.real;
    ops.put = broken_put;
    ops.commit = broken_commit;
    site->store->sink.ops = &ops;

    cm_index_mirror_wake(mirror);
    wait_for_refusal(mirror);
    assert_int_equal(cm_index_mirror_collect(mirror, &err), CM_EDISK);
    assert_string_equal(err.text, "no space");
    broken.put_fails = false;
    broken.commit_fails = true;
    assert_int_equal(cm_index_mirror_collect(mirror, &err), CM_EDISK);
    assert_string_equal(err.text, "no space to commit");
    check_letters(site, "");
    broken.commit_fails = false;
    assert_ok(cm_index_mirror_finish(mirror, false, &err), err);
    assert_int_equal(broken.attempts, 3);
    site->store->sink.ops = broken.real;
    check_letters(site, "document_parsing_exception: not today|");
    cm_index_mirror_stop(mirror);
    elastic_world_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_letters_wait_for_the_store, site_set_up,
                                        site_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
