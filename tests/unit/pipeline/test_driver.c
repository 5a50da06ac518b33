/* The driver: what a turn of the loop does, in which order, and when. Everything around it is a
 * fake: source, sink, clock and the flag to stop. */
#include "pipeline/driver.h"
#include "support.h"

/* One line per call, in order: "next put commit acknowledge ..." */
static cm_buf_t calls;

/* ---- a clock that the test moves ---- */

static int64_t now_ns;

static int64_t fake_ticks(void)
{
    return now_ns;
}

/* ---- the world of a test ---- */

typedef struct world {
    cm_source_t source; /* of batches of one event */
    cm_sink_t sink;
    atomic_bool stop;
    cm_pipeline_env_t env;
    cm_pipeline_t pipeline;
    cm_driver_t driver;
    FILE *messages;
    char text[2000];
    uint64_t given, most;         /* batches of the source */
    uint64_t acknowledged;        /* what the source was told */
    uint64_t put, kept, durable;  /* events of the sink: put, not taken back, committed */
    uint64_t fails_at;            /* the put that fails; 0: none */
    uint64_t commit_fails_at;     /* the commit of so many events that fails; 0: none */
    int failure;                  /* with this code */
    int64_t step_ns;              /* the time that a batch takes */
    uint64_t stop_at;             /* the batch after which the pipeline is told to stop; 0: none */
    int refreshes, looks, closes; /* calls */
    int refresh_rc;               /* of the next refresh */
    int64_t refresh_every_ns, refreshed_ns;
    cm_account_t seen; /* account at the last refresh */
} world_t;

static world_t *of_source(cm_source_t *source)
{
    return (world_t *)source;
}

static world_t *of_sink(cm_sink_t *sink)
{
    return (world_t *)((char *)sink - offsetof(world_t, sink));
}

static int fake_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    world_t *world = of_source(source);

    (void)err;
    test_add(batch, test_event("u", 1 + (int64_t)world->given, "/", "X", NULL));
    world->given++;
    now_ns += world->step_ns;
    if (world->given == world->stop_at)
        atomic_store(&world->stop, true);
    return world->given < world->most;
}

static int fake_acknowledge(cm_source_t *source, uint64_t batches, cm_err_t *err)
{
    (void)err;
    cm_buf_add_text(&calls, "acknowledge ");
    of_source(source)->acknowledged = batches;
    return 0;
}

static void fake_close_source(cm_source_t *source)
{
    of_source(source)->closes++;
}

static int fake_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    world_t *world = of_sink(sink);

    cm_buf_add_text(&calls, "put ");
    world->put += batch->count;
    if (world->put == world->fails_at) {
        world->kept = world->durable; /* takes back what is not committed */
        return cm_fail(err, world->failure, "the disk is full");
    }
    world->kept += batch->count;
    return 0;
}

static int fake_commit(cm_sink_t *sink, cm_err_t *err)
{
    world_t *world = of_sink(sink);

    cm_buf_add_text(&calls, "commit ");
    if (world->commit_fails_at > 0 && world->kept == world->commit_fails_at) {
        world->kept = world->durable;
        return cm_fail(err, world->failure, "the disk is full");
    }
    world->durable = world->kept;
    return 0;
}

static int fake_tick(void *context, cm_err_t *err)
{
    (void)context;
    (void)err;
    cm_buf_add_text(&calls, "tick ");
    return 0;
}

static bool fake_due(void *context, int64_t now)
{
    const world_t *world = context;
    return now - world->refreshed_ns >= world->refresh_every_ns;
}

static int fake_refresh(void *context, cm_err_t *err)
{
    world_t *world = context;

    cm_buf_add_text(&calls, "refresh ");
    world->refreshes++;
    world->refreshed_ns = now_ns;
    world->seen = world->pipeline.account;
    return world->refresh_rc < 0 ? cm_fail(err, world->refresh_rc, "no answers") : 0;
}

static bool passes_io(const void *context, int code)
{
    (void)context;
    return code == CM_EIO;
}

static void fake_look(void *context)
{
    ((world_t *)context)->looks++;
}

static uint64_t fake_count(const void *context)
{
    const world_t *world = context;
    return world->pipeline.account.read + world->pipeline.uncommitted.read;
}

static bool fake_status(void *context, const cm_driver_pace_t *pace, cm_buf_t *line)
{
    (void)context;
    cm_buf_printf(line, "%llu, %llu in %.1f s", (unsigned long long)pace->count,
                  (unsigned long long)pace->lately, pace->seconds);
    return pace->lately > 0;
}

static const cm_driver_ops_t plain = {.count = fake_count, .status = fake_status};
static const cm_driver_ops_t whole = {.tick = fake_tick,
                                      .due = fake_due,
                                      .refresh = fake_refresh,
                                      .passes = passes_io,
                                      .look = fake_look,
                                      .count = fake_count,
                                      .status = fake_status};

static void start(world_t *world, uint64_t batches, const cm_driver_ops_t *ops)
{
    static const cm_source_ops_t source_ops = {fake_next, NULL, fake_close_source,
                                               fake_acknowledge};
    static const cm_sink_ops_t sink_ops = {fake_put, fake_commit, NULL, NULL};
    static const cm_log_t quiet = {.level = CM_LOG_ERROR, .fd = -1};

    now_ns = INT64_C(1000000000000);
    cm_buf_clear(&calls);
    *world = (world_t){.source = {&source_ops},
                       .sink = {&sink_ops},
                       .most = batches,
                       .refresh_every_ns = INT64_MAX,
                       .refreshed_ns = now_ns};
    world->messages = fmemopen(world->text, sizeof world->text, "w");
    world->env = (cm_pipeline_env_t){
        .log = &quiet, .ticks_ns = fake_ticks, .messages = world->messages, .stop = &world->stop};
    cm_pipeline_start(&world->pipeline, &world->env, &world->source, &world->sink);
    world->pipeline.commit_ms = 0;
    world->pipeline.commit_events = 0;
    cm_driver_start(&world->driver, &world->pipeline, ops, world);
    world->driver.rest_ms = 1;
}

static void end(world_t *world)
{
    fclose(world->messages);
    cm_pipeline_free(&world->pipeline);
}

/* ---- tests ---- */

static void order_of_a_turn(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 2, &whole);
    world.refresh_every_ns = 0; /* always due */
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_string_equal(calls.data, "put tick commit acknowledge refresh "
                                    "put tick commit acknowledge refresh ");
    assert_int_equal(world.looks, 2);
    assert_int_equal(world.acknowledged, 2);
    end(&world);
}

/* Commits come after so many events, and acknowledge exactly those. */
static void commits_after_puts(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 5, &plain);
    world.pipeline.commit_events = 2;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_string_equal(calls.data, "put put commit acknowledge put put commit acknowledge put ");
    assert_int_equal(world.acknowledged, 4);
    assert_int_equal(world.pipeline.account.accepted, 4);
    assert_ok(cm_pipeline_commit(&world.pipeline, &err), err);
    assert_int_equal(world.acknowledged, 5);
    assert_int_equal(world.durable, 5);
    end(&world);
}

/* Ten batches of 0.1 s: commits are due every 0.25 s. */
static void commits_by_the_clock(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 10, &plain);
    world.step_ns = 100000000;
    world.pipeline.commit_ms = 250;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_string_equal(calls.data, "put put put commit acknowledge put put put commit acknowledge "
                                    "put put put commit acknowledge put ");
    assert_int_equal(world.acknowledged, 9);
    end(&world);
}

/* A refresh sees everything that was put before it. */
static void refresh_when_due(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 10, &whole);
    world.step_ns = 100000000;
    world.refresh_every_ns = 300000000;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_int_equal(world.refreshes, 3);
    assert_int_equal(world.seen.accepted, 9);
    assert_int_equal(world.acknowledged, 9);
    end(&world);
}

static void failed_refresh_ends_the_loop(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 10, &whole);
    world.refresh_every_ns = 0;
    world.refresh_rc = CM_ECORRUPT;
    assert_int_equal(cm_driver_run(&world.driver, &err), CM_ECORRUPT);
    assert_string_equal(err.text, "no answers");
    assert_int_equal(world.given, 1);
    assert_int_equal(world.acknowledged, 1); /* the event itself is stored */
    end(&world);
}

/* 30 batches of 0.5 s; without a terminal a line every 5 s, with one every 0.5 s. */
static void status_by_the_clock(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 30, &plain);
    world.step_ns = 500000000;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    end(&world);
    assert_string_equal(world.text, "10, 10 in 5.0 s\n20, 10 in 5.0 s\n30, 10 in 5.0 s\n");

    start(&world, 3, &plain);
    world.driver.env.terminal = true;
    world.step_ns = 250000000;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    end(&world);
    assert_non_null(strstr(world.text, "2, 2 in 0.5 s"));
    assert_null(strstr(world.text, "3, "));
}

/* A line with nothing new is left out, and its time counts for the next one. */
static void no_status_without_news(void **state)
{
    world_t world;

    (void)state;
    start(&world, 1, &plain);
    now_ns += INT64_C(6000000000);
    cm_driver_show(&world.driver);
    now_ns += INT64_C(4000000000);
    cm_driver_show(&world.driver);
    end(&world);
    assert_string_equal(world.text, "");
    assert_int_equal(world.driver.shown_ns, INT64_C(1006000000000));
}

/* A stop before the first turn takes nothing; during one, the turn is finished. */
static void stop_in_every_state(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 10, &whole);
    atomic_store(&world.stop, true);
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_null(strstr(calls.len > 0 ? calls.data : "", "put"));
    end(&world);

    start(&world, 10, &whole);
    world.stop_at = 3;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_string_equal(calls.data, "put tick put tick put tick ");
    assert_ok(cm_pipeline_commit(&world.pipeline, &err), err);
    assert_int_equal(world.durable, 3);
    assert_int_equal(world.acknowledged, 3);
    end(&world);

    start(&world, 10, &whole); /* while the loop rests after a failure */
    world.stop_at = 2;
    world.fails_at = 2;
    world.failure = CM_EIO;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_int_equal(world.given, 2);
    assert_string_equal(world.driver.trouble, "the disk is full");
    end(&world);
}

/* A failure that may pass takes back what was not committed; it is counted as failed, and what was
 * committed stays acknowledged. */
static void failure_that_passes(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 6, &whole);
    world.pipeline.commit_events = 2;
    world.pipeline.skips_lost = true;
    world.fails_at = 4;
    world.failure = CM_EIO;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_string_equal(calls.data, "put tick put commit acknowledge tick "
                                    "put tick put " /* fails: 3 and 4 are lost */
                                    "put tick put commit acknowledge tick ");
    assert_int_equal(world.pipeline.account.accepted, 4);
    assert_int_equal(world.pipeline.failed.accepted, 2);
    assert_int_equal(world.durable, 4);
    assert_int_equal(world.acknowledged, 6); /* of the source's batches none is waited for */
    assert_string_equal(world.driver.trouble, "");
    assert_int_equal(world.looks, 6);
    end(&world);
}

/* A source that does not know of the loss is told nothing after it: else it would forget events
 * that are stored nowhere. */
static void nothing_is_acknowledged_after_a_loss(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 6, &whole);
    world.pipeline.commit_events = 2;
    world.fails_at = 4;
    world.failure = CM_EIO;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_int_equal(world.durable, 4);
    assert_int_equal(world.acknowledged, 2);
    end(&world);
}

/* What a failed commit has taken back is not counted by the commit at the end. */
static void a_failed_commit_is_not_counted(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 6, &plain);
    world.pipeline.commit_events = 2;
    world.commit_fails_at = 4;
    world.failure = CM_EDISK;
    assert_int_equal(cm_pipeline_run(&world.pipeline, &err), CM_EDISK);
    assert_string_equal(err.text, "the disk is full");
    assert_string_equal(calls.data, "put put commit acknowledge put put commit commit ");
    assert_int_equal(world.durable, 2);
    assert_int_equal(world.pipeline.account.accepted, 2);
    assert_int_equal(world.pipeline.failed.accepted, 2);
    assert_int_equal(cm_pipeline_all(&world.pipeline).accepted, 4);
    assert_int_equal(world.acknowledged, 2);
    end(&world);
}

/* One that does not pass ends the loop; nothing that is not durable was acknowledged. */
static void failure_that_does_not_pass(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 6, &whole);
    world.pipeline.commit_events = 2;
    world.fails_at = 4;
    world.failure = CM_ECORRUPT;
    assert_int_equal(cm_driver_run(&world.driver, &err), CM_ECORRUPT);
    assert_string_equal(err.text, "the disk is full");
    assert_int_equal(world.acknowledged, 2);
    assert_int_equal(world.durable, 2);
    assert_int_equal(world.given, 4);
    end(&world);
}

/* A driver that stays commits and closes a source that has ended, and goes on with the rest. */
static void stays_without_source(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 2, &whole);
    world.driver.stays = true;
    assert_int_equal(cm_driver_take(&world.driver, &err), 1);
    assert_int_equal(cm_driver_take(&world.driver, &err), 1);
    assert_int_equal(world.closes, 1);
    assert_null(world.pipeline.source);
    assert_int_equal(world.durable, 2);
    assert_int_equal(cm_driver_take(&world.driver, &err), 1);
    assert_string_equal(calls.data, "put put commit acknowledge ");
    end(&world);
}

/* The source is told after on_commit. */
static void note_commit(void *context)
{
    (void)context;
    cm_buf_add_text(&calls, "on_commit ");
}

static void on_commit_before_acknowledge(void **state)
{
    world_t world;
    cm_err_t err;

    (void)state;
    start(&world, 1, &plain);
    world.pipeline.on_commit = note_commit;
    world.pipeline.commit_events = 1;
    assert_ok(cm_driver_run(&world.driver, &err), err);
    assert_string_equal(calls.data, "put commit on_commit acknowledge ");
    end(&world);
}

static int free_calls(void **state)
{
    (void)state;
    cm_buf_free(&calls);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_a_turn),
        cmocka_unit_test(commits_after_puts),
        cmocka_unit_test(commits_by_the_clock),
        cmocka_unit_test(refresh_when_due),
        cmocka_unit_test(failed_refresh_ends_the_loop),
        cmocka_unit_test(status_by_the_clock),
        cmocka_unit_test(no_status_without_news),
        cmocka_unit_test(stop_in_every_state),
        cmocka_unit_test(failure_that_passes),
        cmocka_unit_test(nothing_is_acknowledged_after_a_loss),
        cmocka_unit_test(a_failed_commit_is_not_counted),
        cmocka_unit_test(failure_that_does_not_pass),
        cmocka_unit_test(stays_without_source),
        cmocka_unit_test(on_commit_before_acknowledge),
    };
    return cmocka_run_group_tests(tests, NULL, free_calls);
}
