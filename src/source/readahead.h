/* Reads another source ahead: a separate thread fills the next batches while the caller processes
 * one. Parsing and storing an access log take about the same time, so with two processors it is
 * nearly twice as fast.
 *
 * The events are copied, because the other source reuses its memory for the next batch. One thread
 * uses this source; only the new thread uses the other source, until close. */
#ifndef CM_SOURCE_READAHEAD_H
#define CM_SOURCE_READAHEAD_H

#include "source/source.h"

#include <stdatomic.h>

/* Wraps `inner`, which is borrowed and must outlive the new source. CM_EINTERNAL when no thread can
 * be started. */
int cm_readahead_open(cm_source_t *inner, cm_source_t **source, cm_err_t *err);

#endif
