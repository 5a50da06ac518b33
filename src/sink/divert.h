/* Divides batches between two sinks: events and positions go to one, dead letters to the other.
 *
 * Dead letters are durable before anything of their batch is given to the sink of events. So a
 * process that resumes from that sink's positions has lost no dead letter. Owns neither of the two
 * sinks. One thread. */
#ifndef CM_SINK_DIVERT_H
#define CM_SINK_DIVERT_H

#include "sink/sink.h"

/* `dead` takes the dead letters, `events` everything else. */
cm_sink_t *cm_divert_open(cm_sink_t *events, cm_sink_t *dead);

#endif
