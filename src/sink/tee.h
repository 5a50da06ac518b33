/* A sink that gives everything to two others. What is put is durable when both have committed it,
 * the first one first: what the second remembers of the source's positions is then never ahead of
 * the first. Closes neither. */
#ifndef CM_SINK_TEE_H
#define CM_SINK_TEE_H

#include "sink/sink.h"

cm_sink_t *cm_tee_open(cm_sink_t *first, cm_sink_t *second);

#endif
