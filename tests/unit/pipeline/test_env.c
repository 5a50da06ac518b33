/* The surroundings of a pipeline: times of status lines, the end of waits, and the flags. */
#include "pipeline/env.h"
#include "support.h"

static int64_t now_ns;

static int64_t fake_ticks(void)
{
    return now_ns;
}

/* Every 5 s without a terminal, every 0.5 s on one; the time of a line is when it was due. */
static void line_due(void **state)
{
    cm_pipeline_env_t env = {.ticks_ns = fake_ticks};
    int64_t shown_ns = 0;

    (void)state;
    now_ns = INT64_C(4999999999);
    assert_false(cm_pipeline_line_due(&env, &shown_ns));
    assert_int_equal(shown_ns, 0);
    now_ns = INT64_C(5000000000);
    assert_true(cm_pipeline_line_due(&env, &shown_ns));
    assert_int_equal(shown_ns, INT64_C(5000000000));
    assert_false(cm_pipeline_line_due(&env, &shown_ns));
    env.terminal = true;
    now_ns += 499999999;
    assert_false(cm_pipeline_line_due(&env, &shown_ns));
    now_ns++;
    assert_true(cm_pipeline_line_due(&env, &shown_ns));
    assert_int_equal(shown_ns, INT64_C(5500000000));
}

/* A wait ends so long after the stop was first seen, not after it began. */
static void give_up(void **state)
{
    atomic_bool stop = false;
    const cm_pipeline_env_t env = {.ticks_ns = fake_ticks, .stop = &stop};
    int64_t since_ns = 0;

    (void)state;
    now_ns = INT64_C(100000000000);
    assert_false(cm_pipeline_give_up(&env, &since_ns, 5000));
    now_ns += INT64_C(60000000000);
    assert_false(cm_pipeline_give_up(&env, &since_ns, 5000));
    atomic_store(&stop, true);
    assert_false(cm_pipeline_give_up(&env, &since_ns, 5000));
    assert_int_equal(since_ns, INT64_C(160000000000));
    now_ns += INT64_C(5000000000);
    assert_false(cm_pipeline_give_up(&env, &since_ns, 5000));
    now_ns++;
    assert_true(cm_pipeline_give_up(&env, &since_ns, 5000));
}

typedef struct attempts {
    int count, away; /* attempts, and how many of them find no server */
    int then;        /* the result of the next */
    cm_err_t *err;
} attempts_t;

static int open_server(void *context)
{
    attempts_t *self = context;

    return self->count++ < self->away ? cm_fail(self->err, CM_EAWAY, "no broker answers")
           : self->then < 0           ? cm_fail(self->err, self->then, "wrong password")
                                      : 0;
}

/* Only a server that does not answer is tried again, with a line for each attempt. */
static void reach(void **state)
{
    char text[200] = "";
    FILE *messages = fmemopen(text, sizeof text, "w");
    atomic_bool stop = false;
    const cm_pipeline_env_t env = {.messages = messages, .stop = &stop};
    cm_err_t err;
    attempts_t server = {.away = 1, .err = &err};
    uint64_t retries = 0;

    (void)state;
    assert_int_equal(cm_pipeline_reach(&env, open_server, &server, &retries, &err), 0);
    assert_int_equal(server.count, 2);
    assert_int_equal(retries, 1);
    server = (attempts_t){.then = CM_EUSAGE, .err = &err};
    assert_int_equal(cm_pipeline_reach(&env, open_server, &server, &retries, &err), CM_EUSAGE);
    assert_int_equal(server.count, 1);
    assert_string_equal(err.text, "wrong password");
    atomic_store(&stop, true);
    server = (attempts_t){.away = 5, .err = &err};
    assert_int_equal(cm_pipeline_reach(&env, open_server, &server, &retries, &err), CM_ESTOP);
    assert_int_equal(server.count, 1);
    assert_int_equal(retries, 1);
    fclose(messages);
    assert_string_equal(text, "no broker answers; trying again\n");
}

/* A part without a flag is never told to stop. */
static void flags(void **state)
{
    atomic_bool hurry = false, hurries = false;
    cm_pipeline_env_t env = {.ticks_ns = NULL};

    (void)state;
    assert_false(cm_pipeline_stops(&env));
    assert_false(cm_pipeline_hurries(&env));
    cm_pipeline_set_hurries(&env, true);
    env.hurry = &hurry;
    env.hurries = &hurries;
    cm_pipeline_set_hurries(&env, true);
    assert_true(atomic_load(&hurries));
    atomic_store(&hurry, true);
    assert_true(cm_pipeline_hurries(&env));
    assert_true(cm_pipeline_ticks_ns(&env) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_due),
        cmocka_unit_test(give_up),
        cmocka_unit_test(reach),
        cmocka_unit_test(flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
