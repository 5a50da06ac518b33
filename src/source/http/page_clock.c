#include "source/http/page_clock.h"

#include "base/clock.h"

#include <stdbool.h>

enum {
    AHEAD_MS = 5 * 60 * 1000, /* a clock that differs by more is wrong */
    BEHIND_MS = CM_DAY_MS,
};

#define OLDEST_MS (INT64_C(30) * CM_DAY_MS)

static bool is_believed(int64_t time, int64_t now)
{
    return time - now <= AHEAD_MS && now - time <= BEHIND_MS;
}

static bool is_step(int64_t time, int64_t next)
{
    return time - next > AHEAD_MS || next - time > BEHIND_MS;
}

/* Moves the times; returns the oldest. */
static int64_t move(int64_t *times, size_t count, int64_t shift, int64_t now)
{
    int64_t oldest = INT64_MAX;

    for (size_t i = 0; i < count; i++) {
        times[i] += shift;
        if (now - times[i] > OLDEST_MS)
            times[i] = now - OLDEST_MS;
        oldest = times[i] < oldest ? times[i] : oldest;
    }
    return oldest;
}

void cm_page_clock_set(int64_t *times, size_t count, int64_t now)
{
    int64_t limit = now; /* of the newest time, when it is corrected */
    size_t begin = count;
    bool good = true;

    for (size_t i = 0; i < count; i++)
        good = good && is_believed(times[i], now);
    if (good)
        return;
    for (size_t end = count; end > 0; end = begin) {
        int64_t newest = times[end - 1];
        for (begin = end - 1; begin > 0 && !is_step(times[begin - 1], times[begin]); begin--)
            newest = times[begin - 1] > newest ? times[begin - 1] : newest;
        bool stays = is_believed(newest, now) && (end == count || newest <= limit);
        int64_t oldest = move(times + begin, end - begin, stays ? 0 : limit - newest, now);
        limit = oldest - 1;
    }
}
