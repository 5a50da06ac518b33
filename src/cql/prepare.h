/* Prepared statements. A statement is prepared on one node at first. Any other node answers
 * UNPREPARED when it meets it (v4 section 9, 0x2500), also one that was restarted; then it is
 * prepared there, once however many calls met that, and the calls are sent again. */
#ifndef CM_CQL_PREPARE_H
#define CM_CQL_PREPARE_H

#include "cql/session.h"

/* The session's statement of that text, prepared or not. */
cm_cql_prepared_t *cm_cql_statement(cm_cql_t *s, cm_str_t text);

/* A call that prepares it; `finish` and `context` are the caller's to set. */
cm_cql_call_t *cm_cql_prepare_call(cm_cql_t *s, cm_cql_prepared_t *prepared);

/* Takes over what PREPARE answered. */
void cm_cql_prepared_update(cm_cql_prepared_t *prepared, const cm_cql_parsed_t *parsed);

/* The node does not know the statement of a call: prepares it there and sends the call again. */
void cm_cql_unprepared(cm_cql_call_t *call, cm_cql_conn_t *conn);

void cm_cql_prepared_free_all(cm_cql_t *s);

#endif
