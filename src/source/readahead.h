/* Reading ahead: another source's batches, made by a thread of its own while the caller works on
 * the one before. Parsing and storing an access log take about the same time, so that two
 * processors do it nearly twice as fast.
 *
 * The events are copied out of the other source's memory, which it uses again for its next batch.
 * The caller's side is used by one thread; the other source by the new one only, until close. */
#ifndef CM_SOURCE_READAHEAD_H
#define CM_SOURCE_READAHEAD_H

#include "source/source.h"

#include <stdatomic.h>

/* Wraps `inner`, which is borrowed and must outlive the new source. CM_EINTERNAL when there is no
 * thread to be had. */
int cm_readahead_open(cm_source_t *inner, cm_source_t **source, cm_err_t *err);

#endif
