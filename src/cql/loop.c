#include "cql/loop.h"

#include <stdarg.h>
#include <stdio.h>

enum { LOG_TEXT = 512 };

int64_t cm_cql_now(const cm_cql_loop_t *loop)
{
    return loop->o.clock != NULL ? cm_clock_now_ms(loop->o.clock) : cm_clock_ticks_ns() / 1000000;
}

void cm_cql_log(const cm_cql_loop_t *loop, cm_level_t level, const char *msg, const char *format,
                ...)
{
    char text[LOG_TEXT];
    va_list args;

    if (loop->o.log == NULL || (level == CM_LOG_DEBUG && !cm_debugs(loop->o.log, CM_DEBUG_CQL)))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (level == CM_LOG_DEBUG)
        cm_debug(loop->o.log, CM_DEBUG_CQL, msg, "%s", text);
    else
        cm_log(loop->o.log, level, msg, "%s", text);
}

void cm_cql_set_error(cm_cql_error_t *error, cm_cql_code_t code, const char *format, ...)
{
    va_list args;

    *error = (cm_cql_error_t){
        .code = code, .server_code = -1, .consistency = -1, .received = -1, .required = -1};
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
}

void cm_cql_set_memory_error(cm_cql_loop_t *loop, cm_cql_error_t *error)
{
    loop->stats.no_memory++;
    cm_cql_set_error(error, CM_CQL_MEMORY, "out of memory");
}

/* splitmix64 */
static uint64_t next_random(cm_cql_loop_t *loop)
{
    uint64_t z = (loop->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

int64_t cm_cql_backoff(cm_cql_loop_t *loop, int failures, int min_ms, int max_ms)
{
    int64_t wait = max_ms;

    if (failures <= 30 && ((int64_t)min_ms << (failures - 1)) < max_ms)
        wait = (int64_t)min_ms << (failures - 1);
    return wait / 2 + (int64_t)(next_random(loop) % (uint64_t)(wait - wait / 2 + 1));
}
