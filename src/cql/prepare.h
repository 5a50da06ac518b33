/* Prepared statements. A statement is prepared on one node at first. Any other node, and a node
 * that was restarted, answers UNPREPARED (v4 section 9, 0x2500); then the statement is prepared
 * there, once for all calls that got this answer, and the calls are sent again. The session owns
 * its statements. One thread. */
#ifndef CM_CQL_PREPARE_H
#define CM_CQL_PREPARE_H

#include "cql/session.h"

/* The session's statement of that text, prepared or not; NULL when there is no memory. */
cm_cql_prepared_t *cm_cql_statement(cm_cql_t *s, cm_str_t text);

/* A call for cm_cql_prepare() and cm_cql_prepare_wait(): it prepares `text` for the user, and is
 * not submitted yet. CM_EBUSY, CM_EUSAGE, CM_ENOMEM. */
int cm_cql_prepare_new(cm_cql_t *s, cm_str_t text, cm_cql_prepared_t **prepared, cm_cql_done_t done,
                       void *context, cm_cql_call_t **call, cm_err_t *err);

/* A call that prepares it; the caller sets `finish` and `context`. NULL when there is no memory. */
cm_cql_call_t *cm_cql_prepare_call(cm_cql_t *s, cm_cql_prepared_t *prepared);

/* Takes over the answer to PREPARE, which is the loop's `parsed`. False with the reason, and the
 * statement is as it was, when it was answered with something else, or when there is no memory. */
bool cm_cql_prepared_update(cm_cql_prepared_t *prepared, cm_cql_loop_t *loop,
                            cm_cql_error_t *error);

/* The node does not know the statement of a call: prepares it there and sends the call again. */
void cm_cql_unprepared(cm_cql_call_t *call, cm_cql_conn_t *conn);

void cm_cql_prepared_free_all(cm_cql_t *s);

#endif
