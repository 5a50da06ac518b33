/* The spool in front of a server that comes and goes: nothing is lost, nothing is sent twice, and
 * the order stays. */
#include "random_extra.h"
#include "store_support.h"

#include "base/clock.h"
#include "store/embedded/spool.h"

#include <stdatomic.h>

/* A server's sink that does what the test says. */
typedef struct remote {
    cm_sink_t sink; /* first */
    struct server *server;
    uint64_t taken; /* events that it has in hand */
} remote_t;

typedef struct server {
    atomic_bool away;   /* it cannot be opened, and does not answer */
    atomic_int opened;  /* how often */
    int open_ms;        /* how long opening takes */
    bool late;          /* it takes, but answers only when it is no longer so */
    int fail_put, fail; /* codes of the next put and commit; 0: none */
    int refused;        /* how often a commit was refused because of: */
    const char *poison; /* a user's name, whose event it never takes, but all others; NULL: none */
    cm_buf_t got;       /* an event a line, once it is acknowledged */
    cm_buf_t in_hand;   /* taken, not acknowledged */
    const cm_waiter_t *waiter;
} server_t;

/* A line that begins with the user's name. */
static void add_line(cm_buf_t *buf, const cm_event_t *event)
{
    cm_buf_add_str(buf, event->user_id);
    cm_event_extra_add_json(buf, event->extra);
    cm_buf_add_char(buf, '\n');
}

static int remote_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    server_t *server = ((remote_t *)sink)->server;

    if (server->fail_put != 0) {
        int code = server->fail_put;
        server->fail_put = 0;
        return cm_fail(err, code, "it takes nothing");
    }
    for (size_t i = 0; i < batch->count; i++)
        add_line(&server->in_hand, &batch->events[i]);
    return 0;
}

static int remote_commit(cm_sink_t *sink, cm_err_t *err)
{
    server_t *server = ((remote_t *)sink)->server;

    if (server->fail != 0) {
        int code = server->fail;
        server->fail = 0;
        return cm_fail(err, code, "it has given up");
    }
    if (server->late || atomic_load(&server->away)) {
        int rc = server->waiter->wait(server->waiter->context, 0, "no answer");
        return cm_fail(err, rc, "stopped while it does not answer");
    }
    char *poison = server->poison != NULL && server->in_hand.len > 0
                       ? strstr(server->in_hand.data, server->poison)
                       : NULL;
    if (poison != NULL) {
        cm_buf_add(&server->got, server->in_hand.data, (size_t)(poison - server->in_hand.data));
        server->refused++;
        return cm_fail(err, CM_EIO, "it does not take %s", server->poison);
    }
    cm_buf_add(&server->got, server->in_hand.data, server->in_hand.len);
    cm_buf_clear(&server->in_hand);
    return 0;
}

static void remote_close(cm_sink_t *sink)
{
    remote_t *remote = (remote_t *)sink;

    cm_buf_clear(&remote->server->in_hand); /* it was never sent */
    free(remote);
}

static int open_server(void *context, const cm_waiter_t *waiter, cm_sink_t **sink, cm_err_t *err)
{
    static const cm_sink_ops_t ops = {remote_put, remote_commit, remote_close, NULL};
    server_t *server = context;

    cm_sleep_ms(server->open_ms);
    if (atomic_load(&server->away))
        return cm_fail(err, CM_EAWAY, "no server answers");
    remote_t *remote = calloc(1, sizeof *remote);
    remote->sink.ops = &ops;
    remote->server = server;
    server->waiter = waiter;
    atomic_fetch_add(&server->opened, 1);
    *sink = &remote->sink;
    return 0;
}

typedef struct state {
    char *directory;
    server_t server;
    cm_spool_t *spool;
    int put;           /* events */
    bool plain;        /* they have no optional fields */
    cm_buf_t expected; /* as server.got must be in the end */
} state_t;

static void open_spool(state_t *state)
{
    const cm_spool_options_t options = {
        .data_dir = state->directory,
        .max_bytes = INT64_C(1) << 40,
        .open = open_server,
        .context = &state->server,
        .start_ms = atomic_load(&state->server.away) || state->server.open_ms > 0 ? 0 : 2000};
    cm_err_t err;

    assert_ok(cm_spool_open(&options, &state->spool, &err), err);
}

static int set_up(void **context)
{
    state_t *state = calloc(1, sizeof *state);

    state->directory = test_directory();
    *context = state;
    return 0;
}

static void close_spool(state_t *state)
{
    cm_sink_close(cm_spool_sink(state->spool));
    state->spool = NULL;
}

static int tear_down(void **context)
{
    state_t *state = *context;

    if (state->spool != NULL)
        close_spool(state);
    cm_buf_free(&state->server.got);
    cm_buf_free(&state->server.in_hand);
    cm_buf_free(&state->expected);
    test_remove(state->directory);
    free(state);
    return 0;
}

/* Puts so many events and commits. */
static int send_some(state_t *state, int count, cm_err_t *err)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_sink_t *sink = cm_spool_sink(state->spool);
    uint64_t random = (uint64_t)state->put;

    for (int i = 0; i < count; i++) {
        char name[20];
        int len = snprintf(name, sizeof name, "user-%d", state->put++);
        cm_event_t event = test_event(NULL, 1000 + state->put, "/", "X", NULL);
        event.user_id = cm_arena_copy(&batch.arena, (cm_str_t){name, (size_t)len});
        event.extra = state->plain ? NULL : random_extra(&random, &batch.arena);
        test_add(&batch, event);
        add_line(&state->expected, &event);
    }
    int rc = cm_sink_put(sink, &batch, err);
    if (rc == 0)
        rc = cm_sink_commit(sink, err);
    cm_batch_free(&batch);
    return rc;
}

static void send(state_t *state, int count)
{
    cm_err_t err;

    assert_ok(send_some(state, count, &err), err);
}

/* Commits without events until all is forwarded. */
static void drain(state_t *state)
{
    cm_err_t err;

    for (int i = 0;
         i < 500 && (cm_spool_kept(state->spool) > 0 || cm_spool_reason(state->spool)[0] != '\0');
         i++) {
        assert_ok(cm_sink_commit(cm_spool_sink(state->spool), &err), err);
        cm_sleep_ms(10);
    }
    assert_int_equal(cm_spool_kept(state->spool), 0);
    assert_string_equal(cm_spool_reason(state->spool), "");
}

static void assert_all_arrived(state_t *state)
{
    assert_int_equal(state->server.got.len, state->expected.len);
    if (state->expected.len > 0)
        assert_memory_equal(state->server.got.data, state->expected.data, state->expected.len);
}

static void straight_on(void **context)
{
    state_t *state = *context;

    open_spool(state);
    send(state, 3);
    assert_all_arrived(state); /* durable there, when commit() returns */
    send(state, 4);
    assert_all_arrived(state);
    assert_int_equal(cm_spool_kept(state->spool), 0);
}

static void away_at_the_start(void **context)
{
    state_t *state = *context;

    atomic_store(&state->server.away, true);
    open_spool(state);
    send(state, 3);
    send(state, 2);
    assert_int_equal(cm_spool_kept(state->spool), 5);
    atomic_store(&state->server.away, false);
    drain(state);
    send(state, 2);
    assert_all_arrived(state);
}

/* What the client had in hand is sent by it, and not once more. */
static void away_with_some_in_hand(void **context)
{
    state_t *state = *context;

    open_spool(state);
    send(state, 3);
    state->server.late = true;
    send(state, 4);
    assert_int_equal(cm_spool_kept(state->spool), 4);
    assert_string_equal(cm_spool_reason(state->spool), "no answer");
    send(state, 5);
    assert_int_equal(cm_spool_kept(state->spool), 9);
    state->server.late = false;
    drain(state);
    send(state, 1);
    assert_all_arrived(state);
    assert_int_equal(atomic_load(&state->server.opened), 1);
}

static void away_while_forwarding(void **context)
{
    state_t *state = *context;

    atomic_store(&state->server.away, true);
    open_spool(state);
    send(state, 20000);
    state->server.late = true;
    atomic_store(&state->server.away, false);
    for (int i = 0; i < 400 && state->server.in_hand.len == 0; i++) {
        cm_sleep_ms(10);
        send(state, 0);
    }
    assert_true(state->server.in_hand.len > 0);
    send(state, 7);
    state->server.late = false;
    drain(state);
    assert_all_arrived(state);
}

/* The client answers, but has a reason of its own not to finish, such as a dead letter that cannot
 * be stored: it is told, asked again once a second, and nothing is sent twice. */
static void client_that_is_not_ready(void **context)
{
    state_t *state = *context;

    open_spool(state);
    send(state, 2);
    state->server.fail = CM_EAWAY;
    send(state, 3);
    assert_int_equal(cm_spool_kept(state->spool), 3);
    assert_string_equal(cm_spool_reason(state->spool), "it has given up");
    state->server.fail = CM_EAWAY;
    for (int i = 0; i < 500 && state->server.fail != 0; i++) {
        send(state, 0);
        cm_sleep_ms(10);
    }
    assert_int_equal(state->server.fail, 0);
    assert_string_equal(cm_spool_reason(state->spool), "it has given up");
    drain(state);
    assert_all_arrived(state);
    assert_int_equal(atomic_load(&state->server.opened), 1);
}

/* A put that fails in its middle: it is not known what was taken, so a new client sends all. */
static void torn_put(void **context)
{
    state_t *state = *context;

    open_spool(state);
    send(state, 2);
    state->server.fail_put = CM_EAWAY;
    send(state, 3);
    assert_int_equal(cm_spool_kept(state->spool), 3);
    drain(state);
    assert_all_arrived(state);
    assert_int_equal(atomic_load(&state->server.opened), 2);
}

static void client_that_gives_up(void **context)
{
    state_t *state = *context;

    open_spool(state);
    send(state, 2);
    state->server.fail = CM_EIO;
    send(state, 3);
    send(state, 3);
    drain(state);
    assert_all_arrived(state);
    assert_int_equal(atomic_load(&state->server.opened), 2);
}

static void restarted_while_away(void **context)
{
    state_t *state = *context;

    open_spool(state);
    send(state, 2);
    atomic_store(&state->server.away, true);
    send(state, 3);
    close_spool(state);
    open_spool(state);
    assert_int_equal(cm_spool_kept(state->spool), 3);
    send(state, 2);
    atomic_store(&state->server.away, false);
    drain(state);
    assert_all_arrived(state);
    close_spool(state);
    open_spool(state); /* nothing comes a second time */
    send(state, 1);
    assert_all_arrived(state);
}

static void assert_counts(const state_t *state, uint64_t found, uint64_t sent, uint64_t kept)
{
    const cm_spool_counts_t counts = cm_spool_counts(state->spool);

    assert_int_equal(counts.found, found);
    assert_int_equal(counts.sent, sent);
    assert_int_equal(counts.kept, kept);
}

/* How often a drain may ask, and after how many times the server comes back. */
typedef struct drain_limit {
    state_t *state;
    int asked, most, back;
} drain_limit_t;

static bool go_on(void *context)
{
    drain_limit_t *limit = context;

    if (++limit->asked == limit->back) {
        atomic_store(&limit->state->server.away, false);
        limit->state->server.late = false;
    }
    return limit->asked <= limit->most;
}

static void drain_with(state_t *state, int most, int back)
{
    drain_limit_t limit = {.state = state, .most = most, .back = back};
    cm_err_t err;

    assert_ok(cm_spool_drain(state->spool, go_on, &limit, &err), err);
}

/* What the end waits for, and what is counted then, and at the next start. */
static void drained(void **context)
{
    state_t *state = *context;

    open_spool(state);
    assert_counts(state, 0, 0, 0);
    drain_with(state, 0, 0); /* nothing is kept */
    send(state, 3);
    assert_counts(state, 0, 3, 0);
    state->server.late = true;
    send(state, 4);
    assert_counts(state, 0, 3, 4);
    drain_with(state, 100, 5);
    assert_counts(state, 0, 7, 0);
    assert_all_arrived(state);
    assert_int_equal(atomic_load(&state->server.opened), 1);
}

/* It asks from time to time, and not as fast as it can. */
static void drained_when_the_server_is_open(void **context)
{
    state_t *state = *context;

    state->server.open_ms = 300;
    open_spool(state);
    send(state, 3);
    assert_counts(state, 0, 0, 3);
    drain_with(state, 300, 0);
    assert_counts(state, 0, 3, 0);
    assert_all_arrived(state);
}

static void drained_in_vain(void **context)
{
    state_t *state = *context;

    atomic_store(&state->server.away, true);
    open_spool(state);
    send(state, 20000); /* more than are sent at once */
    drain_with(state, 3, 0);
    assert_counts(state, 0, 0, 20000);
    close_spool(state);
    open_spool(state);
    assert_counts(state, 20000, 0, 20000);
    send(state, 2);
    drain_with(state, 1000, 5);
    assert_counts(state, 20000, 20002, 0);
    assert_all_arrived(state);
    close_spool(state);
    open_spool(state);
    assert_counts(state, 0, 0, 0);
}

/* A server that takes events and says nothing does not hold the end up. */
static void drain_ends_while_the_server_is_silent(void **context)
{
    state_t *state = *context;

    atomic_store(&state->server.away, true);
    open_spool(state);
    send(state, 5);
    state->server.late = true;
    atomic_store(&state->server.away, false);
    drain_with(state, 100, 0);
    assert_counts(state, 0, 0, 5);
}

/* An event that is never taken stays, and is tried again; those beside it do not arrive again and
 * again meanwhile. */
static void one_is_refused(void **context)
{
    state_t *state = *context;
    cm_err_t err;

    state->plain = true;
    atomic_store(&state->server.away, true);
    open_spool(state);
    send(state, 3);
    state->server.poison = "user-2\n";
    atomic_store(&state->server.away, false);
    for (int i = 0; i < 2000 && state->server.refused < 5; i++) {
        assert_ok(cm_sink_commit(cm_spool_sink(state->spool), &err), err);
        cm_sleep_ms(10);
    }
    assert_int_equal(state->server.refused, 5);
    assert_string_equal(cm_spool_reason(state->spool), "it does not take user-2\n");
    assert_counts(state, 0, 2, 1);
    /* All, the first, the other two, the second, and from then on only the third. */
    assert_int_equal(state->server.got.len, strlen("user-0\nuser-1\nuser-0\nuser-1\nuser-1\n"));
    assert_memory_equal(state->server.got.data, "user-0\nuser-1\nuser-0\nuser-1\nuser-1\n",
                        state->server.got.len);
    state->server.poison = NULL;
    drain(state);
    assert_counts(state, 0, 3, 0);
}

static void full(void **context)
{
    state_t *state = *context;
    cm_err_t err;

    const cm_spool_options_t options = {.data_dir = state->directory,
                                        .max_bytes = 1,
                                        .open = open_server,
                                        .context = &state->server};
    atomic_store(&state->server.away, true);
    assert_ok(cm_spool_open(&options, &state->spool, &err), err);
    assert_int_equal(send_some(state, 1, &err), CM_EIO);
    assert_non_null(strstr(err.text, "the spool in "));
    assert_int_equal(cm_spool_kept(state->spool), 0);
}

/* When nothing can be kept its senders are told, and nothing is remembered. */
static void nothing_can_be_kept(void **context)
{
    state_t *state = *context;
    cm_err_t err;

    const cm_spool_options_t options = {.data_dir = state->directory,
                                        .max_bytes = 1,
                                        .open = open_server,
                                        .context = &state->server,
                                        .start_ms = 2000};
    assert_ok(cm_spool_open(&options, &state->spool, &err), err);
    send(state, 2);
    state->server.late = true;
    cm_buf_t so_far = CM_BUF_INIT;
    cm_buf_add(&so_far, state->expected.data, state->expected.len);
    for (int i = 0; i < 5; i++)
        assert_int_equal(send_some(state, 1, &err), CM_EIO);
    state->server.late = false;
    assert_ok(send_some(state, 0, &err), err);
    send(state, 1);
    /* What the server's client had in hand may arrive; it does so once. */
    assert_true(state->server.got.len <= state->expected.len);
    assert_memory_equal(state->server.got.data, so_far.data, so_far.len);
    cm_buf_free(&so_far);
}

/* The mark of what is forwarded cannot be written: it is not sent again and again. */
static void no_room_for_the_mark(void **context)
{
    state_t *state = *context;
    cm_err_t err;

    atomic_store(&state->server.away, true);
    open_spool(state);
    send(state, 5);
    close_spool(state);
    atomic_store(&state->server.away, false);
    test_sql(state->directory, "CREATE TRIGGER full BEFORE INSERT ON source BEGIN SELECT "
                               "RAISE(ABORT, 'there is no room'); END");
    open_spool(state);
    for (int i = 0; i < 20; i++)
        assert_ok(cm_sink_commit(cm_spool_sink(state->spool), &err), err);
    assert_all_arrived(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(straight_on),
        TEST(away_at_the_start),
        TEST(away_with_some_in_hand),
        TEST(away_while_forwarding),
        TEST(torn_put),
        TEST(client_that_gives_up),
        TEST(client_that_is_not_ready),
        TEST(restarted_while_away),
        TEST(drained),
        TEST(drained_when_the_server_is_open),
        TEST(drained_in_vain),
        TEST(drain_ends_while_the_server_is_silent),
        TEST(one_is_refused),
        TEST(full),
        TEST(nothing_can_be_kept),
        TEST(no_room_for_the_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
