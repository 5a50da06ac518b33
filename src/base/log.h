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

/* The parts of the program that have debug entries: CM_DEBUG_CONFIG and so on, and their names. */
#define CM_DEBUG_CONTEXTS(CONTEXT)                                                                 \
    CONTEXT(CONFIG, "config")       /* where settings come from */                                 \
    CONTEXT(SOURCE, "source")       /* files and synthetic traffic */                              \
    CONTEXT(KAFKA, "kafka")         /* consumer and producer, and what librdkafka reports */       \
    CONTEXT(CQL, "cql")             /* connections to Cassandra and its topology */                \
    CONTEXT(CASSANDRA, "cassandra") /* the table and its companions */                             \
    CONTEXT(ELASTIC, "elastic")     /* requests to Elasticsearch, retries */                       \
    CONTEXT(STORE, "store")         /* the embedded store */                                       \
    CONTEXT(MILL, "mill")           /* plan and phases of computing answers */                     \
    CONTEXT(INDEX, "index")         /* which answers are written where */                          \
    CONTEXT(PIPELINE, "pipeline")   /* batches, commits, refreshes */                              \
    CONTEXT(SERVE, "serve")         /* HTTP connections and requests */                            \
    CONTEXT(SPARK, "spark")         /* the Spark job */

#define CM_DEBUG_CONSTANT(id, name) CM_DEBUG_##id,
typedef enum cm_debug_context {
    CM_DEBUG_CONTEXTS(CM_DEBUG_CONSTANT) CM_DEBUG_COUNT
} cm_debug_context_t;

/* "config, source, ..., " of all contexts, as one literal. */
#define CM_DEBUG_LISTED(id, name) name ", "
#define CM_DEBUG_LIST             CM_DEBUG_CONTEXTS(CM_DEBUG_LISTED)

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
