/* The store on Cassandra against the fake cluster: what is written, what is waited for, what is
 * read.
 */
#include "cassandra_world.h"

#include "cassandra/schema.h"

static void durable_in_order(void **state)
{
    world_t *world = *state;
    cm_store_t *store = world_open_store(world, NULL);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};
    uint64_t durable = 99;

    assert_ok(store->sink.ops->durable(&store->sink, &durable, &err), err);
    assert_int_equal(0, durable);
    for (int i = 0; i < 10; i++) {
        world_fill(&batch, i * 100, i == 5 ? 0 : 100); /* one is empty */
        assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    }
    assert_ok(cm_sink_commit(&store->sink, &err), err);
    assert_ok(store->sink.ops->durable(&store->sink, &durable, &err), err);
    assert_int_equal(10, durable);
    world_check_seen(world, 500, 1, 1);
    assert_int_equal(0, world->fake.seen[550]);
    assert_int_equal(0, cm_store_retries(store));
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static void a_derived_key_is_written(void **state)
{
    world_t *world = *state;
    cm_store_t *store = world_open_store(world, NULL);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};

    /* The UUIDv5 of "visitor_1747476303000" in the name space of DNS (by Python's uuid). The
     * fake refuses this key, which shows that it came. */
    pthread_mutex_lock(&world->lock);
    world->fake.poison = "cecd1b34-a4bc-5e5a-8d3a-1ea763d34cca";
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 1);
    batch.events[0].row_key = (cm_str_t){NULL, 0};
    int rc = cm_sink_put(&store->sink, &batch, &err);
    if (rc == 0)
        rc = cm_sink_commit(&store->sink, &err);
    assert_int_equal(CM_EIO, rc);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static void a_refused_row_ends_it(void **state)
{
    world_t *world = *state;
    cm_store_t *store = world_open_store(world, NULL);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};
    uint64_t durable;

    pthread_mutex_lock(&world->lock);
    world->fake.poison = "r17";
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 40);
    int rc = cm_sink_put(&store->sink, &batch, &err);
    if (rc == 0)
        rc = cm_sink_commit(&store->sink, &err);
    assert_int_equal(CM_EIO, rc);
    assert_non_null(strstr(err.text, "storing events: Cassandra at 127.0.0.1"));
    assert_non_null(strstr(err.text, "poison"));
    assert_non_null(strstr(err.text, "clickmill doctor"));
    assert_int_equal(CM_EIO, store->sink.ops->durable(&store->sink, &durable, &err));
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

/* ---- a row is one event's ---- */

/* What has been written, in the order of arrival, and a clock that is set by hand. */
typedef struct writes {
    struct {
        char key[40], url[60], country[20], city[20];
        int64_t time_us;
    } rows[400];
    int count;
    int64_t now_ms;
} writes_t;

static void note_write(void *context, const cm_str_t *values, int count)
{
    writes_t *writes = context;
    const cm_str_t *v = values;

    assert_int_equal(CM_CASSANDRA_NINE + 1, count);
    assert_int_equal(8, v[count - 1].len);
    assert_in_range(writes->count, 0, 399);
    snprintf(writes->rows[writes->count].key, 40, "%.*s", (int)v[0].len, v[0].data);
    snprintf(writes->rows[writes->count].url, 60, "%.*s", (int)v[3].len, v[3].data);
    snprintf(writes->rows[writes->count].country, 20, "%.*s", (int)v[4].len, v[4].data);
    snprintf(writes->rows[writes->count].city, 20, "%.*s", (int)v[5].len, v[5].data);
    writes->rows[writes->count++].time_us = cm_cql_load_i64(v[count - 1].data);
}

static int64_t read_writes_clock(void *self)
{
    return ((writes_t *)self)->now_ms;
}

static cm_store_t *open_noted(world_t *world, writes_t *writes, cm_clock_t *clock)
{
    *clock = (cm_clock_t){read_writes_clock, writes};
    const cm_store_cassandra_options_t options = {.settings = &world->settings, .clock = clock};
    cm_store_t *store = NULL;
    cm_err_t err = {0};

    memset(writes, 0, sizeof *writes);
    writes->now_ms = 1700000000000;
    world->fake.wrote = note_write;
    world->fake.wrote_context = writes;
    assert_ok(cm_store_cassandra_open(&options, &store, &err), err);
    return store;
}

static void put_and_commit(cm_store_t *store, const cm_batch_t *batch)
{
    cm_err_t err = {0};

    assert_ok(cm_sink_put(&store->sink, batch, &err), err);
    assert_ok(cm_sink_commit(&store->sink, &err), err);
}

/* An event of user u1 at 1000 ms; its row key is derived where `key` is empty. */
static void add_event(cm_batch_t *batch, const char *key, const char *url, const char *country,
                      const char *city)
{
    cm_event_t *event = cm_batch_slot(batch);

    *event = (cm_event_t){.row_key = cm_str(key),
                          .user_id = CM_STR("u1"),
                          .timestamp = 1000,
                          .url = cm_str(url),
                          .country = cm_str(country),
                          .city = cm_str(city)};
    cm_event_complete(event);
    cm_batch_accept(batch);
}

static void one_event_of_a_key_is_written(void **state)
{
    /* The UUIDv5 of "u1_1000" (by Python's uuid). */
    static const char derived[] = "a7c29e0a-3e53-532e-92a6-40a132ffff93";
    world_t *world = *state;
    static writes_t writes;
    cm_clock_t clock;
    cm_store_t *store = open_noted(world, &writes, &clock);
    cm_batch_t batch = CM_BATCH_INIT;

    add_event(&batch, "k1", "https://a/z", "", "");
    add_event(&batch, "k2", "https://a/", "Chile", "");
    add_event(&batch, "k1", "https://a/a", "Peru", "");    /* more is stated */
    add_event(&batch, "k2", "https://a/", "Chile", "");    /* the same again */
    add_event(&batch, "k1", "https://a/b", "", "Lima");    /* as much, and greater */
    add_event(&batch, "", "https://a/m", "Peru", "Lima");  /* a derived key and ... */
    add_event(&batch, derived, "https://a/n", "Peru", ""); /* ... the same one, given */
    add_event(&batch, "k1", "https://a/aa", "Peru", "Unknown");
    put_and_commit(store, &batch);
    assert_int_equal(3, writes.count);
    assert_string_equal("k2", writes.rows[0].key);
    assert_string_equal("https://a/", writes.rows[0].url);
    assert_string_equal("k1", writes.rows[1].key);
    assert_string_equal("https://a/b", writes.rows[1].url);
    assert_string_equal("Unknown", writes.rows[1].country);
    assert_string_equal("Lima", writes.rows[1].city);
    assert_string_equal(derived, writes.rows[2].key);
    assert_string_equal("https://a/m", writes.rows[2].url);
    cm_batch_clear(&batch);
    add_event(&batch, "k1", "https://a/1", "", ""); /* another batch: the later write wins */
    put_and_commit(store, &batch);
    assert_int_equal(4, writes.count);
    assert_string_equal("https://a/1", writes.rows[3].url);
    assert_true(writes.rows[3].time_us > writes.rows[1].time_us);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void write_times_grow(void **state)
{
    world_t *world = *state;
    static writes_t writes;
    cm_clock_t clock;
    cm_store_t *store = open_noted(world, &writes, &clock);
    cm_batch_t batch = CM_BATCH_INIT;
    int64_t times[300], now_us = writes.now_ms * 1000;

    world_fill(&batch, 0, 100);
    put_and_commit(store, &batch);
    writes.now_ms -= 3600 * 1000; /* the clock is set back */
    world_fill(&batch, 0, 100);
    put_and_commit(store, &batch);
    writes.now_ms += 2 * 3600 * 1000;
    world_fill(&batch, 0, 100);
    put_and_commit(store, &batch);
    assert_int_equal(300, writes.count);
    for (int i = 0; i < 300; i++)
        times[i] = writes.rows[i].time_us;
    for (int i = 0; i < 100; i++) { /* put_and_commit() waits: batches stay apart */
        assert_true(times[i] < times[100 + i] && times[100 + i] < times[200 + i]);
    }
    qsort(times, 300, sizeof *times, compare_i64);
    assert_int_equal(now_us, times[0]);
    assert_int_equal(now_us + 199, times[199]);
    assert_int_equal(now_us + INT64_C(3600000000), times[200]);
    for (int i = 1; i < 300; i++)
        assert_true(times[i - 1] < times[i]);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static void a_retry_keeps_its_write_time(void **state)
{
    world_t *world = *state;
    static writes_t writes;
    cm_clock_t clock;
    cm_store_t *store = open_noted(world, &writes, &clock);
    cm_batch_t batch = CM_BATCH_INIT;
    int64_t first[40];

    pthread_mutex_lock(&world->lock);
    world->fake.nodes[0].fault = DONE_UNHEARD;
    world->fake.nodes[0].fault_count = 1;
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 40);
    put_and_commit(store, &batch);
    assert_true(cm_store_retries(store) > 0);
    assert_true(writes.count > 40);
    memset(first, 0, sizeof first);
    for (int i = 0; i < writes.count; i++) {
        int row = (int)strtol(writes.rows[i].key + 1, NULL, 10);
        assert_in_range(row, 0, 39);
        assert_true(first[row] == 0 || first[row] == writes.rows[i].time_us);
        first[row] = writes.rows[i].time_us;
    }
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static void with_a_time_to_live(void **state)
{
    world_t *world = *state;

    cm_store_t *store = world_open_store(world, NULL);
    assert_string_equal("INSERT INTO \"clicks\".\"events\" (row_key, user_id, timestamp, url, "
                        "country, city, browser, os, device) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                        "USING TIMESTAMP ?",
                        world->fake.nodes[0].prepared[0]);
    cm_sink_close(&store->sink);
    world->settings.ttl_s = 86400;
    store = world_open_store(world, NULL);
    assert_string_equal("INSERT INTO \"clicks\".\"events\" (row_key, user_id, timestamp, url, "
                        "country, city, browser, os, device) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                        "USING TIMESTAMP ? AND TTL 86400",
                        world->fake.nodes[0].prepared[1]);
    cm_sink_close(&store->sink);
}

/* ---- away ---- */

typedef struct watcher {
    world_t *world;
    int calls, reasons;
    uint64_t retries;
    char reason[600];
    int give_up_after; /* reasons; 0: never */
    int start_after;   /* reasons, then the node comes back; 0: never */
} watcher_t;

static int watch(void *context, uint64_t retries, const char *reason)
{
    watcher_t *watcher = context;

    watcher->calls++;
    watcher->retries = retries;
    if (reason == NULL)
        return 0;
    watcher->reasons++;
    snprintf(watcher->reason, sizeof watcher->reason, "%s", reason);
    if (watcher->start_after > 0 && watcher->reasons == watcher->start_after) {
        pthread_mutex_lock(&watcher->world->lock);
        cql_fake_start(&watcher->world->fake.nodes[0]);
        pthread_mutex_unlock(&watcher->world->lock);
    }
    return watcher->give_up_after > 0 && watcher->reasons >= watcher->give_up_after ? CM_ESTOP : 0;
}

static void it_goes_on_by_itself(void **state)
{
    world_t *world = *state;
    watcher_t watcher = {.world = world, .start_after = 2};
    const cm_waiter_t waiter = {watch, &watcher};
    cm_store_t *store = world_open_store(world, &waiter);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};
    uint64_t durable;

    pthread_mutex_lock(&world->lock);
    cql_fake_stop(&world->fake.nodes[0]);
    pthread_mutex_unlock(&world->lock);
    for (int i = 0; i < 3; i++) { /* more than may be in flight */
        world_fill(&batch, i * 100, 100);
        assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    }
    assert_ok(cm_sink_commit(&store->sink, &err), err);
    assert_ok(store->sink.ops->durable(&store->sink, &durable, &err), err);
    assert_int_equal(3, durable);
    assert_true(watcher.reasons >= 2);
    assert_non_null(strstr(watcher.reason, "127.0.0.1"));
    world_check_seen(world, 300, 1, 9);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static void the_waiter_ends_it(void **state)
{
    world_t *world = *state;
    watcher_t watcher = {.world = world, .give_up_after = 1};
    const cm_waiter_t waiter = {watch, &watcher};
    cm_store_t *store = world_open_store(world, &waiter);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};
    uint64_t durable;

    pthread_mutex_lock(&world->lock);
    world->fake.nodes[0].fault = SILENCE;
    world->fake.nodes[0].fault_count = -1;
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 10);
    assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    assert_int_equal(CM_ESTOP, cm_sink_commit(&store->sink, &err));
    assert_non_null(strstr(err.text, "gave up waiting for Cassandra"));
    assert_non_null(strstr(watcher.reason, world->fake.nodes[0].address));
    assert_non_null(strstr(watcher.reason, ": no answer for 2."));
    assert_true(watcher.calls > 1);
    assert_ok(store->sink.ops->durable(&store->sink, &durable, &err), err);
    assert_int_equal(0, durable);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

/* One node is down, the other one is slow: it is the slow one that holds up what was put. */
static void the_slow_node_is_named(void **state)
{
    world_t *world = *state;
    watcher_t watcher = {.world = world, .give_up_after = 1};
    const cm_waiter_t waiter = {watch, &watcher};
    cm_batch_t batch = CM_BATCH_INIT;
    char slow[40];
    cm_err_t err = {0};

    pthread_mutex_lock(&world->lock);
    cql_fake_shut(&world->fake);
    cql_fake_open(&world->fake, 2);
    world->fake.answer = world_answer;
    snprintf(world->hosts, sizeof world->hosts, "127.0.0.1:%d,127.0.0.2:%d",
             world->fake.nodes[0].port, world->fake.nodes[1].port);
    pthread_mutex_unlock(&world->lock);
    cm_store_t *store = world_open_store(world, &waiter);
    pthread_mutex_lock(&world->lock);
    cql_fake_stop(&world->fake.nodes[0]);
    world->fake.nodes[1].fault = SILENCE;
    world->fake.nodes[1].fault_count = -1;
    snprintf(slow, sizeof slow, "127.0.0.2:%d: no answer for 2.", world->fake.nodes[1].port);
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 10);
    assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    assert_int_equal(CM_ESTOP, cm_sink_commit(&store->sink, &err));
    if (strncmp(watcher.reason, slow, strlen(slow)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", watcher.reason, slow);
    assert_non_null(strstr(err.text, slow));
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

static void overload_is_waited_for(void **state)
{
    world_t *world = *state;
    cm_store_t *store = world_open_store(world, NULL);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};

    pthread_mutex_lock(&world->lock);
    world->fake.nodes[0].fault = SERVER_SAYS;
    world->fake.nodes[0].fault_code = CM_CQL_OVERLOADED;
    world->fake.nodes[0].fault_count = 3;
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 60);
    assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    assert_ok(cm_sink_commit(&store->sink, &err), err);
    world_check_seen(world, 60, 1, 1);
    assert_int_equal(3, cm_store_retries(store));
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

/* ---- reading ---- */

typedef struct pages {
    int count, dead, stop_after;
    int64_t times;
    char reason[200], origin[100];
} pages_t;

static int take_page(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    pages_t *pages = context;

    for (size_t i = 0; i < batch->count; i++) {
        pages->count++;
        pages->times += batch->events[i].timestamp;
        assert_true(cm_str_equal(batch->events[i].country, CM_STR("Chile")));
    }
    for (size_t i = 0; i < batch->dead_count; i++) {
        const cm_dead_t *dead = &batch->dead[i];
        pages->dead++;
        snprintf(pages->reason, sizeof pages->reason, "%.*s", (int)dead->reason.len,
                 dead->reason.data);
        snprintf(pages->origin, sizeof pages->origin, "%.*s", (int)dead->origin.len,
                 dead->origin.data);
    }
    return pages->stop_after > 0 && pages->count >= pages->stop_after
               ? cm_fail(err, CM_EIO, "enough")
               : 0;
}

static void every_row_once(void **state)
{
    world_t *world = *state;
    cm_store_t *store = world_open_store(world, NULL);
    cm_account_t account = {0};
    pages_t pages = {0};
    cm_err_t err = {0};

    assert_ok(cm_store_scan(store, take_page, &pages, &account, &err), err);
    assert_int_equal(4, pages.count);
    assert_int_equal(4006, pages.times);
    assert_int_equal(1, pages.dead);
    assert_string_equal("clicks.events[key-4]", pages.origin);
    assert_non_null(strstr(pages.reason, "user_id"));
    assert_int_equal(5, account.read);
    assert_int_equal(4, account.accepted);
    assert_int_equal(1, account.rejected);
    pages = (pages_t){.stop_after = 1};
    assert_int_equal(CM_EIO, cm_store_scan(store, take_page, &pages, &account, &err));
    assert_string_equal("enough", err.text);
    cm_sink_close(&store->sink);
}

static void readers_share_one_scan(void **state)
{
    world_t *world = *state;
    cm_store_t *store = world_open_store(world, NULL);
    const cm_block_ref_t *blocks;
    cm_reader_t *one, *two;
    cm_columns_t columns = {0};
    cm_str_t text;
    cm_err_t err = {0};
    size_t count;

    assert_ok(cm_store_reader(store, &one, &err), err);
    assert_ok(cm_store_reader(store, &two, &err), err);
    assert_int_equal(1, world_has.scans);
    assert_ok(cm_reader_blocks(two, &blocks, &count, &err), err);
    assert_int_equal(1, count);
    assert_int_equal(4, blocks[0].count);
    cm_reader_close(one);
    assert_ok(cm_reader_read(two, &blocks[0], CM_READ_HOT | CM_READ_KEYS, &columns, &err), err);
    assert_int_equal(1000, columns.time[0]);
    assert_ok(cm_reader_string(two, CM_URL, columns.ids[CM_URL][3], &text, &err), err);
    assert_true(cm_str_equal(text, CM_STR("/page")));
    assert_int_equal(CM_KEY_TEXT, columns.keys[0].kind);
    cm_reader_close(two);
    assert_ok(cm_store_reader(store, &one, &err), err); /* what is there by now */
    assert_int_equal(2, world_has.scans);
    cm_reader_close(one);
    cm_columns_free(&columns);
    cm_sink_close(&store->sink);
}

/* ---- optional fields ---- */

/* The cells are the fields in the contract's order. A text that is absent is empty, an engaged time
 * that is absent is not written. */
static void check_cells(const cm_str_t *cells, const cm_event_t *event)
{
    const cm_event_extra_t extra = cm_event_extra_of(event);

    cells += CM_CASSANDRA_NINE;
    for (int i = 0; i < CM_EXTRA_PROPS; i++) {
        assert_non_null(cells[i].data);
        assert_true(cm_str_equal(extra.text[i], cells[i]));
    }
    assert_int_equal(extra.text[CM_EXTRA_PROPS].len > 0,
                     cm_cql_load_i32(cells[CM_EXTRA_PROPS].data) > 0);
    if (extra.engaged_ms < 0) {
        assert_null(cells[CM_EXTRA_ENGAGED].data);
    } else {
        assert_int_equal(4, cells[CM_EXTRA_ENGAGED].len);
        assert_int_equal(extra.engaged_ms, cm_cql_load_i32(cells[CM_EXTRA_ENGAGED].data));
    }
}

typedef struct expected {
    const cm_batch_t *written;
    int count, with[CM_EXTRA_COUNT]; /* events, and those that have the field */
} expected_t;

static int take_written(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    expected_t *expected = context;

    (void)err;
    assert_int_equal(0, batch->dead_count);
    for (size_t i = 0; i < batch->count; i++) {
        const cm_event_t *got = &batch->events[i];
        int64_t at = -1;
        assert_true(cm_str_to_i64((cm_str_t){got->row_key.data + 1, got->row_key.len - 1}, &at));
        assert_in_range(at, 0, expected->written->count - 1);
        const cm_event_t *event = &expected->written->events[at];
        assert_int_equal(event->timestamp, got->timestamp);
        assert_true(cm_event_extra_equal(event->extra, got->extra));
        expected->count++;
        if (got->extra == NULL)
            continue;
        for (int field = 0; field < CM_EXTRA_TEXTS; field++)
            expected->with[field] += got->extra->text[field].len > 0;
        expected->with[CM_EXTRA_ENGAGED] += got->extra->engaged_ms >= 0;
    }
    return 0;
}

/* Whatever optional fields an event has, they are what is written, and what is read again. */
static void optional_fields_come_back(void **state)
{
    enum { EVENTS = 300 };
    world_t *world = *state;
    cm_batch_t batch = CM_BATCH_INIT;
    expected_t expected = {.written = &batch};
    cm_account_t account = {0};
    cm_err_t err = {0};

    world_extend(world);
    cm_store_t *store = world_open_store(world, NULL);
    world_fill(&batch, 0, EVENTS);
    assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    assert_ok(cm_sink_commit(&store->sink, &err), err);
    world_check_seen(world, EVENTS, 1, 1);
    for (int i = 0; i < EVENTS; i++)
        check_cells(world_row(world, &batch.events[i]), &batch.events[i]);
    assert_ok(cm_store_scan(store, take_written, &expected, &account, &err), err);
    assert_int_equal(EVENTS, expected.count);
    assert_int_equal(EVENTS, account.accepted);
    for (int field = 0; field < CM_EXTRA_COUNT; field++)
        assert_in_range(expected.with[field], EVENTS / 20, EVENTS / 2);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(durable_in_order),       TEST(a_derived_key_is_written),
        TEST(a_refused_row_ends_it),  TEST(one_event_of_a_key_is_written),
        TEST(write_times_grow),       TEST(a_retry_keeps_its_write_time),
        TEST(with_a_time_to_live),    TEST(it_goes_on_by_itself),
        TEST(the_waiter_ends_it),     TEST(the_slow_node_is_named),
        TEST(overload_is_waited_for), TEST(every_row_once),
        TEST(readers_share_one_scan), TEST(optional_fields_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
