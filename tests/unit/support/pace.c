#include "pace.h"

#include "base/clock.h"

#include <time.h>

static int64_t test_pace_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Turns of 5 ms of work and 20 ms of rest. */
static void *test_pace_loop(void *context)
{
    test_pace_t *pace = context;

    while (!atomic_load(&pace->over)) {
        int64_t wall = cm_clock_ticks_ns(), cpu = test_pace_cpu_ns();
        while (test_pace_cpu_ns() - cpu < 5000000)
            continue;
        cpu = test_pace_cpu_ns() - cpu;
        cm_sleep_ms(20);
        wall = cm_clock_ticks_ns() - wall - 20000000;
        pace->wall_ns += wall;
        pace->cpu_ns += cpu;
        if (wall - cpu > pace->worst_ns)
            pace->worst_ns = wall - cpu;
    }
    return NULL;
}

void test_pace_start(test_pace_t *pace)
{
    *pace = (test_pace_t){.started_ns = cm_clock_ticks_ns()};
    assert_int_equal(pthread_create(&pace->thread, NULL, test_pace_loop, pace), 0);
}

void test_pace_check(test_pace_t *pace, int64_t ms, int64_t least, int64_t most)
{
    if (!atomic_exchange(&pace->over, true))
        pthread_join(pace->thread, NULL);
    assert_true(ms >= least);
    if (ms <= most)
        return;
    const double stretch = pace->cpu_ns > 0 ? (double)pace->wall_ns / (double)pace->cpu_ns : 1;
    if (stretch < 1.4 && pace->worst_ns / 1000000 < most / 4)
        fail_msg("it took %lld ms, at most %lld are right; a bare loop beside it took %.1f times "
                 "as long as by itself",
                 (long long)ms, (long long)most, stretch);
    pace->doubt = true;
    print_message("# the machine is too busy to tell: it took %lld ms, at most %lld are right; a "
                  "bare loop beside it took %.1f times as long as by itself\n",
                  (long long)ms, (long long)most, stretch);
}

void test_pace_took(test_pace_t *pace, int64_t least, int64_t most)
{
    test_pace_check(pace, (cm_clock_ticks_ns() - pace->started_ns) / 1000000, least, most);
}

void test_pace_end(const test_pace_t *pace)
{
    if (pace->doubt)
        skip();
}
