/* Logging: one line an entry on stderr, `time=... level=... msg="..." key=value`. A debug entry
 * also says `context=...`: the part of the program that took the decision it tells of.
 *
 * The logger is passed in; it may be used by several threads at once (a line is one write). Never
 * log a visitor's address. */
#ifndef CM_BASE_LOG_H
#define CM_BASE_LOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum cm_level {
    CM_LOG_ERROR,
    CM_LOG_WARN,
    CM_LOG_INFO,
    CM_LOG_DEBUG,
} cm_level_t;

/* The parts of the program that have debug entries, in the order of cm_debug_names. */
typedef enum cm_debug_context {
    CM_DEBUG_CONFIG,    /* where settings come from */
    CM_DEBUG_SOURCE,    /* files and synthetic traffic */
    CM_DEBUG_KAFKA,     /* consumer and producer, and what librdkafka reports */
    CM_DEBUG_CQL,       /* connections to Cassandra and its topology */
    CM_DEBUG_CASSANDRA, /* the table and its companions */
    CM_DEBUG_ELASTIC,   /* requests to Elasticsearch, retries */
    CM_DEBUG_STORE,     /* the embedded store */
    CM_DEBUG_MILL,      /* plan and phases of computing answers */
    CM_DEBUG_INDEX,     /* which answers are written where */
    CM_DEBUG_PIPELINE,  /* batches, commits, refreshes */
    CM_DEBUG_SERVE,     /* HTTP connections and requests */
    CM_DEBUG_SPARK,     /* the Spark job */
    CM_DEBUG_COUNT,
} cm_debug_context_t;

typedef struct cm_log {
    cm_level_t level;  /* entries above it are dropped */
    int fd;            /* usually 2 */
    unsigned contexts; /* bits 1 << cm_debug_context_t: debug entries of these alone, at any level;
                          0: of all, at CM_LOG_DEBUG */
} cm_log_t;

/* "config", "source", ...; ends with NULL. */
extern const char *const cm_debug_names[CM_DEBUG_COUNT + 1];

/* Reads "kafka,mill" or "all". CM_EUSAGE with the known names for another word. */
int cm_debug_parse(const char *text, unsigned *contexts, cm_err_t *err);

/* Whether a debug entry of this context would be written: for one that is costly to put together.
 * `log` may be NULL: no. */
static inline bool cm_debugs(const cm_log_t *log, cm_debug_context_t context)
{
    return log != NULL &&
           (log->contexts != 0 ? (log->contexts >> context & 1) != 0 : log->level >= CM_LOG_DEBUG);
}

/* Writes a debug entry, when its context is wanted: one for each decision that matters, such as a
 * plan, a retry, a partition that is given up. Arguments as of cm_log(). `log` may be NULL. */
void cm_debug(const cm_log_t *log, cm_debug_context_t context, const char *msg, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

/* Writes one entry: `msg` is a fixed sentence, `format` gives its key=value pairs (NULL for none),
 * for example cm_log(log, CM_LOG_INFO, "block written", "first=%lld count=%d", ...). */
void cm_log(const cm_log_t *log, cm_level_t level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
