/* The source that reads a Kafka topic, on mock brokers: events and dead letters, positions and
 * offsets, rebalances, brokers that stop; and each message is in the embedded store once. */
#include "kafka_source_support.h"
#include "store_support.h"

static void reads_to_the_end(void **state)
{
    enum { EVENTS = 10000 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    read_all(source, &seen, true);
    cm_source_kafka_lag_t lags[PARTITIONS + 1];
    assert_int_equal(cm_source_kafka_lags(source, lags, PARTITIONS + 1), PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(lags[i].partition, i);
        assert_int_equal(lags[i].end, EVENTS / PARTITIONS + (i < EVENTS % PARTITIONS));
        assert_int_equal(lags[i].position, lags[i].end);
    }
    assert_null(cm_source_kafka_trouble(source));
    cm_source_close(source);
    assert_each_once(&seen);
    /* The group has read all messages. */
    seen = seen_new(EVENTS);
    source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    read_all(source, &seen, true);
    assert_int_equal(total(&seen), 0);
    cm_source_close(source);
    free(seen.times);
    mock_stop(&mock);
}

static cm_bot_kind_t fill_country(void *context, cm_str_t address, cm_str_t agent,
                                  cm_arena_t *arena, cm_event_t *event)
{
    *(int *)context += 1;
    event->country = cm_arena_copy(arena, address);
    return agent.len > 0 ? CM_BOT_SEO : CM_BOT_NONE;
}

static void reads_times_as_it_is_told(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int more = 1;

    (void)state;
    start_cluster(&mock, 1);
    mock_put(&mock, "t", 0, "u",
             CM_STR("{\"user_id\":\"u\",\"timestamp\":1747476303,\"url\":\"/\"}"));
    mock_flush(&mock);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    while (more > 0 && batch.dead_count < 1)
        more = cm_source_next(source, &batch, &err);
    assert_int_equal(1, batch.dead_count);
    assert_memory_equal("timestamp 1747476303 looks like seconds", batch.dead[0].reason.data, 39);
    cm_source_close(source);
    cm_batch_clear(&batch);
    more = 1;
    source = open_source(
        &mock, (cm_source_kafka_options_t){.until_end = true, .times = {.unit = CM_TIMESTAMP_S}});
    while (more > 0 && batch.count < 1)
        more = cm_source_next(source, &batch, &err);
    assert_int_equal(1, batch.count);
    assert_true(batch.events[0].timestamp == INT64_C(1747476303000));
    cm_batch_free(&batch);
    cm_source_close(source);
    mock_stop(&mock);
}

static void fills_what_messages_lack(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int filled = 0, more = 1;

    (void)state;
    start_cluster(&mock, 1);
    mock_put(&mock, "t", 0, "u",
             CM_STR("{\"user_id\":\"u\",\"timestamp\":1,\"url\":\"/\",\"ip\":\"here\"}"));
    mock_put(&mock, "t", 0, "u",
             CM_STR("{\"user_id\":\"u\",\"timestamp\":3,\"url\":\"/\",\"user_agent\":\"a bot\"}"));
    mock_put(&mock, "t", 0, "u", CM_STR("{\"user_id\":\"u\",\"timestamp\":2,\"url\":\"/\"}"));
    mock_flush(&mock);
    cm_source_t *source =
        open_source(&mock, (cm_source_kafka_options_t){
                               .until_end = true, .fill = fill_country, .fill_context = &filled});
    while (more > 0 && batch.count < 2)
        more = cm_source_next(source, &batch, &err);
    assert_int_equal(2, batch.count);
    assert_true(cm_str_equal(batch.events[0].country, CM_STR("here")));
    assert_true(cm_str_equal(batch.events[1].country, CM_STR("Unknown")));
    assert_int_equal(2, filled);
    assert_int_equal(3, batch.account.read);
    assert_int_equal(1, batch.account.skipped);
    assert_int_equal(1, batch.account.bots[CM_BOT_SEO]);
    assert_int_equal(0, batch.account.unknown_fields);
    cm_batch_free(&batch);
    cm_source_close(source);
    mock_stop(&mock);
}

/* Messages that were not acknowledged are read again, and no others. */
static void goes_on_where_it_was(void **state)
{
    enum { EVENTS = 3000, FIRST = 1000 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS), lost = seen_new(EVENTS);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.count = FIRST});
    read_all(source, &seen, true);
    assert_int_equal(total(&seen), FIRST);
    cm_source_close(source);
    source = open_source(&mock, (cm_source_kafka_options_t){.count = FIRST});
    assert_true(cm_source_next(source, &batch, &err) >= 0);
    read_all(source, &lost, false);
    cm_source_close(source);
    source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    read_all(source, &seen, true);
    cm_source_close(source);
    assert_each_once(&seen);
    free(lost.times);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* ---- poison ---- */

static char long_url[3000], long_user[400];

static const struct {
    const char *text;
    size_t len; /* 0: the length of the text; SIZE_MAX: a null value */
    const char *reason;
} poison[] = {
    {"", 0, "the message is empty"},
    {NULL, SIZE_MAX,
     "the message has no value: a tombstone, which deletes what has its key; kafka.tombstones: "
     "skip leaves them out"},
    {" \n ", 0, "not valid JSON"},
    {"not json", 0, "not valid JSON"},
    {"{\"user_id\": \"u\", \"timestamp\": 5, \"url\": \"/\"", 0, "not valid JSON"},
    {"{\"user_id\": \"u\", \"timestamp\": 5, \"url\": \"/\"} x", 0, "not valid JSON"},
    {"[]", 0, "not a JSON object"},
    {"17", 0, "not a JSON object"},
    {"null", 0, "not a JSON object"},
    {"{}", 0, "timestamp is missing"},
    {"{\"timestamp\": 5, \"url\": \"/\"}", 0, "user_id is missing or empty"},
    {"{\"user_id\": \"\", \"timestamp\": 5, \"url\": \"/\"}", 0, "user_id is missing or empty"},
    {"{\"user_id\": 7, \"timestamp\": 5, \"url\": \"/\"}", 0, "user_id is not a string"},
    {"{\"user_id\": \"u\", \"timestamp\": 5}", 0, "url is missing or empty"},
    {"{\"user_id\": \"u\", \"url\": \"/\"}", 0, "timestamp is missing"},
    {"{\"user_id\": \"u\", \"timestamp\": 0, \"url\": \"/\"}", 0, "timestamp 0 is out of range"},
    {"{\"user_id\": \"u\", \"timestamp\": 4102444800000, \"url\": \"/\"}", 0, "is out of range"},
    {"{\"user_id\": \"u\", \"timestamp\": 5.5, \"url\": \"/\"}", 0, "timestamp is neither"},
    {"{\"user_id\": \"u\", \"timestamp\": \"soon\", \"url\": \"/\"}", 0,
     "timestamp \"soon\" is neither"},
    {"{\"user_id\": \"u\", \"timestamp\": 1e400, \"url\": \"/\"}", 0, "not valid JSON"},
    {"{\"user_id\": \"u\xFF\", \"timestamp\": 5, \"url\": \"/\"}", 0, "not valid JSON"},
    {"\0\1\2\3", 4, "not valid JSON"},
    {"\xEF\xBB\xBF{\"user_id\": \"u\", \"timestamp\": 5}", 0, ""},
    {long_url, 0, "url is 2900 bytes long, the limit is 2048"},
    {long_user, 0, "user_id is 300 bytes long, the limit is 256"},
};

enum { POISON = sizeof poison / sizeof poison[0] };

static cm_str_t poison_text(int i)
{
    if (poison[i].len == SIZE_MAX)
        return (cm_str_t){NULL, 0};
    return (cm_str_t){poison[i].text, poison[i].len > 0 ? poison[i].len : strlen(poison[i].text)};
}

/* More than twenty kinds of messages that are not events, each between two that are. */
static void poison_messages(void **state)
{
    static const char good[] = "{\"user_id\": \"u\", \"timestamp\": \"5\", \"url\": \"/\"}";
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    char origin[40], key[20];
    cm_err_t err;
    int found = 0, more;

    (void)state;
    start_cluster(&mock, 1);
    snprintf(long_url, sizeof long_url, "{\"user_id\": \"u\", \"timestamp\": 5, \"url\": \"%0*d\"}",
             2900, 0);
    snprintf(long_user, sizeof long_user,
             "{\"user_id\": \"%0*d\", \"timestamp\": 5, \"url\": \"/\"}", 300, 0);
    for (int i = 0; i < POISON; i++) {
        snprintf(key, sizeof key, "key%d", i);
        mock_put(&mock, "t", 0, "u", cm_str(good));
        mock_put(&mock, "t", 0, i % 5 == 0 ? NULL : key, poison_text(i));
    }
    mock_put(&mock, "t", 0, "u", cm_str(good));
    mock_flush(&mock);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    size_t events = 0;
    do {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        assert_true(more >= 0);
        events += batch.count;
        assert_int_equal(batch.account.read, batch.count + batch.dead_count);
        assert_int_equal(batch.account.rejected, batch.dead_count);
        for (size_t d = 0; d < batch.dead_count; d++, found++) {
            const cm_dead_t *dead = &batch.dead[d];
            cm_str_t text = poison_text(found);
            if (memmem(dead->reason.data, dead->reason.len, poison[found].reason,
                       strlen(poison[found].reason)) == NULL)
                fail_msg("poison %d: %.*s", found, (int)dead->reason.len, dead->reason.data);
            snprintf(origin, sizeof origin, "t[0]@%d", 2 * found + 1);
            assert_true(cm_str_equal(dead->origin, cm_str(origin)));
            assert_int_equal(dead->payload.len, text.len);
            assert_int_equal(dead->payload.data == NULL, text.data == NULL);
            if (text.len > 0)
                assert_memory_equal(dead->payload.data, text.data, text.len);
            snprintf(key, sizeof key, "key%d", found);
            assert_true(cm_str_equal(dead->key, cm_str(found % 5 == 0 ? "" : key)));
            assert_int_equal(dead->key.data == NULL, found % 5 == 0);
        }
    } while (more > 0);
    assert_int_equal(found, POISON);
    assert_int_equal(events, POISON + 1);
    cm_source_close(source);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* Messages of very different sizes. The mock brokers keep 5 MB per partition. */
static void large_messages(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    char *large = malloc(100000);
    cm_err_t err;
    int more;
    size_t bytes = 0, letters = 0;

    (void)state;
    start_cluster(&mock, 1);
    memset(large, 'x', 100000);
    for (size_t i = 0; i < 30; i++) {
        for (size_t small = 0; small < 100; small++)
            mock_put(&mock, "t", 0, NULL, CM_STR("{}"));
        mock_put(&mock, "t", 0, NULL, (cm_str_t){large, 100000 - i});
    }
    mock_flush(&mock);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    do {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        assert_true(more >= 0);
        for (size_t i = 0; i < batch.dead_count; i++)
            bytes += batch.dead[i].payload.len;
        letters += batch.dead_count;
    } while (more > 0);
    assert_int_equal(letters, 30 * 101);
    assert_int_equal(bytes, 30 * 100000 - 29 * 30 / 2 + 30 * 100 * 2);
    cm_source_close(source);
    cm_batch_free(&batch);
    free(large);
    mock_stop(&mock);
}

/* ---- positions of a store ---- */

static int owner_position(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    owner_t *owner = context;
    char wanted[40];
    int partition = strchr(name, '[')[1] - '0';

    (void)err;
    *position = 0;
    if (strchr(name, '#') != NULL) /* this store is from an edition that saved no proofs */
        return 0;
    snprintf(wanted, sizeof wanted, "kafka:g/t[%d]", partition);
    assert_string_equal(name, wanted);
    assert_in_range(partition, 0, PARTITIONS - 1);
    *position = owner->positions[partition];
    owner->asked++;
    return 0;
}

static void starts_where_the_store_is(void **state)
{
    enum { EVENTS = 300 };
    mock_t mock;
    owner_t owner = {.positions = {0, 50, 100}};
    seen_t seen = seen_new(EVENTS);
    cm_source_kafka_options_t options = {.until_end = true,
                                         .owner = {&owner, owner_position, NULL}};

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    cm_source_t *source = open_source(&mock, options);
    read_all(source, &seen, true);
    cm_source_close(source);
    assert_int_equal(owner.asked, PARTITIONS);
    for (int i = 0; i < EVENTS; i++)
        assert_int_equal(seen.times[i], i % PARTITIONS == 0   ? 1
                                        : i % PARTITIONS == 1 ? i / PARTITIONS >= 50
                                                              : 0);
    /* In Kafka, the group's offset is after the store's position. It does not count, because the
     * store may have been restored from a copy. */
    source = open_source(&mock, options);
    read_all(source, &seen, true);
    cm_source_close(source);
    assert_int_equal(total(&seen), 300);
    /* It counts when or_group is set. */
    options.or_group = true;
    source = open_source(&mock, options);
    read_all(source, &seen, true);
    cm_source_close(source);
    assert_int_equal(total(&seen), 300);
    free(seen.times);
    mock_stop(&mock);
}

static void another_topic_of_the_name(void **state)
{
    mock_t mock;
    owner_t owner = {.positions = {0, 51, 0}};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int more;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, 150);
    cm_source_t *source =
        open_source(&mock, (cm_source_kafka_options_t){.owner = {&owner, owner_position, NULL}});
    do {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        assert_int_equal(batch.count, 0);
    } while (more > 0);
    assert_int_equal(more, CM_EINPUT);
    assert_non_null(strstr(err.text, "t[1] at 127.0.0.1:"));
    assert_non_null(strstr(err.text, "ends at offset 50, but 51 is where group g had come to"));
    cm_source_close(source);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* ---- rebalances and waiting ---- */

/* Waits until the group has committed all events of the topic. Unlike a broker, the mock accepts no
 * commit while members join, so messages that were not committed before would be read again. */
static void await_committed(const mock_t *mock, int events)
{
    char why[200];
    rd_kafka_conf_t *conf = mock_conf("group.id", mock->settings.group);
    assert_int_equal(
        rd_kafka_conf_set(conf, "bootstrap.servers", mock->settings.brokers, why, sizeof why), 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    int64_t sum = -1;

    assert_non_null(rk);
    for (int i = 0; i < PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(list, "t", i);
    for (int looks = 0; sum != events && looks < 300; looks++) {
        usleep(looks > 0 ? 50000 : 0);
        assert_int_equal(rd_kafka_committed(rk, list, 10000), 0);
        sum = 0;
        for (int i = 0; i < PARTITIONS; i++)
            sum += list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    }
    assert_int_equal(sum, events);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

/* Reads once from each consumer. Returns the number of their partitions, or 0 when one of them has
 * none. */
static int read_together(owner_t owners[2], seen_t *seen)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_source_kafka_lag_t lags[PARTITIONS];
    bool idle = false;
    int all = 0;
    cm_err_t err;

    for (int i = 0; i < 2; i++) {
        if (owners[i].source == NULL)
            continue;
        cm_batch_clear(&batch);
        if (cm_source_next(owners[i].source, &batch, &err) < 0)
            fail_msg("%s", err.text);
        see(seen, &batch);
        owners[i].seen->batches++;
        int partitions = (int)cm_source_kafka_lags(owners[i].source, lags, PARTITIONS);
        idle |= partitions == 0;
        all += partitions;
    }
    cm_batch_free(&batch);
    return idle ? 0 : all;
}

/* A second consumer joins the group, then the first one leaves. No event is seen twice. */
static void hand_over(const char *strategy)
{
    enum { THIRD = 3000 };
    mock_t mock;
    seen_t seen = seen_new(3 * THIRD), counts[2] = {{0}, {0}};
    owner_t owners[2] = {{.seen = &counts[0]}, {.seen = &counts[1]}};
    cm_err_t err;

    start_cluster(&mock, PARTITIONS);
    mock_property(&mock, "partition.assignment.strategy", strategy);
    for (int i = 0; i < 3; i++) {
        if (i == 2) {
            cm_source_close(owners[0].source);
            owners[0].source = NULL;
        } else {
            owners[i].source = open_source(
                &mock, (cm_source_kafka_options_t){.owner = {&owners[i], NULL, owner_drain}});
        }
        int rounds = 0;
        while (read_together(owners, &seen) != PARTITIONS)
            assert_true(rounds++ < 1000);
        if (i == 1)
            assert_true(owners[0].drained > 1); /* also by the rebalance */
        put_events(&mock, i * THIRD, THIRD);
        for (rounds = 0; total(&seen) < (i + 1) * THIRD; rounds++) {
            read_together(owners, &seen);
            assert_true(rounds < 1000);
        }
        for (int owner = 0; owner < 2; owner++) {
            if (owners[owner].source != NULL)
                assert_ok(owner_drain(&owners[owner], &err), err);
        }
        await_committed(&mock, (i + 1) * THIRD);
    }
    cm_source_close(owners[1].source);
    assert_each_once(&seen);
    mock_stop(&mock);
}

static void rebalance_eager(void **state)
{
    (void)state;
    hand_over("range");
}

static void rebalance_cooperative(void **state)
{
    (void)state;
    hand_over("cooperative-sticky");
}

/* While the store does not answer, the consumer stays in its group and loses no message. */
static void kept_alive(void **state)
{
    enum { EVENTS = 9000 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int more, calls = 0;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    do {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        assert_true(more >= 0);
        see(&seen, &batch);
        for (int i = 0; i < 5 && batch.count > 0; i++, calls++) {
            cm_source_kafka_keep_alive(source);
            usleep(2000);
        }
    } while (more > 0);
    assert_true(calls > 0);
    cm_source_close(source);
    assert_each_once(&seen);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static void broker_goes_and_comes(void **state)
{
    enum { EVENTS = 600 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    bool trouble = false;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS / 2);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    for (int rounds = 0; rounds < 1500 && total(&seen) < EVENTS; rounds++) {
        cm_batch_clear(&batch);
        assert_int_equal(cm_source_next(source, &batch, &err), 1);
        see(&seen, &batch);
        if (!trouble && total(&seen) == EVENTS / 2)
            rd_kafka_mock_broker_set_down(mock.cluster, -1);
        if (!trouble && cm_source_kafka_trouble(source) != NULL) {
            trouble = true;
            rd_kafka_mock_broker_set_up(mock.cluster, -1);
            put_events(&mock, EVENTS / 2, EVENTS / 2);
        }
    }
    assert_true(trouble);
    assert_null(cm_source_kafka_trouble(source));
    cm_source_close(source);
    assert_each_once(&seen);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* ---- into the embedded store ---- */

static int store_position(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    return cm_store_position(context, name, position, err);
}

/* Many runs end at a bad moment: before the commit, between the store's commit and Kafka's, or
 * after both. At the end, each message is in the store once. */
static void each_message_once(void **state)
{
    enum { EVENTS = 20000 };
    char *directory = test_directory();
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    uint64_t random = 7, read = 1, batches = 0;
    cm_err_t err;
    int more, runs = 0;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    for (; read > 0; runs++) { /* until a run reads no message */
        cm_store_t *store = test_open(directory);
        cm_source_kafka_options_t options = {.until_end = true,
                                             .owner = {store, store_position, NULL},
                                             .count = 1 + (int64_t)(test_random(&random) % 9000)};
        cm_source_t *source = open_source(&mock, options);
        read = 0;
        do {
            cm_batch_clear(&batch);
            more = cm_source_next(source, &batch, &err);
            assert_true(more >= 0);
            test_put(store, &batch);
            read += batch.account.read;
            batches++;
            if (test_random(&random) % 2 == 0) {
                test_commit(store);
                if (test_random(&random) % 2 == 0)
                    assert_ok(source->ops->acknowledge(source, batches, &err), err);
            }
        } while (more > 0);
        batches = 0;
        cm_source_close(source);
        cm_sink_close(&store->sink); /* drops what was not committed */
    }
    assert_true(runs > 3);
    cm_store_t *store = test_open(directory);
    assert_int_equal(cm_store_embedded_events(store), EVENTS);
    int64_t position, sum = 0;
    for (int i = 0; i < PARTITIONS; i++) {
        char name[40];
        snprintf(name, sizeof name, "kafka:g/t[%d]", i);
        assert_ok(cm_store_position(store, name, &position, &err), err);
        sum += position;
    }
    assert_int_equal(sum, EVENTS);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
    mock_stop(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_to_the_end),
        cmocka_unit_test(reads_times_as_it_is_told),
        cmocka_unit_test(fills_what_messages_lack),
        cmocka_unit_test(goes_on_where_it_was),
        cmocka_unit_test(poison_messages),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(starts_where_the_store_is),
        cmocka_unit_test(another_topic_of_the_name),
        cmocka_unit_test(rebalance_eager),
        cmocka_unit_test(rebalance_cooperative),
        cmocka_unit_test(kept_alive),
        cmocka_unit_test(broker_goes_and_comes),
        cmocka_unit_test(each_message_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
