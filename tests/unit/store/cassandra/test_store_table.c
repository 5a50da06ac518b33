/* The store on Cassandra against the fake cluster: its table, also when others make it too, and who
 * is let in. */
#include "cassandra_world.h"

#include "cassandra/check.h"

/* ---- the table ---- */

static void it_is_made(void **state)
{
    world_t *world = *state;

    world_has.keyspace = world_has.table = false;
    world->settings.create = true;
    cm_store_t *store = world_open_store(world, NULL);
    cm_sink_close(&store->sink);
    assert_int_equal(2, world_has.change_count);
    assert_string_equal("CREATE KEYSPACE IF NOT EXISTS \"clicks\" WITH replication = "
                        "{'class': 'NetworkTopologyStrategy', 'dc1': 1}",
                        world_has.changes[0]);
    assert_string_equal("CREATE TABLE IF NOT EXISTS \"clicks\".\"events\" (row_key text PRIMARY "
                        "KEY, user_id text, timestamp timestamp, url text, country text, city "
                        "text, browser text, os text, device text)",
                        world_has.changes[1]);
    world_has.table = false; /* now only the table */
    store = world_open_store(world, NULL);
    cm_sink_close(&store->sink);
    assert_int_equal(3, world_has.change_count);
    assert_memory_equal("CREATE TABLE", world_has.changes[2], 12);
}

static void replication_as_given(void **state)
{
    static const struct {
        const char *given, *wanted;
    } cases[] = {{"2", "'dc1': 2}"}, {"dc1:3,dc 'two':2", "'dc1': 3, 'dc ''two''': 2}"}};
    static const char *const wrong[] = {"0", "many", "101", "dc1:", ":3", "dc1:3,", "dc1:x"};
    world_t *world = *state;

    world->settings.create = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_has.keyspace = world_has.table = false;
        world->settings.replication = cases[i].given;
        world_has.change_count = 0;
        cm_store_t *store = world_open_store(world, NULL);
        cm_sink_close(&store->sink);
        if (strstr(world_has.changes[0], cases[i].wanted) == NULL)
            fail_msg("%s does not have %s", world_has.changes[0], cases[i].wanted);
    }
    world_has.change_count = 0;
    world_has.keyspace = world_has.table = false;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        world->settings.replication = wrong[i];
        world_refuse(world, false, CM_EUSAGE, "cassandra.replication wants");
    }
    assert_int_equal(0, world_has.change_count);
}

static void what_is_missing_is_said(void **state)
{
    world_t *world = *state;

    world_has.table = false;
    world_refuse(world, false, CM_EINPUT, "there is no table clicks.events");
    world_has.keyspace = false;
    world_refuse(world, false, CM_EINPUT, "there is no keyspace clicks");
    world->settings.create = true; /* who only reads makes nothing */
    world_refuse(world, true, CM_EINPUT, "there is no keyspace clicks");
    assert_int_equal(0, world_has.change_count);
    world_has.keyspace = world_has.table = true;
    world_has.column_type = "uuid";
    world_refuse(world, false, CM_EUSAGE, "column row_key is of type uuid, not text");
    assert_int_equal(0, world_has.change_count);
}

#define EXTRA_COLUMNS                                                                              \
    "name text, referrer text, utm_source text, utm_medium text, utm_campaign text, utm_term "     \
    "text, utm_content text, browser_version text, os_version text, region text, language text, "  \
    "props map<text, text>, engaged_ms int)"

/* A new table has the columns of the optional fields when it is to have them. */
static void an_extended_table_is_made(void **state)
{
    world_t *world = *state;

    world_has.table = false;
    world->settings.create = world->settings.extended = true;
    cm_store_t *store = world_open_store(world, NULL);
    cm_sink_close(&store->sink);
    assert_int_equal(1, world_has.change_count);
    assert_string_equal("CREATE TABLE IF NOT EXISTS \"clicks\".\"events\" (row_key text PRIMARY "
                        "KEY, user_id text, timestamp timestamp, url text, country text, city "
                        "text, browser text, os text, device text, " EXTRA_COLUMNS,
                        world_has.changes[0]);
}

/* A table that exists gets columns from `doctor --fix` alone. */
static void columns_are_not_added_unasked(void **state)
{
    world_t *world = *state;
    cm_cassandra_report_t report;
    cm_err_t err;

    world->settings.create = world->settings.extended = true;
    world_refuse(world, false, CM_EUSAGE,
                 "has no columns name, referrer, utm_source, utm_medium, utm_campaign, utm_term, "
                 "utm_content, browser_version, os_version, region, language, props, engaged_ms, "
                 "and cassandra.extended is set; add what is missing with `clickmill doctor "
                 "--fix`, or unset it");
    world_has.extra = CM_EXTRA_ENGAGED;
    world_refuse(world, true, CM_EUSAGE, "has no column engaged_ms, and");
    assert_int_equal(CM_EUSAGE, cm_cassandra_check(&world->settings, false, &report, &err));
    assert_int_equal(0, world_has.change_count);
    world_has.extra = 0;
    assert_ok(cm_cassandra_check(&world->settings, true, &report, &err), err);
    assert_int_equal(CM_CASSANDRA_MADE, report.table);
    assert_int_equal(1, world_has.change_count);
    assert_string_equal("ALTER TABLE \"clicks\".\"events\" ADD (" EXTRA_COLUMNS,
                        world_has.changes[0]);
    assert_ok(cm_cassandra_check(&world->settings, true, &report, &err), err);
    assert_int_equal(CM_CASSANDRA_FOUND, report.table);
    assert_int_equal(1, world_has.change_count);
}

/* A column of that name and another type is not ours: it matters with the setting only. */
static void a_column_of_another_type(void **state)
{
    world_t *world = *state;
    cm_cassandra_report_t report;
    cm_err_t err;

    world_has.extra = 1;
    world_has.name_type = "blob";
    cm_store_t *store = world_open_store(world, NULL);
    cm_sink_close(&store->sink);
    world->settings.extended = true;
    world_refuse(world, false, CM_EUSAGE,
                 "column name is of type blob, not text as cassandra.extended has it");
    assert_int_equal(CM_EUSAGE, cm_cassandra_check(&world->settings, true, &report, &err));
    assert_int_equal(0, world_has.change_count);
}

/* What others who make the same at the same time lead to: each passes after some attempts. */
static void the_schema_settles(void **state)
{
    static const struct {
        const char *match;
        int32_t code;
        const char *text;
    } cases[] = {
        {"CREATE KEYSPACE", CM_CQL_ALREADY_EXISTS, "Cannot add existing keyspace \"clicks\""},
        {"CREATE TABLE", CM_CQL_ALREADY_EXISTS,
         "Cannot add already existing table \"events\" to keyspace \"clicks\""},
        {"CREATE TABLE", CM_CQL_CONFIG_ERROR,
         "Column family ID mismatch (found 67ee9790-a293-11e5-b122-091830ac5256; expected "
         "67e792b0-a293-11e5-b122-091830ac5256)"},
        {"CREATE TABLE", CM_CQL_SERVER_ERROR,
         "java.lang.RuntimeException: java.util.concurrent.ExecutionException: "
         "org.apache.cassandra.exceptions.ConfigurationException: Column family ID mismatch"},
        {"CREATE TABLE", CM_CQL_INVALID_QUERY, "Keyspace 'clicks' does not exist"},
        {"CREATE TABLE", CM_CQL_CONFIG_ERROR, "Keyspace clicks doesn't exist"},
        {"INSERT INTO", CM_CQL_INVALID_QUERY, "unconfigured table events"},
        {"INSERT INTO", CM_CQL_INVALID_QUERY, "table events does not exist"},
        {"INSERT INTO", CM_CQL_INVALID_QUERY,
         "Undefined column name engaged_ms in table clicks.events"},
        {"INSERT INTO", CM_CQL_INVALID_QUERY, "Unknown identifier engaged_ms"},
        {"INSERT INTO", CM_CQL_SERVER_ERROR,
         "org.apache.cassandra.db.UnknownColumnFamilyException: Couldn't find cfId=1000"},
    };
    world_t *world = *state;

    world->settings.create = true;
    world->settings.timeout_ms = 5000;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pthread_mutex_lock(&world->lock);
        world_has.keyspace = world_has.table = false;
        world->fake.refuse.match = cases[i].match;
        world->fake.refuse.code = cases[i].code;
        world->fake.refuse.text = cases[i].text;
        world->fake.refuse.count = 2;
        world->fake.refuse.done = 0;
        pthread_mutex_unlock(&world->lock);
        cm_store_t *store = world_open_store(world, NULL);
        assert_true(world_has.keyspace && world_has.table);
        assert_int_equal(2, world->fake.refuse.done);
        cm_sink_close(&store->sink);
    }
}

/* It is bounded by a time, and what does not pass ends at once. */
static void a_schema_that_never_settles(void **state)
{
    world_t *world = *state;

    world->settings.create = true;
    world->settings.timeout_ms = 300;
    world_has.keyspace = world_has.table = false;
    world->fake.refuse.match = "CREATE TABLE";
    world->fake.refuse.code = CM_CQL_CONFIG_ERROR;
    world->fake.refuse.text = "Column family ID mismatch (found 1; expected 2)";
    world->fake.refuse.count = 1000;
    int64_t began = cm_clock_ticks_ns();
    world_refuse(world, false, CM_EAWAY, "have not come to one schema within 0.6 s");
    world_refuse(world, false, CM_EAWAY, "Column family ID mismatch (found 1; expected 2)");
    assert_in_range((cm_clock_ticks_ns() - began) / 1000000, 200, 6000);
    assert_in_range(world->fake.refuse.done, 4, 20);
    world->fake.refuse.text = "Unrecognized strategy option {mars}";
    world->fake.refuse.done = 0;
    world_refuse(world, false, CM_EUSAGE, "making the table: Cassandra at 127.0.0.1");
    world_refuse(world, false, CM_EUSAGE, "Unrecognized strategy option {mars}");
    assert_int_equal(2, world->fake.refuse.done);
}

/* A node that has not heard of the table yet refuses its rows; they are offered again. */
static void a_node_that_has_not_heard_of_it(void **state)
{
    world_t *world = *state;
    cm_store_t *store = world_open_store(world, NULL);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};

    pthread_mutex_lock(&world->lock);
    world->fake.nodes[0].prepared_count = 0;
    world->fake.refuse.match = "INSERT INTO";
    world->fake.refuse.code = CM_CQL_INVALID_QUERY;
    world->fake.refuse.text = "unconfigured table events";
    world->fake.refuse.count = 12;
    pthread_mutex_unlock(&world->lock);
    world_fill(&batch, 0, 4);
    assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
    assert_ok(cm_sink_commit(&store->sink, &err), err);
    world_check_seen(world, 4, 1, 1);
    assert_int_equal(12, world->fake.refuse.done);
    cm_batch_free(&batch);
    cm_sink_close(&store->sink);
}

/* ---- getting in ---- */

static void credentials(void **state)
{
    world_t *world = *state;

    world->fake.username = "me";
    world->fake.password = "right";
    world->settings.username = "me";
    world->settings.password = "wrong";
    world_refuse(world, false, CM_EUSAGE, "refuses the credentials");
    setenv("STORE_TEST_SECRET", "right", 1);
    world->settings.password = "${STORE_TEST_SECRET}";
    cm_store_t *store = world_open_store(world, NULL);
    cm_sink_close(&store->sink);
    unsetenv("STORE_TEST_SECRET");
    world_refuse(world, false, CM_EUSAGE, "STORE_TEST_SECRET is not set");
    world->settings.password = "file:/no/such/file";
    world_refuse(world, false, CM_EUSAGE, "cassandra.password: cannot read /no/such/file");
    world->settings.username = NULL;
    world_refuse(world, false, CM_EUSAGE, "without cassandra.username");
    world->settings.password = NULL;
    world->settings.tls.ca_file = "ca.pem";
    world_refuse(world, false, CM_EUSAGE, "cassandra.tls is off");
}

static void nobody_answers(void **state)
{
    world_t *world = *state;
    atomic_bool stop = true;

    world->settings.timeout_ms = 300;
    pthread_mutex_lock(&world->lock);
    cql_fake_stop(&world->fake.nodes[0]);
    pthread_mutex_unlock(&world->lock);
    world_refuse(world, false, CM_EAWAY, "no Cassandra node at 127.0.0.1");
    world_refuse(world, false, CM_EAWAY, "within 0.3 s");
    world->settings.timeout_ms = 60000;
    world->settings.stop = &stop;
    world_refuse(world, false, CM_ESTOP, "stopped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_made),
        TEST(replication_as_given),
        TEST(what_is_missing_is_said),
        TEST(an_extended_table_is_made),
        TEST(columns_are_not_added_unasked),
        TEST(a_column_of_another_type),
        TEST(the_schema_settles),
        TEST(a_schema_that_never_settles),
        TEST(a_node_that_has_not_heard_of_it),
        TEST(credentials),
        TEST(nobody_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
