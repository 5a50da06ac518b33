/* A sink of two: events and positions go to one, dead letters to another.
 *
 * Dead letters are durable before anything of their batch is given to the other sink, so that
 * whoever goes by that one's positions has lost none. Owns neither of the two. One thread. */
#ifndef CM_SINK_DIVERT_H
#define CM_SINK_DIVERT_H

#include "sink/sink.h"

/* `events` takes all but the dead letters, which `dead` takes. */
cm_sink_t *cm_divert_open(cm_sink_t *events, cm_sink_t *dead);

#endif
