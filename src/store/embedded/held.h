/* A data directory that another process holds, seen from a process that writes into it: a sink that
 * hands its batches to the holder (holder.h), which stores them and answers commits. Used by one
 * thread. */
#ifndef CM_STORE_EMBEDDED_HELD_H
#define CM_STORE_EMBEDDED_HELD_H

#include "sink/sink.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

/* Connects to the holder of a data directory. `*sink` is NULL, and the result 0, where no holder
 * listens: it has ended, or is one that takes nothing. Once `stop` is true, and nothing has come
 * from the holder for some seconds, waiting for it ends. `messages` are told that a wait is long.
 * CM_EBUSY: the holder refuses. */
int cm_held_open(const char *data_dir, const atomic_bool *stop, FILE *messages, cm_sink_t **sink,
                 cm_err_t *err);

/* The visitors' key of the directory, and how row keys of access logs are made there
 * (cm_store_embedded_older_log_keys()). */
const uint8_t *cm_held_secret(const cm_sink_t *sink);
bool cm_held_older_log_keys(const cm_sink_t *sink);

/* As cm_store_embedded_older_told() and cm_store_embedded_tell_older(). */
bool cm_held_older_told(const cm_sink_t *sink);
int cm_held_tell_older(cm_sink_t *sink, cm_err_t *err);

/* Whether the holder keeps the answers up to date; and its process. */
bool cm_held_answers(const cm_sink_t *sink);
long cm_held_process(const cm_sink_t *sink);

/* As cm_store_embedded_position(). CM_EBUSY where another process is importing the same. */
int cm_held_position(cm_sink_t *sink, const char *source, int64_t *position, cm_err_t *err);

#endif
