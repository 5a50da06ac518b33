/* Batches that their node does not answer, against the fake cluster: they are also sent to another
 * replica, the first good answer counts, and nothing is lost, counted twice or left over. */
#include "cql_rig.h"

enum { DELAY_MS = 500 };

typedef struct setting {
    rig_t rig;
    cm_cql_writer_t *writer;
    uint64_t durable; /* as the callback got it */
    int refused;
} setting_t;

static void on_durable(void *context, uint64_t durable)
{
    setting_t *t = context;

    assert_true(durable > t->durable); /* never twice */
    t->durable = durable;
}

static bool on_refused(void *context, uint64_t row, const cm_cql_error_t *error)
{
    (void)row;
    (void)error;
    ((setting_t *)context)->refused++;
    return true;
}

/* Each of the nodes has every row. */
static void begin(setting_t *t, int nodes, cm_cql_writer_options_t options)
{
    static const char *const copies[] = {"0", "1", "2", "3", "4"};
    cm_err_t err = {0};

    memset(t, 0, sizeof *t);
    rig_open(&t->rig, nodes);
    t->rig.fake.replication[3] = copies[nodes];
    rig_connect(&t->rig);
    options.durable = on_durable;
    options.refused = on_refused;
    options.context = t;
    cm_cql_prepared_t *prepared = rig_prepare(&t->rig, INSERT);
    assert_ok(cm_cql_writer_open(t->rig.session, prepared, &options, &t->writer, &err), err);
}

static void end(setting_t *t)
{
    cm_cql_writer_close(t->writer);
    rig_close(&t->rig);
}

/* Adds rows until there are `count`; the clock moves only while the writer is full. */
static void add_all(setting_t *t, int count)
{
    while (cm_cql_writer_added(t->writer) < (uint64_t)count) {
        char key[32];
        cm_err_t err;
        int number = (int)cm_cql_writer_added(t->writer);
        snprintf(key, sizeof key, "r%d", number);
        cm_cql_value_t values[] = {cm_cql_text(cm_str(key)), cm_cql_i64(number)};
        if (cm_cql_writer_add(t->writer, values, 2, &err) != 0)
            rig_pass(&t->rig, 10, 10);
    }
    cm_cql_writer_flush(t->writer);
    rig_settle(&t->rig);
}

static cm_cql_writer_stats_t stats_of(const setting_t *t)
{
    cm_cql_writer_stats_t stats;

    cm_cql_writer_stats(t->writer, &stats);
    return stats;
}

static void check_seen(const setting_t *t, int count, int least, int most)
{
    for (int i = 0; i < count; i++)
        assert_in_range(t->rig.fake.seen[i], least, most);
}

static void set_fault(setting_t *t, int node, fault_t fault, int32_t code, int count)
{
    t->rig.fake.nodes[node].fault = fault;
    t->rig.fake.nodes[node].fault_code = code;
    t->rig.fake.nodes[node].fault_count = count;
}

/* One of two nodes is frozen while it has batches: all are acknowledged by the other one soon after
 * the delay, and later batches are sent there at once. When the node continues, its late answers
 * change nothing. */
static void a_frozen_node(void **state)
{
    setting_t t;
    cm_cql_stats_t session;

    (void)state;
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 10});
    add_all(&t, 1000);
    assert_int_equal(1000, t.durable);
    assert_int_equal(0, stats_of(&t).copies);
    t.rig.fake.nodes[0].frozen = true;
    add_all(&t, 1200);
    assert_true(t.durable < 1200);
    rig_pass(&t.rig, DELAY_MS + 20, 10);
    assert_int_equal(1200, t.durable);
    cm_cql_writer_stats_t stats = stats_of(&t);
    assert_in_range(stats.copies, 5, 15); /* about half of 20 batches */
    assert_int_equal(stats.copies, stats.rescued);
    assert_int_equal(0, stats.retries);
    assert_int_equal(0, stats.in_flight);
    assert_int_equal(0, stats.waiting);
    check_seen(&t, 1200, 1, 1);
    /* Now it is asked last: the clock does not move, and no copy is needed. */
    add_all(&t, 3000);
    assert_int_equal(3000, t.durable);
    assert_int_equal(stats.copies, stats_of(&t).copies);
    check_seen(&t, 3000, 1, 1);
    /* It continues, writes the same rows again, and gets its half of the batches again. */
    int before = t.rig.fake.nodes[0].rows;
    t.rig.fake.nodes[0].frozen = false;
    rig_settle(&t.rig);
    assert_in_range(t.rig.fake.nodes[0].rows - before, (int)stats.copies * 10 - 20,
                    (int)stats.copies * 10);
    assert_int_equal(3000, t.durable);
    assert_int_equal(3000, cm_cql_writer_durable(t.writer));
    check_seen(&t, 3000, 1, 2);
    before = t.rig.fake.nodes[0].rows;
    add_all(&t, 5000);
    assert_int_equal(5000, t.durable);
    assert_in_range(t.rig.fake.nodes[0].rows - before, 700, 1300);
    cm_cql_stats(t.rig.session, &session);
    assert_int_equal(0, session.disconnects);
    end(&t);
}

/* It stays frozen: its connections are closed, no row waits for that, and it returns. */
static void frozen_for_a_minute(void **state)
{
    setting_t t;

    (void)state;
    begin(&t, 3, (cm_cql_writer_options_t){.batch_rows = 10, .max_rows = 256});
    add_all(&t, 500);
    t.rig.fake.nodes[1].frozen = true;
    for (int second = 0; second < 60; second++) {
        add_all(&t, 500 + 100 * (second + 1));
        rig_pass(&t.rig, 1000, 50);
        assert_int_equal(500 + 100 * (second + 1), t.durable);
    }
    check_seen(&t, 6500, 1, 1);
    t.rig.fake.nodes[1].frozen = false;
    rig_pass(&t.rig, 12000, 50);
    int before = t.rig.fake.nodes[1].rows;
    add_all(&t, 8000);
    assert_int_equal(8000, t.durable);
    assert_in_range(t.rig.fake.nodes[1].rows - before, 250, 900);
    check_seen(&t, 8000, 1, 2);
    end(&t);
}

/* A writer and a session are closed while there are answers to come that no call waits for. */
static void closed_with_a_late_answer(void **state)
{
    setting_t t;

    (void)state;
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 10});
    add_all(&t, 200);
    t.rig.fake.nodes[0].frozen = true;
    add_all(&t, 400);
    rig_pass(&t.rig, DELAY_MS + 20, 10);
    assert_int_equal(400, t.durable);
    t.rig.fake.nodes[1].frozen = true;
    add_all(&t, 600);
    rig_pass(&t.rig, DELAY_MS + 20, 10); /* no node is left for a copy */
    cm_cql_writer_close(t.writer);
    t.rig.fake.nodes[0].frozen = t.rig.fake.nodes[1].frozen = false;
    rig_settle(&t.rig); /* answers that no call waits for */
    assert_int_equal(400, t.durable);
    rig_close(&t.rig);
    /* Both calls of each batch are in flight when the writer and the session end. */
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 10});
    set_fault(&t, 0, SILENCE, 0, -1);
    set_fault(&t, 1, SILENCE, 0, -1);
    add_all(&t, 100);
    rig_pass(&t.rig, DELAY_MS + 20, 10);
    assert_in_range(stats_of(&t).copies, 5, 11);
    end(&t);
}

/* One of the two calls fails with an error that may pass: the other one continues, and its answer
 * counts. */
static void one_of_both_fails(void **state)
{
    setting_t t;

    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 10, .timeout_ms = 2000});
        set_fault(&t, slow, SILENCE, 0, -1);
        set_fault(&t, 1 - slow, SERVER_SAYS, CM_CQL_UNAVAILABLE, -1);
        add_all(&t, 100);
        rig_pass(&t.rig, DELAY_MS + 20, 10);
        assert_int_equal(0, t.durable);
        assert_true(stats_of(&t).copies > 0);
        set_fault(&t, 0, NO_FAULT, 0, 0);
        set_fault(&t, 1, NO_FAULT, 0, 0);
        rig_pass(&t.rig, 10000, 50);
        assert_int_equal(100, t.durable);
        assert_int_equal(0, stats_of(&t).in_flight);
        check_seen(&t, 100, 1, 2);
        end(&t);
    }
}

/* A row that the node of the copy refuses is handed over once; the other rows are written. */
static void a_copy_is_refused(void **state)
{
    setting_t t;

    (void)state;
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 10});
    add_all(&t, 100);
    t.rig.fake.poison = "r117";
    t.rig.fake.nodes[0].frozen = true;
    add_all(&t, 200);
    rig_pass(&t.rig, 2 * DELAY_MS + 40, 10);
    assert_int_equal(200, t.durable);
    assert_int_equal(1, t.refused);
    assert_int_equal(0, t.rig.fake.seen[117]);
    t.rig.fake.nodes[0].frozen = false;
    rig_settle(&t.rig);
    assert_int_equal(1, t.refused);
    assert_int_equal(200, t.durable);
    end(&t);
}

/* Many batches wait: at most a quarter of the batches that may be in flight have a copy. */
static void copies_are_few(void **state)
{
    setting_t t;

    (void)state;
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 1, .max_batches = 80});
    add_all(&t, 1000);
    assert_int_equal(80, stats_of(&t).window);
    set_fault(&t, 0, SILENCE, 0, -1);
    set_fault(&t, 1, SILENCE, 0, -1);
    add_all(&t, 1080);
    assert_int_equal(80, stats_of(&t).in_flight);
    rig_pass(&t.rig, 4000, 50);
    assert_int_equal(20, stats_of(&t).copies);
    end(&t);
}

/* A node reports overload: no copies are sent because of that. */
static void overload_is_not_made_worse(void **state)
{
    setting_t t;

    (void)state;
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 1, .max_batches = 100});
    add_all(&t, 400);
    set_fault(&t, 1, SILENCE, 0, 20);
    set_fault(&t, 0, SERVER_SAYS, CM_CQL_OVERLOADED, -1);
    add_all(&t, 500);
    rig_pass(&t.rig, 1900, 50);
    assert_int_equal(0, stats_of(&t).copies);
    set_fault(&t, 0, NO_FAULT, 0, 0);
    rig_pass(&t.rig, 30000, 50);
    assert_int_equal(500, t.durable);
    check_seen(&t, 500, 1, 2);
    end(&t);
}

/* A slow cluster: the delay adapts to the time that batches take. */
static void the_delay_follows(void **state)
{
    setting_t t;

    (void)state;
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 1, .max_batches = 8});
    for (int round = 0; round < 30; round++) {
        t.rig.fake.nodes[0].frozen = t.rig.fake.nodes[1].frozen = true;
        add_all(&t, 8 * (round + 1));
        rig_pass(&t.rig, 400, 50);
        t.rig.fake.nodes[0].frozen = t.rig.fake.nodes[1].frozen = false;
        rig_settle(&t.rig);
        assert_int_equal(8 * (round + 1), t.durable);
    }
    t.rig.fake.nodes[0].frozen = true;
    add_all(&t, 248);
    rig_pass(&t.rig, 900, 50); /* three times 400 ms have not passed */
    assert_int_equal(0, stats_of(&t).copies);
    rig_pass(&t.rig, 400, 50);
    assert_true(stats_of(&t).copies > 0);
    assert_int_equal(248, t.durable);
    end(&t);
}

/* No other node, or copies are turned off: the time-out ends the wait. */
static void no_copies(void **state)
{
    setting_t t;

    (void)state;
    for (int round = 0; round < 3; round++) {
        begin(&t, round == 0 ? 1 : 2,
              (cm_cql_writer_options_t){
                  .batch_rows = 10, .timeout_ms = 3000, .speculative_ms = round == 1 ? -1 : 0});
        if (round == 2) { /* the other one has no copy of the rows */
            t.rig.fake.replication[3] = "1";
            cm_cql_refresh(t.rig.session);
            rig_pass(&t.rig, 100, 10);
        }
        t.rig.fake.nodes[0].frozen = true;
        add_all(&t, 200);
        rig_pass(&t.rig, 2500, 50);
        assert_true(t.durable < 200);
        assert_int_equal(0, stats_of(&t).copies);
        t.rig.fake.nodes[0].frozen = false;
        rig_pass(&t.rig, 8000, 50);
        assert_int_equal(200, t.durable);
        end(&t);
    }
}

/* The reason why the first row that is not done is delayed names the node of that row, not another
 * one that is down. */
static void what_holds_it_up(void **state)
{
    setting_t t;
    cm_cql_error_t why;

    (void)state;
    begin(&t, 2, (cm_cql_writer_options_t){.batch_rows = 10});
    assert_false(cm_cql_writer_stall(t.writer, &why));
    cql_fake_stop(&t.rig.fake.nodes[0]);
    rig_settle(&t.rig);
    set_fault(&t, 1, SILENCE, 0, -1);
    add_all(&t, 20);
    rig_pass(&t.rig, 3400, 100);
    assert_non_null(strstr(cm_cql_last_error(t.rig.session)->node, "127.0.0.1:"));
    assert_true(cm_cql_writer_stall(t.writer, &why));
    assert_non_null(strstr(why.node, "127.0.0.2:"));
    assert_string_equal("no answer for 3.4 s", why.text);
    set_fault(&t, 1, SERVER_SAYS, CM_CQL_UNAVAILABLE, -1);
    rig_pass(&t.rig, 12000, 100);
    assert_true(cm_cql_writer_stall(t.writer, &why));
    assert_non_null(strstr(why.node, "127.0.0.2:"));
    assert_int_equal(CM_CQL_UNAVAILABLE, why.server_code);
    set_fault(&t, 1, NO_FAULT, 0, 0);
    rig_pass(&t.rig, 12000, 100);
    assert_int_equal(20, t.durable);
    assert_false(cm_cql_writer_stall(t.writer, &why));
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frozen_node),
        cmocka_unit_test(frozen_for_a_minute),
        cmocka_unit_test(closed_with_a_late_answer),
        cmocka_unit_test(one_of_both_fails),
        cmocka_unit_test(a_copy_is_refused),
        cmocka_unit_test(copies_are_few),
        cmocka_unit_test(overload_is_not_made_worse),
        cmocka_unit_test(the_delay_follows),
        cmocka_unit_test(no_copies),
        cmocka_unit_test(what_holds_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
