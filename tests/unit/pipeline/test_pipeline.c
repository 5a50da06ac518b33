/* The loop from source to sink: what is acknowledged, and when. */
#include "pipeline/pipeline.h"
#include "support.h"

/* A source of batches of one event, that remembers what was acknowledged. */
typedef struct giver {
    cm_source_t source; /* first */
    uint64_t given, most, acknowledged;
} giver_t;

static int giver_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    giver_t *giver = (giver_t *)source;

    (void)err;
    test_add(batch, test_event("u", 1 + (int64_t)giver->given, "/", "X", NULL));
    return ++giver->given < giver->most;
}

static int giver_acknowledge(cm_source_t *source, uint64_t batches, cm_err_t *err)
{
    giver_t *giver = (giver_t *)source;

    (void)err;
    assert_true(batches >= giver->acknowledged && batches <= giver->given);
    giver->acknowledged = batches;
    return 0;
}

static giver_t giver(uint64_t most)
{
    static const cm_source_ops_t ops = {giver_next, NULL, NULL, giver_acknowledge};
    return (giver_t){.source = {&ops}, .most = most};
}

/* A sink that is some batches behind, where it says so. */
typedef struct taker {
    cm_sink_t sink; /* first */
    uint64_t put, behind, commits;
} taker_t;

static int taker_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    (void)err;
    assert_int_equal(batch->count, 1);
    ((taker_t *)sink)->put++;
    return 0;
}

static int taker_commit(cm_sink_t *sink, cm_err_t *err)
{
    (void)err;
    ((taker_t *)sink)->commits++;
    return 0;
}

static int taker_durable(cm_sink_t *sink, uint64_t *batches, cm_err_t *err)
{
    const taker_t *taker = (const taker_t *)sink;

    (void)err;
    *batches = taker->put > taker->behind ? taker->put - taker->behind : 0;
    return 0;
}

static const cm_sink_ops_t plain_ops = {taker_put, taker_commit, NULL, NULL};
static const cm_sink_ops_t durable_ops = {taker_put, taker_commit, NULL, taker_durable};

static void start(cm_pipeline_t *pipeline, giver_t *source, taker_t *sink)
{
    static atomic_bool stop = false;
    const cm_pipeline_env_t env = {.stop = &stop};
    cm_pipeline_start(pipeline, &env, &source->source, &sink->sink);
}

static void acknowledged_by_commits(void **state)
{
    giver_t source = giver(10);
    taker_t sink = {.sink = {&plain_ops}};
    cm_pipeline_t pipeline;
    cm_err_t err;

    (void)state;
    start(&pipeline, &source, &sink);
    pipeline.commit_events = 3;
    for (int i = 1; i < 10; i++) {
        assert_int_equal(cm_pipeline_step(&pipeline, &err), 1);
        assert_int_equal(source.acknowledged, i / 3 * 3);
        assert_int_equal(pipeline.account.accepted, source.acknowledged);
        assert_int_equal(pipeline.uncommitted.accepted, i - i / 3 * 3);
    }
    assert_int_equal(cm_pipeline_step(&pipeline, &err), 0);
    assert_ok(cm_pipeline_commit(&pipeline, &err), err);
    assert_int_equal(source.acknowledged, 10);
    assert_int_equal(pipeline.account.accepted, 10);
    assert_int_equal(sink.commits, 4);
    cm_pipeline_free(&pipeline);
}

/* Without a commit on the way, and never more than is durable. */
static void acknowledged_between_commits(void **state)
{
    giver_t source = giver(200);
    taker_t sink = {.sink = {&durable_ops}, .behind = 7};
    cm_pipeline_t pipeline;
    cm_err_t err;
    uint64_t between = 0;

    (void)state;
    start(&pipeline, &source, &sink);
    pipeline.commit_events = 3;
    for (int i = 1; i < 200; i++) {
        if (i % 50 == 0)
            pipeline.committed_ns -= INT64_C(1000000000); /* time to ask */
        assert_int_equal(cm_pipeline_step(&pipeline, &err), 1);
        assert_true(source.acknowledged + 7 <= (uint64_t)i || source.acknowledged == 0);
        assert_int_equal(pipeline.account.accepted, source.acknowledged);
        assert_int_equal(pipeline.account.accepted + pipeline.uncommitted.accepted, i);
        between = source.acknowledged;
    }
    assert_in_range(between, 143, 192);
    assert_int_equal(sink.commits, 0);
    assert_int_equal(cm_pipeline_step(&pipeline, &err), 0);
    assert_ok(cm_pipeline_commit(&pipeline, &err), err);
    assert_int_equal(sink.commits, 1);
    assert_int_equal(source.acknowledged, 200);
    assert_int_equal(pipeline.account.accepted, 200);
    assert_int_equal(pipeline.uncommitted.accepted, 0);
    cm_pipeline_free(&pipeline);
}

static void only_at_the_end(void **state)
{
    giver_t source = giver(50);
    taker_t sink = {.sink = {&plain_ops}};
    cm_pipeline_t pipeline;
    cm_err_t err;

    (void)state;
    start(&pipeline, &source, &sink);
    pipeline.commit_events = 0;
    pipeline.commit_ms = 0;
    pipeline.committed_ns -= INT64_C(60000000000);
    assert_ok(cm_pipeline_run(&pipeline, &err), err);
    assert_int_equal(sink.commits, 1);
    assert_int_equal(source.acknowledged, 50);
    cm_pipeline_free(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_by_commits),
        cmocka_unit_test(acknowledged_between_commits),
        cmocka_unit_test(only_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
