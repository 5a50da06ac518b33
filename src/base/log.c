#include "base/log.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void cm_log(const cm_log_t *log, cm_level_t level, const char *msg, const char *format, ...)
{
    char pairs[1024], line[1400], when[CM_TIME_TEXT];
    va_list args;

    if (level > log->level)
        return;
    pairs[0] = '\0';
    if (format != NULL) {
        va_start(args, format);
        vsnprintf(pairs, sizeof pairs, format, args);
        va_end(args);
    }
    cm_time_format(cm_clock_now_ms(NULL), when);
    int len = snprintf(line, sizeof line, "time=%s level=%s msg=\"%s\"%s%s\n", when,
                       level_names[level], msg, pairs[0] ? " " : "", pairs);
    if (len >= (int)sizeof line) {
        len = (int)sizeof line - 1;
        line[len - 1] = '\n';
    }
    /* A log that cannot be written has nowhere left to say so. */
    if (write(log->fd, line, (size_t)len) < 0)
        return;
}
