/* Calls on their way: from submission to their end, with time-outs and retries between. call.h says
 * in which places a call can be. The session owns the calls and frees them. One thread. */
#ifndef CM_CQL_DISPATCH_H
#define CM_CQL_DISPATCH_H

#include "cql/session.h"

/* Whether another request of the user's is taken: 0, CM_EBUSY when too many are in flight,
 * CM_EUSAGE when the session has failed. */
int cm_cql_admit(cm_cql_t *s, cm_err_t *err);

/* A call of the user's with the request's settings (NULL: the default ones). Nothing is sent. NULL
 * when there is no memory. */
cm_cql_call_t *cm_cql_call_new(cm_cql_t *s, int opcode, const cm_cql_request_t *request);
void cm_cql_call_free(cm_cql_call_t *call);

/* Sends it to a connection, or queues it. If that fails, its `finish` gets the error later, from
 * within cm_cql_run(); that of a pinned call gets it at once. */
void cm_cql_call_submit(cm_cql_call_t *call);

/* Its attempt has failed: tries again later where that is allowed, or finishes it. */
void cm_cql_call_failed(cm_cql_call_t *call, const cm_cql_error_t *error);

/* Takes it out of its place without ending it. */
void cm_cql_call_detach(cm_cql_call_t *call);

/* Frees it wherever it is, without a callback. */
void cm_cql_call_drop(cm_cql_call_t *call);

/* Sends what is queued as far as there are free streams. */
void cm_cql_queue_drain(cm_cql_t *s);

/* Ends every call that is queued or resting with `error`. */
void cm_cql_calls_end(cm_cql_t *s, const cm_cql_error_t *error);

/* The first connect has failed for a reason that does not pass: all calls fail, and nothing is
 * tried any more. */
void cm_cql_give_up(cm_cql_t *s, const cm_cql_error_t *error);

/* Frees the freed calls that were kept for the next. */
void cm_cql_calls_free(cm_cql_t *s);

#endif
