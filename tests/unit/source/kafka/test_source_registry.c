/* The source that reads a Kafka topic whose values are in the wire format of a schema registry:
 * mock brokers and a scripted registry. */
#include "http_fake.h"
#include "kafka_source_support.h"

#define SCHEMA                                                                                     \
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"C\\\",\\\"fields\\\":["           \
    "{\\\"name\\\":\\\"user_id\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"timestamp\\\","  \
    "\\\"type\\\":{\\\"type\\\":\\\"long\\\",\\\"logicalType\\\":\\\"timestamp-millis\\\"}},"      \
    "{\\\"name\\\":\\\"url\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"city\\\","           \
    "\\\"type\\\":[\\\"null\\\",\\\"string\\\"]}]}\"}"
#define UNKNOWN "{\"error_code\":40403,\"message\":\"Schema not found\"}"

typedef struct rig {
    http_fake_t fake;
    mock_t mock;
} rig_t;

static void open_rig(rig_t *rig)
{
    http_fake_open(&rig->fake, NULL);
    start_cluster(&rig->mock, PARTITIONS);
    rig->mock.settings.registry = rig->fake.url;
}

static void close_rig(rig_t *rig)
{
    mock_stop(&rig->mock);
    http_fake_close(&rig->fake);
}

static void answer(rig_t *rig, int status, const char *body)
{
    http_fake_script(&rig->fake, (http_fake_reply_t){.status = status, .body = body});
}

static void add_varint(cm_buf_t *value, uint64_t number)
{
    for (number *= 2; number >= 0x80; number >>= 7) /* zig-zag of a number that is not negative */
        cm_buf_add_char(value, (char)(number | 0x80));
    cm_buf_add_char(value, (char)number);
}

/* Puts event `number` as put_events() has it, coded by this schema. */
static void put_coded(rig_t *rig, int number, int id)
{
    char user[20], url[20];
    cm_buf_t value = CM_BUF_INIT;

    snprintf(user, sizeof user, "user%d", number % 10);
    snprintf(url, sizeof url, "/%d", number);
    cm_buf_add(&value, "\0\0\0\0", 4);
    cm_buf_add_char(&value, (char)id);
    add_varint(&value, strlen(user));
    cm_buf_add_text(&value, user);
    add_varint(&value, 1000 + (uint64_t)number);
    add_varint(&value, strlen(url));
    cm_buf_add_text(&value, url);
    cm_buf_add(&value, "\x02\x08Lima", 6);
    mock_put(&rig->mock, "t", number % PARTITIONS, user, (cm_str_t){value.data, value.len});
    cm_buf_free(&value);
}

static void next(cm_source_t *source, cm_batch_t *batch)
{
    cm_err_t err;

    cm_batch_clear(batch);
    if (cm_source_next(source, batch, &err) < 0)
        fail_msg("%s", err.text);
}

/* Plain JSON, Avro and JSON with the prefix stand side by side in one topic. */
static void all_kinds(void **state)
{
    static const char json[] = "\0\0\0\0\x08{\"user_id\": \"user2\", \"timestamp\": 1092, \"url\": "
                               "\"/92\"}";
    rig_t rig;
    seen_t seen = seen_new(93);

    (void)state;
    open_rig(&rig);
    put_events(&rig.mock, 0, 30);
    for (int i = 30; i < 92; i++)
        put_coded(&rig, i, 7);
    mock_put(&rig.mock, "t", 92 % PARTITIONS, "user2", (cm_str_t){json, sizeof json - 1});
    mock_flush(&rig.mock);
    /* Which of the two ids is first depends on the partitions. */
    answer(&rig, 200, SCHEMA);
    answer(&rig, 200, "{\"schemaType\":\"JSON\",\"schema\":\"{}\"}");
    cm_source_t *source = open_source(&rig.mock, (cm_source_kafka_options_t){.until_end = true});
    read_all(source, &seen, true);
    assert_int_equal(seen.rejected, 0);
    assert_each_once(&seen);
    assert_int_equal(rig.fake.count, 2);
    cm_source_close(source);
    close_rig(&rig);
}

/* The reason is that of the schema; a person's address may be in the bytes. */
static void dead_letters(void **state)
{
    rig_t rig;
    cm_batch_t batch = CM_BATCH_INIT;

    (void)state;
    open_rig(&rig);
    put_coded(&rig, 0, 9);
    mock_flush(&rig.mock);
    answer(&rig, 404, UNKNOWN);
    answer(&rig, 404, UNKNOWN);
    cm_source_t *source = open_source(&rig.mock, (cm_source_kafka_options_t){0});
    for (int rounds = 0; rounds < 200 && batch.dead_count == 0; rounds++)
        next(source, &batch);
    assert_int_equal(batch.dead_count, 1);
    assert_true(
        cm_str_equal(batch.dead[0].reason, CM_STR("schema 9 is not known to the schema registry")));
    assert_true(cm_str_equal(batch.dead[0].origin, CM_STR("t[0]@0")));
    assert_true(batch.dead[0].personal);
    assert_memory_equal(batch.dead[0].payload.data, "\0\0\0\0\x09\x0Auser0", 11);
    cm_batch_free(&batch);
    cm_source_close(source);
    close_rig(&rig);
}

/* While the registry does not answer there is no event and no dead letter, the source says why, and
 * messages before the first that waits are handed out. */
static void registry_away(void **state)
{
    enum { EVENTS = 60 };
    rig_t rig;
    seen_t seen = seen_new(EVENTS);
    cm_batch_t batch = CM_BATCH_INIT;
    int waits = 0;

    (void)state;
    open_rig(&rig);
    put_events(&rig.mock, 0, EVENTS / 2);
    for (int i = EVENTS / 2; i < EVENTS; i++)
        put_coded(&rig, i, 7);
    mock_flush(&rig.mock);
    for (int i = 0; i < 4; i++)
        http_fake_script(&rig.fake, (http_fake_reply_t){.fault = CLOSE});
    answer(&rig, 200, SCHEMA);
    cm_source_t *source = open_source(&rig.mock, (cm_source_kafka_options_t){0});
    for (int rounds = 0; rounds < 300 && total(&seen) < EVENTS; rounds++) {
        next(source, &batch);
        see(&seen, &batch);
        if (cm_source_kafka_registry_trouble(source) != NULL) {
            waits++;
            assert_null(cm_source_kafka_trouble(source));
            assert_in_range(total(&seen), EVENTS / 2 / PARTITIONS, EVENTS / 2);
        }
    }
    assert_true(waits > 2);
    assert_null(cm_source_kafka_registry_trouble(source));
    assert_int_equal(seen.rejected, 0);
    assert_each_once(&seen);
    cm_batch_free(&batch);
    cm_source_close(source);
    close_rig(&rig);
}

/* A second consumer joins while the first one waits: each event comes out once. */
static void rebalance_while_waiting(void **state)
{
    enum { EVENTS = 300 };
    rig_t rig;
    seen_t seen = seen_new(EVENTS), counts[2] = {{0}, {0}};
    owner_t owners[2] = {{.seen = &counts[0]}, {.seen = &counts[1]}};
    cm_batch_t batch = CM_BATCH_INIT;
    bool shared = false;

    (void)state;
    open_rig(&rig);
    for (int i = 0; i < EVENTS; i++)
        put_coded(&rig, i, 7);
    mock_flush(&rig.mock);
    for (int i = 0; i < 40; i++)
        http_fake_script(&rig.fake, (http_fake_reply_t){.fault = CLOSE});
    for (int rounds = 0; rounds < 600 && total(&seen) < EVENTS; rounds++) {
        for (int i = 0; i < 2; i++) {
            if (owners[i].source == NULL &&
                (i == 0 || cm_source_kafka_registry_trouble(owners[0].source) != NULL))
                owners[i].source = open_source(
                    &rig.mock,
                    (cm_source_kafka_options_t){.owner = {&owners[i], NULL, owner_drain}});
            if (owners[i].source == NULL)
                continue;
            next(owners[i].source, &batch);
            see(&seen, &batch);
            counts[i].batches++;
        }
        cm_source_kafka_lag_t lag;
        if (!shared && owners[1].source != NULL &&
            cm_source_kafka_lags(owners[1].source, &lag, 1) > 0) {
            shared = true;
            pthread_mutex_lock(&rig.fake.lock);
            rig.fake.next = rig.fake.script_count = 0;
            pthread_mutex_unlock(&rig.fake.lock);
            answer(&rig, 200, SCHEMA);
            answer(&rig, 200, SCHEMA);
        }
    }
    assert_true(shared);
    assert_true(counts[0].batches > 0 && counts[1].batches > 0);
    assert_int_equal(seen.rejected, 0);
    assert_each_once(&seen);
    for (int i = 0; i < 2; i++)
        cm_source_close(owners[i].source);
    cm_batch_free(&batch);
    close_rig(&rig);
}

/* Credentials that the registry refuses end the source: no event becomes a dead letter by them. */
static void refused(void **state)
{
    rig_t rig;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int rc = 1;

    (void)state;
    open_rig(&rig);
    put_coded(&rig, 0, 7);
    mock_flush(&rig.mock);
    answer(&rig, 403, "{\"error_code\":40301,\"message\":\"no\"}");
    cm_source_t *source = open_source(&rig.mock, (cm_source_kafka_options_t){0});
    for (int rounds = 0; rounds < 200 && rc > 0; rounds++) {
        cm_batch_clear(&batch);
        rc = cm_source_next(source, &batch, &err);
        assert_int_equal(batch.account.read, 0);
    }
    assert_int_equal(rc, CM_EUSAGE);
    assert_contains(err.text, "refuses the user (status 403)");
    cm_batch_free(&batch);
    cm_source_close(source);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),     cmocka_unit_test(dead_letters),
        cmocka_unit_test(registry_away), cmocka_unit_test(rebalance_while_waiting),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
