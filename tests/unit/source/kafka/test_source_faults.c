/* The source that reads a Kafka topic, with faults, on mock brokers: a store that is slow in a
 * rebalance, messages that are deleted before they are read, brokers that do not answer. */
#include "kafka_source_support.h"
#include "pace.h"

#include "base/clock.h"

/* Reads the next batch and records its events. */
static void next(cm_source_t *source, seen_t *seen)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    if (cm_source_next(source, &batch, &err) < 0)
        fail_msg("%s", err.text);
    see(seen, &batch);
    cm_batch_free(&batch);
}

/* Reads until this many events were seen in total, and for a moment more. */
static void read_until(cm_source_t *source, seen_t *seen, int count)
{
    for (int rounds = 0, more = 3; rounds < 300 && more > 0; rounds++) {
        next(source, seen);
        more -= total(seen) >= count;
    }
    assert_int_equal(total(seen), count);
}

/* ---- pauses ---- */

/* The store is slow when partitions are about to be revoked. */
static int drain_slowly(void *context, cm_err_t *err)
{
    owner_t *owner = context;

    for (int i = 0; i < 3; i++) {
        cm_source_kafka_keep_alive(owner->source);
        usleep(2000);
    }
    return owner_drain(context, err);
}

static int owner_acknowledge(owner_t *owner, cm_err_t *err)
{
    return owner->source->ops->acknowledge(owner->source, owner->seen->batches, err);
}

/* Reading continues with the partitions that are assigned again after the rebalance. */
static void slow_in_a_rebalance(const char *strategy)
{
    enum { EVENTS = 3000 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS), counts[2] = {{0}, {0}};
    owner_t owners[2] = {{.seen = &counts[0]}, {.seen = &counts[1]}};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_source_kafka_lag_t lag;
    bool shared = false;
    cm_err_t err;

    start_cluster(&mock, PARTITIONS);
    mock_property(&mock, "partition.assignment.strategy", strategy);
    put_events(&mock, 0, EVENTS / 2);
    for (int rounds = 0, read = 0; rounds < 400 && total(&seen) < EVENTS; rounds++) {
        read += total(&seen) == EVENTS / 2;
        for (int i = 0; i < 2; i++) {
            if (owners[i].source == NULL && (i == 0 || read > 5))
                owners[i].source = open_source(
                    &mock, (cm_source_kafka_options_t){.owner = {&owners[i], NULL, drain_slowly}});
            if (owners[i].source == NULL)
                continue;
            cm_batch_clear(&batch);
            if (cm_source_next(owners[i].source, &batch, &err) < 0)
                fail_msg("%s", err.text);
            see(&seen, &batch);
            counts[i].batches++;
            /* The mock brokers accept no commit when the group is in a rebalance. */
            if (owners[1].source == NULL)
                assert_ok(owner_acknowledge(&owners[i], &err), err);
        }
        if (!shared && owners[1].source != NULL &&
            cm_source_kafka_lags(owners[1].source, &lag, 1) > 0) {
            shared = true;
            put_events(&mock, EVENTS / 2, EVENTS / 2);
        }
    }
    assert_true(owners[0].drained > 0);
    for (int i = 0; i < 2; i++)
        cm_source_close(owners[i].source);
    assert_each_once(&seen);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static void slow_in_a_rebalance_eager(void **state)
{
    (void)state;
    slow_in_a_rebalance("range");
}

static void slow_in_a_rebalance_cooperative(void **state)
{
    (void)state;
    slow_in_a_rebalance("cooperative-sticky");
}

/* A pause at the end of the partitions does not make librdkafka skip the next messages. */
static void paused_at_the_end(void **state)
{
    enum { EVENTS = 300, MORE = 5 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS + MORE * PARTITIONS);

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    read_until(source, &seen, EVENTS);
    for (int i = 1; i <= MORE; i++) {
        for (int calls = 0; calls < 3; calls++)
            cm_source_kafka_keep_alive(source);
        put_events(&mock, EVENTS + (i - 1) * PARTITIONS, PARTITIONS);
        read_until(source, &seen, EVENTS + i * PARTITIONS);
    }
    cm_source_close(source);
    assert_each_once(&seen);
    mock_stop(&mock);
}

/* ---- offsets without a message ---- */

/* A partition of the mock brokers keeps 5 MB. When there is more, the oldest messages are deleted
 * before they are read. */
static void deleted_before_it_was_read(const char *reset)
{
    enum { EVENTS = 30, LARGE = 70 };
    mock_t mock;
    FILE *file = tmpfile();
    seen_t seen = seen_new(EVENTS + 1);
    char *large = calloc(1, 100000), said[2000] = "";
    int64_t from, to;

    assert_non_null(file);
    const cm_log_t log = {.level = CM_LOG_ERROR, .fd = fileno(file)};
    start_cluster(&mock, PARTITIONS);
    mock_property(&mock, "auto.offset.reset", reset);
    mock.settings.log = &log;
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    for (cm_source_kafka_lag_t lag; cm_source_kafka_lags(source, &lag, 1) == 0;)
        next(source, &seen);
    put_events(&mock, 0, EVENTS);
    read_until(source, &seen, EVENTS);
    cm_source_kafka_keep_alive(source);
    for (int i = 0; i < LARGE; i++)
        mock_put(&mock, "t", 0, NULL, (cm_str_t){large, 100000});
    mock_flush(&mock);
    put_events(&mock, EVENTS, 1); /* into the same partition, 0 */
    read_until(source, &seen, EVENTS + 1);
    assert_true(pread(fileno(file), said, sizeof said - 1, 0) > 0);
    const char *gap = strstr(said, "messages are gone before they were read");
    assert_non_null(gap);
    assert_non_null(strstr(gap, "kafka:g/t[0]"));
    assert_int_equal(sscanf(strstr(gap, "from="), "from=%ld to=%ld", &from, &to), 2);
    assert_int_equal(from, EVENTS / PARTITIONS);
    assert_in_range(to, from, from + LARGE - 1);
    assert_null(strstr(gap + 1, "messages are gone"));
    assert_int_equal(seen.gone, to - from + 1);
    /* The messages that are left are returned, also those that are not events. */
    assert_int_equal(seen.rejected, from + LARGE - (to + 1));
    cm_source_close(source);
    assert_each_once(&seen);
    fclose(file);
    free(large);
    mock_stop(&mock);
}

static void deleted_and_the_earliest_wanted(void **state)
{
    (void)state;
    deleted_before_it_was_read("earliest");
}

static void deleted_and_the_latest_wanted(void **state)
{
    (void)state;
    deleted_before_it_was_read("latest");
}

/* When a broker reports a valid offset as out of range, as a follower may, it is asked again. */
static void not_out_of_range(const char *strategy)
{
    enum { EVENTS = 900 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);

    start_cluster(&mock, PARTITIONS);
    mock_property(&mock, "partition.assignment.strategy", strategy);
    put_events(&mock, 0, EVENTS / 3);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    read_until(source, &seen, EVENTS / 3);
    for (int i = 1; i < 3; i++) {
        rd_kafka_mock_push_request_errors(mock.cluster, MOCK_FETCH, 1,
                                          RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
        put_events(&mock, i * EVENTS / 3, EVENTS / 3);
        read_until(source, &seen, (i + 1) * EVENTS / 3);
    }
    cm_source_close(source);
    assert_each_once(&seen);
    mock_stop(&mock);
}

static void not_out_of_range_eager(void **state)
{
    (void)state;
    not_out_of_range("range");
}

static void not_out_of_range_cooperative(void **state)
{
    (void)state;
    not_out_of_range("cooperative-sticky");
}

/* ---- brokers that do not answer ---- */

static void fail_offset_fetches(mock_t *mock, int count)
{
    for (int i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(mock->cluster, MOCK_OFFSET_FETCH, 1,
                                          RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR);
}

/* The group's offsets are not available when partitions are assigned: the source tries until they
 * are. */
static void offsets_come_late(void **state)
{
    enum { EVENTS = 300 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    bool trouble = false;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    fail_offset_fetches(&mock, 12);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    for (int rounds = 0; rounds < 300 && total(&seen) < EVENTS; rounds++) {
        next(source, &seen);
        const char *reason = cm_source_kafka_trouble(source);
        if (reason != NULL)
            assert_non_null(strstr(reason, "asking for the group's offsets"));
        trouble |= reason != NULL;
    }
    assert_true(trouble);
    assert_null(cm_source_kafka_trouble(source));
    cm_source_close(source);
    assert_each_once(&seen);
    mock_stop(&mock);
}

/* A close during this time is quick and leaves the group. */
static void closed_before_offsets_come(void **state)
{
    mock_t mock;
    seen_t seen = seen_new(1);

    (void)state;
    start_cluster(&mock, PARTITIONS);
    fail_offset_fetches(&mock, 100);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    for (int rounds = 0; rounds < 300 && cm_source_kafka_trouble(source) == NULL; rounds++)
        next(source, &seen);
    assert_non_null(cm_source_kafka_trouble(source));
    test_pace_t pace;
    test_pace_start(&pace);
    cm_source_close(source);
    test_pace_took(&pace, 0, 3000);
    free(seen.times);
    mock_stop(&mock);
    test_pace_end(&pace);
}

/* A broker keeps its connections and does not answer: acknowledged messages cannot be committed.
 * The close does not wait as long as a request may take. */
static void closed_while_the_broker_hangs(void **state)
{
    enum { EVENTS = 300 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    cm_err_t err;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    read_until(source, &seen, EVENTS);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 60000);
    assert_ok(source->ops->acknowledge(source, seen.batches, &err), err);
    test_pace_t pace;
    test_pace_start(&pace);
    cm_source_close(source);
    test_pace_took(&pace, 0, 5000);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
    assert_each_once(&seen);
    mock_stop(&mock);
    test_pace_end(&pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_in_a_rebalance_eager),
        cmocka_unit_test(slow_in_a_rebalance_cooperative),
        cmocka_unit_test(paused_at_the_end),
        cmocka_unit_test(deleted_and_the_earliest_wanted),
        cmocka_unit_test(deleted_and_the_latest_wanted),
        cmocka_unit_test(not_out_of_range_eager),
        cmocka_unit_test(not_out_of_range_cooperative),
        cmocka_unit_test(offsets_come_late),
        cmocka_unit_test(closed_before_offsets_come),
        cmocka_unit_test(closed_while_the_broker_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
