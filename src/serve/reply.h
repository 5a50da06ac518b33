/* Replies: a body, its headers, and what every reply of the server carries.
 *
 * Functions return what libmicrohttpd's handler must return; MHD_NO closes the connection. */
#ifndef CM_SERVE_REPLY_H
#define CM_SERVE_REPLY_H

#include "base/str.h"

#include <microhttpd.h>

/* Adds the security headers that every reply carries. */
void cm_reply_secure(struct MHD_Response *response);

/* The same for a reply that pages of other sites may load as well. */
void cm_reply_secure_public(struct MHD_Response *response);

/* Of these, those that a reply carries which is no page either; the others add them, too. */
void cm_reply_secure_least(struct MHD_Response *response);

/* Replies 200 with a body that is never cached but has an entity tag: 304 when the client has it
 * already. Takes the buffer's memory. */
enum MHD_Result cm_reply_data(struct MHD_Connection *connection, const char *type, cm_buf_t *body);

/* Replies {"error": sentence} with the status. */
enum MHD_Result cm_reply_error(struct MHD_Connection *connection, unsigned status,
                               const char *sentence);

/* The same, and the connection ends. */
enum MHD_Result cm_reply_last(struct MHD_Connection *connection, unsigned status,
                              const char *sentence);

/* The same with a Retry-After: 429 or 503; the connection goes on. */
enum MHD_Result cm_reply_later(struct MHD_Connection *connection, unsigned status,
                               const char *sentence, int seconds);

/* The same with 401 and what credentials there may be: values of WWW-Authenticate, NULL behind the
 * last of at most CM_REPLY_CHALLENGES. */
enum { CM_REPLY_CHALLENGES = 2 };
enum MHD_Result cm_reply_challenge(struct MHD_Connection *connection, const char *sentence,
                                   const char *const challenges[]);

/* The same with 405 and the methods that are allowed. */
enum MHD_Result cm_reply_method(struct MHD_Connection *connection);

/* True when the request's If-None-Match names the (quoted) tag. */
bool cm_reply_matches(struct MHD_Connection *connection, const char *tag);

/* Replies 301: the resource is there. */
enum MHD_Result cm_reply_redirect(struct MHD_Connection *connection, const char *location);

/* Appends {"error": sentence}, as every refusal has it, and a newline. */
void cm_reply_add_error(cm_buf_t *body, const char *sentence);

#endif
