/* The topology: the contents of system.local, system.peers and system_schema.keyspaces. They are
 * first gathered in a draft, then applied as a whole, so that routing never uses half of them. The
 * session owns both. One thread. */
#ifndef CM_CQL_TOPOLOGY_H
#define CM_CQL_TOPOLOGY_H

#include "cql/session.h"

/* Forgets what was gathered. */
void cm_cql_draft_clear(cm_cql_draft_t *draft);

/* Take the rows of the three tables. False when there is no memory. */
bool cm_cql_draft_local(cm_cql_t *s, const cm_cql_result_t *result);
bool cm_cql_draft_peers(cm_cql_t *s, const cm_cql_result_t *result);
bool cm_cql_draft_keyspaces(cm_cql_t *s, const cm_cql_result_t *result);

/* Makes the draft the session's topology. Returns CM_CQL_OK; CM_CQL_MEMORY when the draft could not
 * be applied, or the replicas are not known, because there is no memory; or CM_CQL_INVALID and
 * fills `error` when the session is to keep to a data centre that is not there (it would wait
 * without end). */
cm_cql_code_t cm_cql_draft_apply(cm_cql_t *s, cm_cql_error_t *error);

void cm_cql_topology_free(cm_cql_t *s);

#endif
