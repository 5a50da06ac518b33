/* The control connection: reads the topology and gets events about changes (v4 4.1.8, 4.2.6).
 *
 * There is one at a time, to any node that accepts it: the known nodes are tried in turn, then the
 * contact points. What it reads is applied as a whole, see topology.h. One thread. */
#ifndef CM_CQL_CONTROL_H
#define CM_CQL_CONTROL_H

#include "cql/session.h"

/* Connects to the next candidate. */
void cm_cql_control_start(cm_cql_t *s);

/* Reads the topology again at `at_ms`, or sooner where that is set. */
void cm_cql_refresh_at(cm_cql_t *s, int64_t at_ms);

#endif
