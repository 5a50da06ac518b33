/* A sink that writes events as JSON lines to a file or to stdout. It ignores dead
 * letters, which the caller counts. One thread. */
#ifndef CM_SINK_JSONL_H
#define CM_SINK_JSONL_H

#include "sink/sink.h"

/* Opens `path` for writing ("-": stdout). commit() flushes, and syncs a file to its disk. */
int cm_jsonl_open(const char *path, cm_sink_t **sink, cm_err_t *err);

#endif
