/* A topic that was deleted and created again with the same name: the proof that it is the same
 * topic, and what happens when it is not. Another cluster of mock brokers represents the topic that
 * was created again. */
#include "kafka_source_support.h"
#include "store_support.h"

#include "source/kafka/internal.h"

/* ---- the proof ---- */

static rd_kafka_message_t message(int64_t offset, const char *key, const char *value)
{
    return (rd_kafka_message_t){.offset = offset,
                                .key = (void *)key,
                                .key_len = key != NULL ? strlen(key) : 0,
                                .payload = (void *)value,
                                .len = value != NULL ? strlen(value) : 0};
}

static void proof_as_a_text(void **state)
{
    static const char *const no_proofs[] = {
        "",
        "clickmill:1:",
        "clickmill:1:5",
        "clickmill:1:5:",
        "clickmill:1:-5:0000000000000001",
        "clickmill:1:5:0000000000000001 ",
        "clickmill:2:5:0000000000000001",
        "a client's own metadata, of more than 64 bytes, which is "
        "more than a proof has"};
    cm_source_kafka_proof_t proof = {.last = INT64_C(9007199254740993),
                                     .hash = UINT64_C(0x7234567890abcdef)};
    char text[CM_SOURCE_KAFKA_PROOF_TEXT];

    (void)state;
    cm_source_kafka_proof_format(&proof, text);
    assert_string_equal(text, "clickmill:1:9007199254740993:7234567890abcdef");
    cm_source_kafka_proof_t again = cm_source_kafka_proof_parse(cm_str(text));
    assert_int_equal(again.last, proof.last);
    assert_int_equal(again.hash, proof.hash);
    proof = CM_SOURCE_KAFKA_PROOF_NONE;
    cm_source_kafka_proof_format(&proof, text);
    assert_string_equal(text, "");
    assert_int_equal(cm_source_kafka_proof_begin(&proof), -1);
    proof = cm_source_kafka_proof_bare(41);
    assert_int_equal(cm_source_kafka_proof_begin(&proof), 41);
    cm_source_kafka_proof_format(&proof, text);
    assert_string_equal(text, "clickmill:1:-1:000000000000002a");
    again = cm_source_kafka_proof_parse(cm_str(text));
    assert_int_equal(again.last, -1);
    assert_int_equal(cm_source_kafka_proof_begin(&again), 41);
    for (size_t i = 0; i < sizeof no_proofs / sizeof no_proofs[0]; i++)
        assert_int_equal(cm_source_kafka_proof_parse(cm_str(no_proofs[i])).last, -1);
    assert_int_equal(cm_source_kafka_proof_parse((cm_str_t){NULL, 0}).last, -1);
}

/* The proof distinguishes key and value, and also a missing value from an empty one. */
static void proof_of_a_message(void **state)
{
    const rd_kafka_message_t messages[] = {
        message(7, "ab", "c"),   message(7, "a", "bc"), message(7, NULL, "abc"),
        message(7, "abc", NULL), message(7, "", "abc"), message(7, "abc", ""),
    };
    enum { COUNT = sizeof messages / sizeof messages[0] };

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(cm_source_kafka_proof_of(&messages[i]).last, 7);
        assert_true(cm_source_kafka_proof_of(&messages[i]).hash <= INT64_MAX);
        for (size_t k = 0; k < COUNT; k++)
            assert_true((cm_source_kafka_proof_of(&messages[i]).hash ==
                         cm_source_kafka_proof_of(&messages[k]).hash) == (i == k));
    }
}

static void verdicts(void **state)
{
    const rd_kafka_message_t mine = message(7, "k", "v"), other = message(7, "k", "w");
    const rd_kafka_message_t eight = message(8, "k", "v"), ten = message(10, "k", "v");
    const cm_source_kafka_proof_t proof = cm_source_kafka_proof_of(&mine);

    (void)state;
    /* Read up to 10: after message 7 there are only the ends of transactions. */
    assert_int_equal(cm_source_kafka_proof_judge(&proof, 7, 10, &mine), CM_SOURCE_KAFKA_PROOF_SAME);
    assert_int_equal(cm_source_kafka_proof_judge(&proof, 7, 10, &other),
                     CM_SOURCE_KAFKA_PROOF_RECREATED);
    assert_int_equal(cm_source_kafka_proof_judge(&proof, 7, 10, &eight),
                     CM_SOURCE_KAFKA_PROOF_RECREATED);
    assert_int_equal(cm_source_kafka_proof_judge(&proof, 7, 10, &ten),
                     CM_SOURCE_KAFKA_PROOF_RECREATED);
    /* Retention has deleted message 7. */
    assert_int_equal(cm_source_kafka_proof_judge(&proof, 8, 10, &eight),
                     CM_SOURCE_KAFKA_PROOF_RECREATED);
    assert_int_equal(cm_source_kafka_proof_judge(&proof, 8, 10, &ten), CM_SOURCE_KAFKA_PROOF_GO_ON);
    assert_int_equal(cm_source_kafka_proof_judge_end(&proof, 7, 10, 10),
                     CM_SOURCE_KAFKA_PROOF_RECREATED);
    assert_int_equal(cm_source_kafka_proof_judge_end(&proof, 7, 10, 7),
                     CM_SOURCE_KAFKA_PROOF_GO_ON);
    assert_int_equal(cm_source_kafka_proof_judge_end(&proof, 8, 10, 9),
                     CM_SOURCE_KAFKA_PROOF_RECREATED);
    assert_int_equal(cm_source_kafka_proof_judge_end(&proof, 8, 10, 10),
                     CM_SOURCE_KAFKA_PROOF_SAME);
}

/* A batch has messages of a partition and, after them, the report that the topic does not exist.
 * When the topic is back, the last of these messages is checked, not one of an earlier batch. */
static void doubt_after_messages(void **state)
{
    static const cm_source_kafka_proof_t earlier[] = {{.last = 10, .hash = 3}, {.last = -1}};
    const cm_source_kafka_proof_t last = {.last = 49, .hash = 7};
    cm_kafka_settings_t settings = {.group = "g", .topic = "t"};

    (void)state;
    for (size_t i = 0; i < sizeof earlier / sizeof earlier[0]; i++) {
        cm_source_kafka_parts_t parts = {0};
        cm_source_kafka_part_t *part = cm_source_kafka_parts_add(&parts, &settings, 0);
        part->proof = earlier[i];
        part->next = 50;
        part->taken = 39;
        cm_source_kafka_part_doubt(part);
        cm_source_kafka_part_prove(part, &earlier[i], &last);
        assert_true(part->proving && part->stale);
        assert_int_equal(cm_source_kafka_part_from(part), 49);
        assert_int_equal(part->proof.hash, 7);
        assert_int_equal(part->taken, 0);
        cm_source_kafka_parts_free(&parts);
    }
}

/* ---- the source ---- */

static int store_position(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    return cm_store_position(context, name, position, err);
}

/* The log of a worker is kept in a file. */
typedef struct said {
    FILE *file;
    cm_log_t log;
} said_t;

static void listen_to(said_t *said, mock_t *mock)
{
    said->file = tmpfile();
    assert_non_null(said->file);
    said->log = (cm_log_t){.level = CM_LOG_WARN, .fd = fileno(said->file)};
    mock->settings.log = &said->log;
}

/* How often the log reports that the topic was created again, since the last call. */
static int times_recreated(said_t *said)
{
    char text[8000] = "";
    int times = 0;

    assert_true(pread(fileno(said->file), text, sizeof text - 1, 0) >= 0);
    for (const char *at = text; (at = strstr(at, "the topic was created again")) != NULL; at++)
        times++;
    assert_int_equal(ftruncate(fileno(said->file), 0), 0);
    lseek(fileno(said->file), 0, SEEK_SET);
    return times;
}

/* Reads to the end into the store; with `crash`, without a commit. Returns the number of messages
 * read. */
static uint64_t ingest(const mock_t *mock, const char *directory, bool crash)
{
    cm_store_t *store = test_open(directory);
    cm_source_t *source =
        open_source(mock, (cm_source_kafka_options_t){.until_end = true,
                                                      .owner = {store, store_position, NULL}});
    cm_batch_t batch = CM_BATCH_INIT;
    uint64_t read = 0;
    cm_err_t err;
    int more;

    do {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        if (more < 0)
            fail_msg("%s", err.text);
        test_put(store, &batch);
        read += batch.account.read;
        assert_int_equal(batch.account.gone, 0);
    } while (more > 0);
    if (!crash)
        test_commit(store);
    cm_source_close(source);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    return read;
}

static int64_t events_of(const char *directory)
{
    cm_store_t *store = test_open(directory);
    int64_t events = cm_store_embedded_events(store);

    cm_sink_close(&store->sink);
    return events;
}

/* The topic is created again with fewer, as many, or more messages: all of them are read once. A
 * crash before they are stored changes nothing. */
static void created_again(int before, int after)
{
    char *directory = test_directory();
    mock_t mock;
    said_t said;

    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, before);
    listen_to(&said, &mock);
    assert_int_equal(ingest(&mock, directory, false), before);
    assert_int_equal(ingest(&mock, directory, false), 0);
    assert_int_equal(times_recreated(&said), 0);
    mock_stop(&mock);
    fclose(said.file);

    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 100000, after);
    listen_to(&said, &mock);
    for (int crash = 1; crash >= 0; crash--) {
        assert_int_equal(ingest(&mock, directory, crash == 1), after);
        assert_int_equal(times_recreated(&said), PARTITIONS);
    }
    assert_int_equal(events_of(directory), before + after);
    /* From now on it is the same topic. */
    put_events(&mock, 200000, 30);
    assert_int_equal(ingest(&mock, directory, false), 30);
    assert_int_equal(times_recreated(&said), 0);
    assert_int_equal(events_of(directory), before + after + 30);
    mock_stop(&mock);
    fclose(said.file);
    test_remove(directory);
}

static void created_again_with_fewer(void **state)
{
    (void)state;
    created_again(300, 90);
}

static void created_again_with_as_many(void **state)
{
    (void)state;
    created_again(300, 300);
}

static void created_again_with_more(void **state)
{
    (void)state;
    created_again(300, 900);
}

/* A store without transactions: the proof is saved with the group's own offsets. */
static void created_again_for_a_group(void **state)
{
    enum { BEFORE = 300, AFTER = 600 };
    mock_t mock, again;
    seen_t seen = seen_new(BEFORE);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    rd_kafka_conf_t *conf;
    char why[200];
    said_t said;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, BEFORE);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    read_all(source, &seen, true);
    cm_source_close(source);
    assert_each_once(&seen);
    /* The offsets move to the new cluster with their metadata. */
    for (int i = 0; i < PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(list, "t", i);
    conf = mock_conf("group.id", "g");
    rd_kafka_conf_set(conf, "bootstrap.servers", mock.settings.brokers, why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    assert_int_equal(rd_kafka_committed(rk, list, 10000), 0);
    rd_kafka_destroy(rk);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(list->elems[i].offset, BEFORE / PARTITIONS);
        assert_memory_equal(list->elems[i].metadata, "clickmill:1:99:", 15);
    }
    start_cluster(&again, PARTITIONS);
    conf = mock_conf("group.id", "g");
    rd_kafka_conf_set(conf, "bootstrap.servers", again.settings.brokers, why, sizeof why);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    assert_int_equal(rd_kafka_commit(rk, list, false), 0);
    rd_kafka_destroy(rk);
    rd_kafka_topic_partition_list_destroy(list);
    mock_stop(&mock);

    put_events(&again, 0, AFTER);
    listen_to(&said, &again);
    for (int i = 0; i < 2; i++) { /* the second run reads no message */
        seen = seen_new(AFTER);
        source = open_source(&again, (cm_source_kafka_options_t){.until_end = true});
        read_all(source, &seen, true);
        cm_source_close(source);
        assert_int_equal(times_recreated(&said), i == 0 ? PARTITIONS : 0);
        assert_int_equal(total(&seen), i == 0 ? AFTER : 0);
        if (i == 0)
            assert_each_once(&seen);
        else
            free(seen.times);
    }
    mock_stop(&again);
    fclose(said.file);
}

/* A topic is missing for a moment and is the same when it is back: no message is read twice or
 * skipped. */
static void missing_for_a_moment(void **state)
{
    enum { EVENTS = 600 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    cm_batch_t batch = CM_BATCH_INIT;
    said_t said;
    cm_err_t err;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    mock_property(&mock, "topic.metadata.refresh.interval.ms", "200");
    put_events(&mock, 0, EVENTS / 2);
    listen_to(&said, &mock);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    for (int rounds = 0, away = 0; rounds < 600 && total(&seen) < EVENTS; rounds++) {
        cm_batch_clear(&batch);
        if (cm_source_next(source, &batch, &err) < 0)
            fail_msg("%s", err.text);
        see(&seen, &batch);
        assert_ok(source->ops->acknowledge(source, seen.batches, &err), err);
        if (total(&seen) < EVENTS / 2)
            continue;
        if (away++ == 0)
            rd_kafka_mock_topic_set_error(mock.cluster, "t",
                                          RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        if (away == 10) {
            rd_kafka_mock_topic_set_error(mock.cluster, "t", RD_KAFKA_RESP_ERR_NO_ERROR);
            put_events(&mock, EVENTS / 2, EVENTS / 2);
        }
    }
    cm_source_close(source);
    assert_int_equal(times_recreated(&said), 0);
    assert_each_once(&seen);
    cm_batch_free(&batch);
    fclose(said.file);
    mock_stop(&mock);
}

/* Reads until this many messages were seen and no more come for some time, or to the end. */
static void read_some(cm_source_t *source, seen_t *seen, int events, int quiet_rounds)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int more = 1;

    for (int quiet = 0; more > 0 && (total(seen) < events || quiet < quiet_rounds); quiet++) {
        const int before = total(seen);
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        if (more < 0)
            fail_msg("%s", err.text);
        see(seen, &batch);
        quiet = total(seen) > before ? -1 : quiet;
    }
    cm_batch_free(&batch);
}

/* All messages of a topic are read. Then partition 1 is created again, without an error and longer
 * than before: another message is at the offset of its first one. The change is found by the
 * periodic check, or before the end is reported. The whole new partition is read, and no other
 * partition is read again. */
static void created_again_silently(bool until_end)
{
    enum { EVENTS = 300 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    said_t said;

    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    listen_to(&said, &mock);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = until_end});
    cm_source_kafka_t *inside = (cm_source_kafka_t *)source;
    read_some(source, &seen, EVENTS, 0);
    assert_int_equal(total(&seen), EVENTS);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(inside->parts.parts[i].witness.last, 0);
    inside->parts.parts[1].witness.hash ^= 1;
    inside->watched_ns = until_end ? inside->watched_ns : 1;
    read_some(source, &seen, EVENTS + EVENTS / PARTITIONS, until_end ? 600 : 0);
    assert_int_equal(times_recreated(&said), 1);
    for (int i = 0; i < EVENTS; i++)
        assert_int_equal(seen.times[i], i % PARTITIONS == 1 ? 2 : 1);
    /* The checked message is the proof now, and another check finds no change. */
    inside->watched_ns = 1;
    read_some(source, &seen, 0, until_end ? 1 : 20);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(inside->parts.parts[i].witness.last, EVENTS / PARTITIONS - 1);
    assert_int_equal(total(&seen), EVENTS + EVENTS / PARTITIONS);
    assert_int_equal(times_recreated(&said), 0);
    cm_source_close(source);
    free(seen.times);
    mock_stop(&mock);
    fclose(said.file);
}

static void created_again_silently_while_it_is_followed(void **state)
{
    (void)state;
    created_again_silently(false);
}

static void created_again_silently_before_the_end(void **state)
{
    (void)state;
    created_again_silently(true);
}

/* The positions of a store, by partition. */
typedef struct kept {
    int64_t next;
    cm_source_kafka_proof_t witness[PARTITIONS];
} kept_t;

static int kept_position(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    const kept_t *kept = context;
    const cm_source_kafka_proof_t *witness = &kept->witness[strchr(name, '[')[1] - '0'];

    (void)err;
    *position = strstr(name, "#last") != NULL   ? witness->last + 1
                : strstr(name, "#hash") != NULL ? (int64_t)witness->hash
                                                : kept->next;
    return 0;
}

/* The message of the proof is before the position. When it is still there, the messages after it
 * are not read again; when it is not, the whole partition is read. */
static void begun_after_an_older_message(void **state)
{
    enum { EVENTS = 300, NEXT = 50 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    kept_t kept = {.next = NEXT};
    said_t said;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    listen_to(&said, &mock);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){0});
    read_some(source, &seen, EVENTS, 0);
    for (int i = 0; i < PARTITIONS; i++)
        kept.witness[i] = ((cm_source_kafka_t *)source)->parts.parts[i].witness;
    cm_source_close(source);
    assert_each_once(&seen);
    for (int recreated = 0; recreated < 2; recreated++) {
        seen = seen_new(EVENTS);
        for (int i = 0; i < PARTITIONS; i++)
            kept.witness[i].hash ^= (uint64_t)recreated;
        source = open_source(&mock, (cm_source_kafka_options_t){
                                        .until_end = true, .owner = {&kept, kept_position, NULL}});
        read_all(source, &seen, false);
        cm_source_close(source);
        assert_int_equal(times_recreated(&said), recreated ? PARTITIONS : 0);
        for (int i = 0; i < EVENTS; i++)
            assert_int_equal(seen.times[i], recreated || i / PARTITIONS >= NEXT ? 1 : 0);
        free(seen.times);
    }
    mock_stop(&mock);
    fclose(said.file);
}

/* A position that has moved over aborted messages only: no message before it was taken, so they are
 * read. For a position of an earlier edition this is unknown, and the position is believed. */
static void begun_after_no_message(void **state)
{
    enum { EVENTS = 300, NEXT = 50 };
    mock_t mock;
    kept_t kept = {.next = NEXT};
    said_t said;

    (void)state;
    start_cluster(&mock, PARTITIONS);
    put_events(&mock, 0, EVENTS);
    listen_to(&said, &mock);
    for (int bare = 0; bare < 2; bare++) {
        seen_t seen = seen_new(EVENTS);
        for (int i = 0; i < PARTITIONS; i++)
            kept.witness[i] = bare ? cm_source_kafka_proof_bare(i) : CM_SOURCE_KAFKA_PROOF_NONE;
        cm_source_t *source =
            open_source(&mock, (cm_source_kafka_options_t){.until_end = true,
                                                           .owner = {&kept, kept_position, NULL}});
        read_all(source, &seen, false);
        for (int i = 0; i < EVENTS; i++)
            assert_int_equal(seen.times[i],
                             i / PARTITIONS >= (bare ? i % PARTITIONS : NEXT) ? 1 : 0);
        assert_int_equal(seen.gone, 0);
        cm_source_close(source);
        free(seen.times);
    }
    /* The topic is shorter than the position, so it is another topic, and it is read from its
     * beginning. */
    seen_t seen = seen_new(EVENTS);
    kept.next = EVENTS;
    cm_source_t *source =
        open_source(&mock, (cm_source_kafka_options_t){.until_end = true,
                                                       .owner = {&kept, kept_position, NULL}});
    read_all(source, &seen, false);
    assert_int_equal(times_recreated(&said), PARTITIONS);
    cm_source_close(source);
    assert_each_once(&seen);
    mock_stop(&mock);
    fclose(said.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proof_as_a_text),
        cmocka_unit_test(proof_of_a_message),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(doubt_after_messages),
        cmocka_unit_test(created_again_with_fewer),
        cmocka_unit_test(created_again_with_as_many),
        cmocka_unit_test(created_again_with_more),
        cmocka_unit_test(created_again_for_a_group),
        cmocka_unit_test(missing_for_a_moment),
        cmocka_unit_test(created_again_silently_while_it_is_followed),
        cmocka_unit_test(created_again_silently_before_the_end),
        cmocka_unit_test(begun_after_an_older_message),
        cmocka_unit_test(begun_after_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
