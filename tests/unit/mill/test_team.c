/* Each member of a team works once, and all have ended when the call returns. */
#include "mill/team.h"

#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct work {
    pthread_t caller;
    atomic_int runs[CM_TEAM_MAX];
    atomic_int by_caller, arrived;
    int wanted;
} work_t;

static void count(void *context, int number)
{
    work_t *work = context;

    atomic_fetch_add(&work->runs[number], 1);
    if (pthread_equal(pthread_self(), work->caller))
        atomic_fetch_add(&work->by_caller, 1);
    /* Each waits for all others, so they run at the same time. */
    atomic_fetch_add(&work->arrived, 1);
    while (atomic_load(&work->arrived) < work->wanted)
        usleep(100);
}

static void all_work_together(void **state)
{
    static const int sizes[] = {1, 2, 7, CM_TEAM_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        work_t work = {.caller = pthread_self(), .wanted = sizes[i]};
        cm_team_run(sizes[i], count, &work);
        for (int number = 0; number < CM_TEAM_MAX; number++)
            assert_int_equal(work.runs[number], number < sizes[i]);
        assert_int_equal(work.by_caller, 1);
    }
}

static void sizes_have_limits(void **state)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);

    (void)state;
    assert_int_equal(cm_team_size(1), 1);
    assert_int_equal(cm_team_size(CM_TEAM_MAX), CM_TEAM_MAX);
    assert_int_equal(cm_team_size(CM_TEAM_MAX + 1), CM_TEAM_MAX);
    assert_int_equal(cm_team_size(0), processors > CM_TEAM_MAX ? CM_TEAM_MAX : processors);
    assert_int_equal(cm_team_size(-3), cm_team_size(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_work_together),
        cmocka_unit_test(sizes_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
