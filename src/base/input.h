/* An input: a file or standard input, plain or compressed.
 *
 * gzip (also with several members) and zstd (also with several frames) are recognised by their
 * first bytes, not by the name, and are decompressed. An input owns its file descriptor and its
 * buffers and is used by one thread at a time. All offsets count bytes of the file on the disk,
 * before decompression. */
#ifndef CM_BASE_INPUT_H
#define CM_BASE_INPUT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cm_input cm_input_t;

/* A read from a pipe that sends nothing returns after this time, so that the reader can do other
 * work. */
enum { CM_INPUT_TIMEOUT_MS = 250 };

/* Opens the file at `path`; "-" is standard input. CM_EINPUT when it is missing, a directory or not
 * readable. It reads nothing: compression is found by the first read. */
int cm_input_open(const char *path, cm_input_t **input, cm_err_t *err);

/* Reads up to `cap` decompressed bytes. 1: `*got` bytes were read; they are 0 when a pipe sent
 * nothing for CM_INPUT_TIMEOUT_MS, a signal came, or nothing could be decompressed yet. 0: the end.
 * CM_EINPUT when the file cannot be read, is truncated or corrupt, and again in each later call.
 * All bytes before the error have been returned by then, except sometimes the last portion of a
 * corrupt zstd frame: its library does not say how much of it is good. */
int cm_input_read(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err);

/* True when the file is not compressed; known after the first read. */
bool cm_input_is_plain(const cm_input_t *input);

/* True for a file that can be opened and read again from its start, false for a pipe. */
bool cm_input_is_regular(const cm_input_t *input);

/* How many bytes of the file are consumed, and its size, or 0 when that is not known. */
void cm_input_progress(const cm_input_t *input, uint64_t *done, uint64_t *total);

/* Frees the input; NULL is allowed. */
void cm_input_close(cm_input_t *input);

#endif
