/* For unit tests that measure time: a bare loop beside what is measured tells how busy the machine
 * is. A time that is too long fails only where the loop was not slowed down as well; otherwise the
 * test goes on, and says in its end that the machine is too busy to tell. */
#ifndef CM_TESTS_UNIT_PACE_H
#define CM_TESTS_UNIT_PACE_H

#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct test_pace {
    pthread_t thread;
    atomic_bool over;
    int64_t started_ns;
    int64_t wall_ns, cpu_ns, worst_ns; /* of the loop; the longest that one turn was held up */
    bool doubt;
} test_pace_t;

void test_pace_start(test_pace_t *pace);

/* Ends the measurement: `ms` milliseconds should be from `least` to `most`. Also of several times.
 */
void test_pace_check(test_pace_t *pace, int64_t ms, int64_t least, int64_t most);

/* The same for the time since the start. */
void test_pace_took(test_pace_t *pace, int64_t least, int64_t most);

/* The last thing in a test: it is skipped where it could not tell. */
void test_pace_end(const test_pace_t *pace);

#endif
