/* A sink that gives everything to two other sinks. What is put is durable when both have committed
 * it. The first one commits first, so that the positions that the second one keeps are never ahead
 * of the first. It borrows both, and closes neither. One thread. */
#ifndef CM_SINK_TEE_H
#define CM_SINK_TEE_H

#include "sink/sink.h"

/* The caller closes the tee before the two sinks. */
cm_sink_t *cm_tee_open(cm_sink_t *first, cm_sink_t *second);

#endif
