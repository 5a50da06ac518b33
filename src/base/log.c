#include "base/log.h"

#include "base/clock.h"
#include "base/nearest.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

#define NAME(id, name) [CM_DEBUG_##id] = name,
const char *const cm_debug_names[CM_DEBUG_COUNT + 1] = {CM_DEBUG_CONTEXTS(NAME)};

static int fail_context(const char *name, cm_err_t *err)
{
    const char *near = cm_nearest(name, cm_debug_names);

    return cm_fail(err, CM_EUSAGE,
                   "--debug knows no context \"%.40s\"%s%s%s; there are " CM_DEBUG_LIST "and all",
                   name, near != NULL ? " (did you mean " : "", near != NULL ? near : "",
                   near != NULL ? "?)" : "");
}

int cm_debug_parse(const char *text, unsigned *contexts, cm_err_t *err)
{
    char *copy = cm_strdup(text), *rest = copy, *name;
    int rc = 0;

    *contexts = 0;
    while (rc == 0 && (name = strsep(&rest, ",")) != NULL) {
        int i = 0;
        while (i < CM_DEBUG_COUNT && strcmp(cm_debug_names[i], name) != 0)
            i++;
        if (i < CM_DEBUG_COUNT)
            *contexts |= 1u << i;
        else if (strcmp(name, "all") == 0)
            *contexts |= (1u << CM_DEBUG_COUNT) - 1;
        else
            rc = fail_context(name, err);
    }
    free(copy);
    return rc;
}

static void write_entry(const cm_log_t *log, const char *level, const char *context,
                        const char *msg, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

static void write_entry(const cm_log_t *log, const char *level, const char *context,
                        const char *msg, const char *format, va_list args)
{
    char pairs[1024], line[1400], when[CM_TIME_TEXT];

    pairs[0] = '\0';
    if (format != NULL)
        vsnprintf(pairs, sizeof pairs, format, args);
    cm_time_format(cm_clock_now_ms(NULL), when);
    int len = snprintf(line, sizeof line, "time=%s level=%s%s%s msg=\"%s\"%s%s\n", when, level,
                       context != NULL ? " context=" : "", context != NULL ? context : "", msg,
                       pairs[0] ? " " : "", pairs);
    if (len >= (int)sizeof line) {
        len = (int)sizeof line - 1;
        line[len - 1] = '\n';
    }
    /* A log that cannot be written has no other place to report that. */
    if (write(log->fd, line, (size_t)len) < 0)
        return;
}

void cm_log(const cm_log_t *log, cm_level_t level, const char *msg, const char *format, ...)
{
    va_list args;

    if (level > log->level)
        return;
    va_start(args, format);
    write_entry(log, level_names[level], NULL, msg, format, args);
    va_end(args);
}

void cm_debug(const cm_log_t *log, cm_debug_context_t context, const char *msg, const char *format,
              ...)
{
    va_list args;

    if (!cm_debugs(log, context))
        return;
    va_start(args, format);
    write_entry(log, level_names[CM_LOG_DEBUG], cm_debug_names[context], msg, format, args);
    va_end(args);
}
