/* The times of a page's events, which are moved together. */
#include "source/http/page_clock.h"

#include "base/clock.h"
#include "support.h"

#define NOW INT64_C(1747476303000)

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* Times before NOW (negative) and after it. */
static void expect(size_t count, const int64_t *said, const int64_t *wanted)
{
    int64_t times[8];

    for (size_t i = 0; i < count; i++)
        times[i] = NOW + said[i];
    cm_page_clock_set(times, count, NOW);
    for (size_t i = 0; i < count; i++) {
        if (times[i] != NOW + wanted[i])
            fail_msg("time %zu is %lld, not %lld", i, (long long)(times[i] - NOW),
                     (long long)wanted[i]);
    }
}

#define EXPECT(said, wanted)                                                                       \
    expect(sizeof(int64_t[]) UNPACK said / sizeof(int64_t), (int64_t[])UNPACK said,                \
           (int64_t[])UNPACK wanted)
#define UNPACK(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void believed(void **state)
{
    (void)state;
    cm_page_clock_set(NULL, 0, NOW);
    EXPECT((0), (0));
    EXPECT((-DAY), (-DAY));
    EXPECT((5 * MINUTE), (5 * MINUTE));
    /* In any order, with gaps of any size. */
    EXPECT((-HOUR, 4 * MINUTE, -23 * HOUR, 0), (-HOUR, 4 * MINUTE, -23 * HOUR, 0));
}

static void moved_as_a_whole(void **state)
{
    (void)state;
    EXPECT((5 * MINUTE + 1), (0));
    EXPECT((-DAY - 1), (0));
    EXPECT((-NOW + 5), (0));
    EXPECT((HOUR - 2 * MINUTE, HOUR - MINUTE, HOUR), (-2 * MINUTE, -MINUTE, 0)); /* fast */
    EXPECT((-3 * DAY - MINUTE, -3 * DAY, -3 * DAY), (-MINUTE, 0, 0));            /* slow */
    /* Only the newest time is outside the accepted range: the others are moved with it. */
    EXPECT((4 * MINUTE, 6 * MINUTE), (-2 * MINUTE, 0));
    EXPECT((-DAY + MINUTE, -2 * MINUTE), (-DAY + MINUTE, -2 * MINUTE));
    EXPECT((-DAY - MINUTE, -2 * MINUTE), (-DAY - MINUTE, -2 * MINUTE)); /* a correct clock */
    /* Slightly out of order. */
    EXPECT((HOUR, HOUR - 2 * MINUTE, HOUR - MINUTE), (0, -2 * MINUTE, -MINUTE));
}

static void set_meanwhile(void **state)
{
    (void)state;
    /* The clock was an hour fast and was corrected before the last two events. */
    EXPECT((HOUR - 3 * MINUTE, HOUR - 2 * MINUTE, -MINUTE, 0),
           (-2 * MINUTE - 1, -MINUTE - 1, -MINUTE, 0));
    /* The clock began in 1970 and was set from the network. */
    EXPECT((-NOW + 1000, -NOW + 3000, -SECOND, 0), (-3 * SECOND - 1, -SECOND - 1, -SECOND, 0));
    /* The clock was right and was set wrong. */
    EXPECT((-2 * MINUTE, -MINUTE, 2 * DAY, 2 * DAY + MINUTE),
           (-2 * MINUTE - 1, -MINUTE - 1, -MINUTE, 0));
    EXPECT((-3 * MINUTE, -2 * MINUTE, 2 * DAY, 2 * DAY + MINUTE),
           (-3 * MINUTE, -2 * MINUTE, -MINUTE, 0));
}

static void no_further_back(void **state)
{
    int64_t times[100];

    (void)state;
    for (int i = 0; i < 100; i++)
        times[i] = NOW - (int64_t)(99 - i) * DAY;
    cm_page_clock_set(times, 100, NOW);
    assert_int_equal(times[99], NOW);
    assert_int_equal(times[69], NOW - (int64_t)30 * DAY);
    for (int i = 0; i < 69; i++)
        assert_int_equal(times[i], NOW - (int64_t)30 * DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believed),
        cmocka_unit_test(moved_as_a_whole),
        cmocka_unit_test(set_meanwhile),
        cmocka_unit_test(no_further_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
