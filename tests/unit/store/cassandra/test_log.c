/* What the store on Cassandra notes in the companion of its table, against the fake cluster: each
 * row before it is sent, with its write time, whatever fails meanwhile; and what is acknowledged.
 */
#include "cassandra/changes.h"
#include "cassandra_world.h"

enum { EVENTS = 3000 };

/* What has come, in its order. */
typedef struct noted {
    int64_t writer, entries, rows, registered;
    int64_t said, announced, said_us; /* of the writer's own row; the latter its write time */
    int64_t times[EVENTS]; /* by number of key: write time as it was noted; 0: it was not */
    bool written[EVENTS];
    const char *failure; /* asserting is for the test's thread */
} noted_t;

static int number_of(cm_str_t key)
{
    int64_t number = -1;

    if (key.len < 2 || !cm_str_to_i64((cm_str_t){key.data + 1, key.len - 1}, &number) ||
        number < 0 || number >= EVENTS)
        return -1;
    return (int)number;
}

/* The one with the last write time is what stays, in whatever order they come. */
static void take_own_row(noted_t *noted, int64_t number, const cm_str_t *v)
{
    const int64_t time = cm_cql_load_i64(v[7].data);

    if (noted->registered == 0 || noted->writer != number) {
        noted->registered++;
        noted->said_us = INT64_MIN;
    }
    noted->writer = number;
    if (time == noted->said_us)
        noted->failure = "two rows of a writer with one write time";
    if (time <= noted->said_us)
        return;
    noted->said_us = time;
    noted->said = cm_cql_load_i64(v[2].data);
    noted->announced = cm_cql_load_i64(v[3].data);
}

static void take_entry(noted_t *noted, const cm_str_t *v)
{
    char part[CM_CASSANDRA_CHANGES_PART];
    int64_t seq = cm_cql_load_i64(v[1].data), time;
    cm_str_t rest = v[6], key;

    if (cm_str_equal(v[0], CM_STR(CM_CASSANDRA_CHANGES_WRITERS))) {
        take_own_row(noted, seq, v);
        return;
    }
    cm_cassandra_changes_part(noted->writer, seq, part);
    if (noted->registered > 0 && !cm_str_equal(v[0], cm_str(part)))
        noted->failure = "an entry of another writer";
    if (seq + 1 > noted->entries)
        noted->entries = seq + 1;
    for (time = cm_cql_load_i64(v[4].data); cm_cassandra_changes_next_key(&rest, &key); time++) {
        if (number_of(key) < 0)
            noted->failure = "a key of no event";
        else
            noted->times[number_of(key)] = time;
    }
    if (time != cm_cql_load_i64(v[5].data) + 1)
        noted->failure = "the last write time is not that of the last key";
}

static void note(void *context, const cm_str_t *values, int count)
{
    noted_t *noted = context;
    int number = number_of(values[0]);

    if (count == 8) {
        take_entry(noted, values);
        return;
    }
    noted->rows++;
    if (noted->announced < noted->entries)
        noted->failure = "a row of an entry that was not announced";
    else if (number < 0 || noted->times[number] == 0 || noted->registered == 0)
        noted->failure = "a row that was not noted before";
    else if (noted->times[number] != cm_cql_load_i64(values[count - 1].data))
        noted->failure = "another write time than was noted";
    else
        noted->written[number] = true;
}

static void check(world_t *world, const noted_t *noted)
{
    pthread_mutex_lock(&world->lock);
    if (noted->failure != NULL)
        fail_msg("%s", noted->failure);
    for (int i = 0; i < EVENTS; i++)
        assert_true(noted->written[i]);
    assert_int_equal(1, noted->registered);
    /* The writer's own row says how many there are, and that all is acknowledged. */
    assert_true(noted->entries >= 4);
    assert_int_equal(noted->entries, noted->announced);
    assert_int_equal(noted->entries, noted->said);
    pthread_mutex_unlock(&world->lock);
}

static void write_all(world_t *world, fault_t fault, int32_t code, int count)
{
    static noted_t noted;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};
    uint64_t durable;

    memset(&noted, 0, sizeof noted);
    world->settings.only_writer = true;
    world->settings.in_flight = 700; /* less than an entry has */
    cm_store_t *store = world_open_store(world, NULL);
    pthread_mutex_lock(&world->lock);
    world->fake.wrote = note;
    world->fake.wrote_context = &noted;
    world->fake.nodes[0].fault = fault;
    world->fake.nodes[0].fault_code = code;
    world->fake.nodes[0].fault_count = count;
    pthread_mutex_unlock(&world->lock);
    for (int i = 0; i < 3; i++) {
        world_fill(&batch, i * EVENTS / 3, EVENTS / 3);
        assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    }
    assert_ok(cm_sink_commit(&store->sink, &err), err);
    assert_ok(store->sink.ops->durable(&store->sink, &durable, &err), err);
    assert_int_equal(3, durable);
    check(world, &noted);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static void rows_are_noted_first(void **state)
{
    world_has.companion = true;
    write_all(*state, NO_FAULT, 0, 0);
}

static void whatever_fails(void **state)
{
    world_has.companion = true;
    write_all(*state, SERVER_SAYS, CM_CQL_UNAVAILABLE, 9);
    write_all(*state, CLOSE, 0, 2);
    write_all(*state, SERVER_SAYS, CM_CQL_OVERLOADED, 9);
}

static void the_companion_is_made(void **state)
{
    world_t *world = *state;

    world->settings.only_writer = true;
    world_refuse(world, false, CM_EINPUT, "there is no table clicks.events_changes");
    assert_int_equal(0, world_has.change_count);
    world->settings.create = true;
    cm_store_t *store = world_open_store(world, NULL);
    cm_sink_close(&store->sink);
    assert_int_equal(1, world_has.change_count);
    assert_string_equal("CREATE TABLE IF NOT EXISTS \"clicks\".\"events_changes\" (part text, seq "
                        "bigint, done bigint, end_seq bigint, first_us bigint, last_us bigint, "
                        "keys blob, PRIMARY KEY (part, seq))",
                        world_has.changes[0]);
}

/* Without the setting nothing is noted, and the companion is not even looked for. */
static void without_the_setting(void **state)
{
    static noted_t noted;
    world_t *world = *state;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};

    memset(&noted, 0, sizeof noted);
    world_has.companion = true;
    cm_store_t *store = world_open_store(world, NULL);
    pthread_mutex_lock(&world->lock);
    world->fake.wrote = note;
    world->fake.wrote_context = &noted;
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 100);
    assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    assert_ok(cm_sink_commit(&store->sink, &err), err);
    assert_int_equal(100, noted.rows);
    assert_int_equal(0, noted.entries + noted.registered);
    assert_string_equal("a row that was not noted before", noted.failure);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

/* What one copy has acknowledged may be missed by a quorum: it is not said to be settled. */
static void acknowledged_by_one(void **state)
{
    static noted_t noted;
    world_t *world = *state;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};

    memset(&noted, 0, sizeof noted);
    world_has.companion = world->settings.only_writer = true;
    world->settings.consistency = CM_CQL_ONE;
    world->fake.wrote = note;
    world->fake.wrote_context = &noted;
    cm_store_t *store = world_open_store(world, NULL);
    for (int i = 0; i < 3; i++) {
        world_fill(&batch, i * EVENTS / 3, EVENTS / 3);
        assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
        assert_ok(cm_sink_commit(&store->sink, &err), err);
    }
    assert_null(noted.failure);
    assert_int_equal(0, noted.said);
    assert_int_equal(6, noted.entries);
    assert_int_equal(6, noted.announced);
    for (int i = 0; i < EVENTS; i++)
        assert_true(noted.written[i]);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static int64_t clock_now(void *self)
{
    return *(const int64_t *)self;
}

/* A writer takes another number after a day, and counts its entries from 0 again: the first ones of
 * an old number end some day, and a reader that does not know it yet would search for them without
 * end. */
static void a_number_a_day(void **state)
{
    static noted_t noted;
    world_t *world = *state;
    cm_batch_t batch = CM_BATCH_INIT;
    int64_t now = 1747476303000, numbers[3], entries[3];
    const cm_clock_t clock = {clock_now, &now};
    const cm_store_cassandra_options_t options = {.settings = &world->settings, .clock = &clock};
    cm_store_t *store = NULL;
    cm_err_t err = {0};

    memset(&noted, 0, sizeof noted);
    world_has.companion = world->settings.only_writer = true;
    world->fake.wrote = note;
    world->fake.wrote_context = &noted;
    assert_ok(cm_store_cassandra_open(&options, &store, &err), err);
    for (int i = 0; i < 3; i++, now += i == 1 ? 1000 : INT64_C(86400000)) {
        world_fill(&batch, i * EVENTS / 3, EVENTS / 3);
        noted.entries = 0;
        assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
        assert_ok(cm_sink_commit(&store->sink, &err), err);
        numbers[i] = noted.writer;
        entries[i] = noted.entries;
    }
    assert_null(noted.failure);
    assert_int_equal(2, noted.registered);
    assert_true(numbers[0] == numbers[1] && numbers[1] != numbers[2]);
    assert_int_equal(4, entries[1]); /* of the first two batches */
    assert_int_equal(2, entries[2]);
    for (int i = 0; i < EVENTS; i++)
        assert_true(noted.written[i]);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_noted_first), TEST(whatever_fails),      TEST(the_companion_is_made),
        TEST(without_the_setting),  TEST(acknowledged_by_one), TEST(a_number_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
