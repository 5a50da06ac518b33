/* Routing: which connection a call takes.
 *
 * First a replica of its row in the local data centre, the primary before the others; then any node
 * there, in turn; then, unless local_only forbids it, the rest of the cluster. In each of these
 * groups silent nodes come last. Of the connections of a node, the one with the fewest requests in
 * flight is taken. The session owns the connections. One thread. */
#ifndef CM_CQL_ROUTE_H
#define CM_CQL_ROUTE_H

#include "cql/session.h"

/* The connection that a call should take now; NULL when none has a free stream. */
cm_cql_conn_t *cm_cql_route(cm_cql_t *s, const cm_cql_call_t *call);

/* The same for a copy of a call that `call->avoid` has not answered: another node that has the row
 * and is not silent; NULL when there is none. */
cm_cql_conn_t *cm_cql_route_copy(cm_cql_t *s, const cm_cql_call_t *call);

/* The token of bound values; false when the partition key is not bound. */
bool cm_cql_values_token(const cm_cql_prepared_t *prepared, const cm_cql_value_t *values,
                         int64_t *token);

/* The index of the node to which a row should go: its first replica in the local data centre; -1:
 * any. */
int cm_cql_primary(cm_cql_t *s, cm_cql_prepared_t *prepared, int64_t token);

#endif
