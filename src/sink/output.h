/* A file or stdout that is written in large pieces. One thread. */
#ifndef CM_SINK_OUTPUT_H
#define CM_SINK_OUTPUT_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_output {
    char *path;
    int fd;
    bool own;     /* cm_output_close() closes the descriptor */
    cm_buf_t buf; /* append here, then cm_output_flush_large() */
} cm_output_t;

/* Opens `path` for writing and empties it ("-": stdout). CM_EIO. */
int cm_output_open(cm_output_t *output, const char *path, cm_err_t *err);

/* Writes the buffer when it has grown large. CM_EIO; CM_ESTOP when a pipe's reader has left. */
int cm_output_flush_large(cm_output_t *output, cm_err_t *err);

/* Writes the buffer, and syncs a file to its disk. */
int cm_output_sync(cm_output_t *output, cm_err_t *err);

void cm_output_close(cm_output_t *output);

#endif
