/* Logging: one line an entry on stderr, `time=... level=... msg="..." key=value`.
 *
 * The logger is passed in; it may be used by several threads at once (a line is one write). Never
 * log a visitor's address. */
#ifndef CM_BASE_LOG_H
#define CM_BASE_LOG_H

#include "base/err.h"

typedef enum cm_level {
    CM_LOG_ERROR,
    CM_LOG_WARN,
    CM_LOG_INFO,
    CM_LOG_DEBUG,
} cm_level_t;

typedef struct cm_log {
    cm_level_t level; /* entries above it are dropped */
    int fd;           /* usually 2 */
} cm_log_t;

/* Writes one entry: `msg` is a fixed sentence, `format` gives its key=value pairs (NULL for none),
 * for example cm_log(log, CM_LOG_INFO, "block written", "first=%lld count=%d", ...). */
void cm_log(const cm_log_t *log, cm_level_t level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
