/* How the companion of the table is read, against the fake cluster: which writers are asked for
 * entries, how often, and what is known afterwards. */
#include "cassandra_world.h"
#include "store/cassandra/changes.h"

enum { WRITERS = 1000, KNOWN = CM_CASSANDRA_CHANGES_BUCKET };

/* What the fake's companion world_has. */
static struct {
    struct {
        int64_t done, end_seq; /* -1: it does not say that */
        int64_t entries;       /* that are there */
    } writers[WRITERS];
    int count, asked;
} companion;

static int64_t number_of(int place)
{
    return 1 + (int64_t)place * INT64_C(1000000007);
}

static void put_i64(cm_buf_t *buf, int64_t value)
{
    uint64_t big = __builtin_bswap64((uint64_t)value);
    cql_put_cell(buf, &big, sizeof big);
}

static void answer_writers(cql_fake_conn_t *c, int stream)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);

    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, "seq:2 done:2 end_seq:2", NULL);
    cm_cql_add_i32(buf, companion.count);
    for (int i = 0; i < companion.count; i++) {
        put_i64(buf, number_of(i));
        put_i64(buf, companion.writers[i].done);
        if (companion.writers[i].end_seq >= 0)
            put_i64(buf, companion.writers[i].end_seq);
        else
            cm_cql_add_i32(buf, -1);
    }
    cql_fake_end(c);
}

/* Entries of a partition, of one key each; readers begin with the first one of it. */
static void answer_entries(cql_fake_conn_t *c, int stream, cm_str_t part)
{
    unsigned long long number = 0;
    long long bucket = 0;
    char text[CM_CASSANDRA_CHANGES_PART];
    int writer = 0;

    snprintf(text, sizeof text, "%.*s", (int)part.len, part.data);
    sscanf(text, "w%16llx.%lld", &number, &bucket);
    while (writer < WRITERS - 1 && number_of(writer) != (int64_t)number)
        writer++;
    const int64_t first = bucket * CM_CASSANDRA_CHANGES_BUCKET,
                  last = first + CM_CASSANDRA_CHANGES_BUCKET;
    int64_t end = companion.writers[writer].entries;
    end = end < first ? first : end > last ? last : end;
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);
    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, "seq:2 done:2 first_us:2 last_us:2 keys:3", NULL);
    cm_cql_add_i32(buf, (int)(end - first));
    for (int64_t seq = first; seq < end; seq++) {
        put_i64(buf, seq);
        put_i64(buf, 0);
        put_i64(buf, 1000 + seq);
        put_i64(buf, 1000 + seq);
        cql_put_cell(buf, "\1\0k", 3);
    }
    cql_fake_end(c);
    companion.asked++;
}

static bool answer_all(cql_fake_conn_t *c, int stream, const char *text, cm_str_t first)
{
    if (strstr(text, "SELECT seq, done, end_seq") != NULL)
        answer_writers(c, stream);
    else if (strstr(text, "SELECT seq, done, first_us") != NULL)
        answer_entries(c, stream, first);
    else
        return world_answer(c, stream, text, first);
    return true;
}

static void begin(world_t *world, int count, int64_t done, int64_t end_seq, int64_t entries)
{
    pthread_mutex_lock(&world->lock);
    world->fake.answer = answer_all;
    memset(&companion, 0, sizeof companion);
    companion.count = count;
    for (int i = 0; i < count; i++) {
        companion.writers[i].done = done;
        companion.writers[i].end_seq = end_seq;
        companion.writers[i].entries = entries;
    }
    pthread_mutex_unlock(&world->lock);
}

/* Returns how many questions it took beside the one that says who writes. */
static int read_with(world_t *world, bool keys, cm_store_changes_t *changes)
{
    const cm_store_cassandra_options_t options = {.settings = &world->settings, .only_read = true};
    cm_store_t *store = NULL;
    cm_err_t err = {0};

    assert_ok(cm_store_cassandra_open(&options, &store, &err), err);
    assert_ok(cm_store_cassandra_read_changes(store, keys, changes, &err), err);
    cm_sink_close(&store->sink);
    assert_int_equal(companion.count, changes->writer_count);
    return companion.asked;
}

/* Each as it is known: all before `next` is read. */
static void know_all(cm_store_changes_t *changes, int64_t next)
{
    for (int i = 0; i < companion.count; i++)
        cm_store_changes_add_writer(changes, number_of(i))->next = next;
}

static void check_writers(const cm_store_changes_t *changes, int64_t next, int64_t settled)
{
    for (size_t i = 0; i < changes->writer_count; i++) {
        assert_int_equal(next, changes->writers[i].next);
        assert_int_equal(settled, changes->writers[i].settled);
        assert_true(changes->writers[i].there && !changes->writers[i].lost);
    }
}

static void who_has_nothing_new_is_not_asked(void **state)
{
    cm_store_changes_t changes = {0};

    begin(*state, WRITERS, KNOWN, KNOWN, KNOWN);
    know_all(&changes, KNOWN);
    assert_int_equal(0, read_with(*state, true, &changes));
    assert_int_equal(0, changes.entry_count);
    check_writers(&changes, KNOWN, KNOWN);
    for (int i = 100; i < 103; i++)
        companion.writers[i].end_seq = companion.writers[i].entries = KNOWN + 1;
    assert_int_equal(3, read_with(*state, true, &changes));
    assert_int_equal(3, changes.entry_count);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(KNOWN + (i >= 100 && i < 103),
                         cm_store_changes_add_writer(&changes, number_of(i))->next);
    cm_store_changes_free(&changes);
}

static void who_is_new_is_asked_once(void **state)
{
    cm_store_changes_t changes = {0};

    begin(*state, WRITERS, 1, 1, 1);
    assert_int_equal(WRITERS, read_with(*state, true, &changes));
    assert_int_equal(WRITERS, changes.entry_count);
    check_writers(&changes, 1, 1);
    for (size_t i = 0; i < changes.entry_count; i++)
        assert_true(changes.entries[i].settled);
    cm_store_changes_free(&changes);
}

/* A caller that reads the whole table afterwards needs no entries. */
static void nobody_is_asked_without_keys(void **state)
{
    cm_store_changes_t changes = {0};

    begin(*state, WRITERS, 2, 5, 5);
    assert_int_equal(0, read_with(*state, false, &changes));
    check_writers(&changes, 2, 2);
    cm_store_changes_free(&changes);
}

/* All of them settled, so that those of later partitions are known to be there. */
static void several_partitions(void **state)
{
    const int64_t many = 2 * CM_CASSANDRA_CHANGES_BUCKET + 88;
    cm_store_changes_t changes = {0};

    begin(*state, 20, many, many, many);
    assert_int_equal(20 * 3, read_with(*state, true, &changes));
    assert_int_equal(20 * many, changes.entry_count);
    check_writers(&changes, many, many);
    cm_store_changes_free(&changes);
}

/* It is announced, and not there yet: perhaps it never comes. */
static void an_entry_that_is_on_its_way(void **state)
{
    cm_store_changes_t changes = {0};

    begin(*state, 1, 0, 1, 0);
    for (int asked = 1; asked < 3; asked++) {
        assert_int_equal(asked, read_with(*state, true, &changes));
        check_writers(&changes, 0, 0);
    }
    companion.writers[0].entries = 1;
    assert_int_equal(3, read_with(*state, true, &changes));
    check_writers(&changes, 1, 0);
    assert_int_equal(1, changes.entry_count);
    cm_store_changes_free(&changes);
}

/* Looked for twice: it might have come between two pages. */
static void an_entry_that_was_removed(void **state)
{
    cm_store_changes_t changes = {0};

    begin(*state, 2, 5, 5, 5);
    companion.writers[1].entries = 0;
    assert_int_equal(3, read_with(*state, true, &changes));
    assert_false(changes.writers[0].lost);
    assert_true(changes.writers[1].lost);
    cm_store_changes_free(&changes);
}

static void who_does_not_say_it_is_asked(void **state)
{
    cm_store_changes_t changes = {0};

    begin(*state, 2, 0, -1, 0);
    assert_int_equal(2, read_with(*state, true, &changes));
    companion.writers[1].entries = 1;
    assert_int_equal(4, read_with(*state, true, &changes));
    assert_int_equal(1, changes.entry_count);
    cm_store_changes_free(&changes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_has_nothing_new_is_not_asked), TEST(who_is_new_is_asked_once),
        TEST(nobody_is_asked_without_keys),     TEST(several_partitions),
        TEST(an_entry_that_is_on_its_way),      TEST(an_entry_that_was_removed),
        TEST(who_does_not_say_it_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
