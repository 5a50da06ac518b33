#include "source/traffic.h"

/* 2026-01-01T00:00:00Z */
#define FIXED_START INT64_C(1767225600000)

int cm_traffic_open(const cm_traffic_options_t *options, cm_traffic_pace_t pace, bool from_now,
                    const cm_clock_t *clock, const atomic_bool *stop, cm_source_t **source,
                    cm_err_t *err)
{
    int64_t start = from_now ? cm_clock_now_ms(clock) : FIXED_START;

    if (options->start != NULL && strcmp(options->start, "now") == 0)
        start = cm_clock_now_ms(clock);
    else if (options->start != NULL && !cm_time_parse(cm_str(options->start), &start))
        return cm_fail(err, CM_EUSAGE,
                       "--start wants a time like 2026-01-01T00:00:00Z, or now, not \"%.40s\"",
                       options->start);
    const cm_synthetic_options_t synthetic = {
        .count = (uint64_t)options->count,
        .rate = options->rate,
        .paced = pace != CM_TRAFFIC_AT_ONCE,
        .no_wait = pace == CM_TRAFFIC_DUE,
        .start_ms = start,
        .users = (uint32_t)options->users,
        .urls = (uint32_t)options->urls,
        .countries = (uint32_t)options->countries,
        .seed = (uint64_t)options->seed,
        .late_percent = options->late,
        .repeat_percent = options->repeat,
    };
    return cm_synthetic_open(&synthetic, stop, source, err);
}
