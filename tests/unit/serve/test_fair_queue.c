/* The fair queue: each address gets the same number of slices, and jobs that are not done are
 * dropped. */
#include "support.h"

#include "base/clock.h"
#include "serve/fair_queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct job {
    cm_fair_job_t base; /* first */
    int slices;         /* that it needs */
    int number;
    bool dropped;
} job_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ended[300], ended_count;
static atomic_int begun, begun_most, dropped;
static atomic_bool held; /* the first job waits for the others */

static bool go(cm_fair_job_t *turn, int64_t until_ns)
{
    job_t *job = (job_t *)turn;
    (void)until_ns;

    while (atomic_load(&held))
        cm_sleep_ms(1);
    if (!job->dropped) { /* its first slice */
        const int now = atomic_fetch_add(&begun, 1) + 1;
        if (now > atomic_load(&begun_most))
            atomic_store(&begun_most, now);
        job->dropped = true;
    }
    cm_sleep_ms(1); /* so that each slice takes about the same time */
    if (--job->slices > 0)
        return false;
    atomic_fetch_sub(&begun, 1);
    pthread_mutex_lock(&lock);
    ended[ended_count++] = job->number;
    pthread_mutex_unlock(&lock);
    return true;
}

static void drop(cm_fair_job_t *turn)
{
    (void)turn;
    atomic_fetch_add(&dropped, 1);
}

static void start(int threads, cm_fair_queue_t **queue)
{
    cm_err_t err;

    ended_count = 0;
    atomic_store(&begun, 0);
    atomic_store(&begun_most, 0);
    atomic_store(&dropped, 0);
    assert_int_equal(cm_fair_queue_start(threads, go, drop, queue, &err), 0);
}

static int count_ended(void)
{
    pthread_mutex_lock(&lock);
    int count = ended_count;
    pthread_mutex_unlock(&lock);
    return count;
}

static void wait_for(int count)
{
    for (int i = 0; i < 60000 && count_ended() < count; i++)
        cm_sleep_ms(1);
    assert_int_equal(count_ended(), count);
}

/* One address adds a hundred jobs, and after that another address adds one: it is done next. */
static void who_has_many_does_not_keep_others(void **state)
{
    job_t jobs[101];
    cm_fair_queue_t *queue;
    int at = -1;

    (void)state;
    atomic_store(&held, true);
    start(1, &queue);
    for (int i = 0; i < 101; i++) {
        jobs[i] = (job_t){.slices = 3, .number = i};
        cm_fair_queue_add(queue, &jobs[i].base, i < 100 ? 7 : 8);
    }
    atomic_store(&held, false);
    wait_for(101);
    for (int i = 0; i < 101; i++) {
        if (ended[i] == 100)
            at = i;
    }
    if (at > 3)
        fail_msg("it was the %dth of 101 to end", at + 1);
    assert_int_equal(atomic_load(&dropped), 0);
    cm_fair_queue_stop(queue);
    cm_fair_queue_free(queue);
}

/* A begun job needs memory: of many addresses only a few have a begun job. */
static void few_are_begun(void **state)
{
    job_t jobs[60];
    cm_fair_queue_t *queue;

    (void)state;
    start(2, &queue);
    for (int i = 0; i < 60; i++) {
        jobs[i] = (job_t){.slices = 4, .number = i};
        cm_fair_queue_add(queue, &jobs[i].base, (uint64_t)i);
    }
    wait_for(60);
    assert_in_range(atomic_load(&begun_most), 2, 8);
    cm_fair_queue_stop(queue);
    cm_fair_queue_free(queue);
}

static void what_is_not_done_is_dropped(void **state)
{
    job_t jobs[10], late = {.slices = 1};
    cm_fair_queue_t *queue;

    (void)state;
    start(1, &queue);
    for (int i = 0; i < 10; i++) {
        jobs[i] = (job_t){.slices = 1000000, .number = i};
        cm_fair_queue_add(queue, &jobs[i].base, (uint64_t)i);
    }
    cm_fair_queue_stop(queue);
    assert_int_equal(atomic_load(&dropped), 10);
    cm_fair_queue_add(queue, &late.base, 1);
    assert_int_equal(atomic_load(&dropped), 11);
    assert_int_equal(count_ended(), 0);
    cm_fair_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_many_does_not_keep_others),
        cmocka_unit_test(few_are_begun),
        cmocka_unit_test(what_is_not_done_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
