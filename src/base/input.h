/* A stream of bytes to read: a file or standard input, plain or compressed.
 *
 * gzip (also several members behind each other) and zstd (also several frames) are recognised by
 * their first bytes, whatever the name says, and unpacked on the way. An input owns its file
 * descriptor and its buffers; one thread at a time. All offsets count bytes of the file as it
 * lies on the disk. */
#ifndef CM_BASE_INPUT_H
#define CM_BASE_INPUT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cm_input cm_input_t;

/* A read from a silent pipe gives up after this time, so that the reader can look around. */
enum { CM_INPUT_PATIENCE_MS = 250 };

/* Opens the file at `path`, "-" is standard input. CM_EINPUT when it is missing, a directory or
 * not readable. Only opens: the first read finds out about compression. */
int cm_input_open(const char *path, cm_input_t **input, cm_err_t *err);

/* Reads up to `cap` unpacked bytes. 1: `*got` bytes were read, 0 bytes when a pipe was silent for
 * CM_INPUT_PATIENCE_MS, a signal came, or nothing could be unpacked yet; 0: the end; CM_EINPUT when
 * the file cannot be read, is truncated or corrupt, and again on every later call. Whatever could
 * be unpacked before that has been handed out, but of a corrupt zstd frame not always the last
 * portion: its library does not say how much of it is good. */
int cm_input_read(cm_input_t *input, void *buffer, size_t cap, size_t *got, cm_err_t *err);

/* True when the bytes come as they lie in the file; known after the first read. */
bool cm_input_is_plain(const cm_input_t *input);

/* True for a file that can be opened and read again from its start, false for a pipe. */
bool cm_input_is_regular(const cm_input_t *input);

/* Bytes of the file consumed so far, and its size or 0 where that is not known. */
void cm_input_progress(const cm_input_t *input, uint64_t *done, uint64_t *total);

/* Frees the input; NULL is allowed. */
void cm_input_close(cm_input_t *input);

#endif
