/* Replies: a body, its headers, and the headers that every reply of the server has.
 *
 * Functions return what libmicrohttpd's handler must return; MHD_NO closes the connection. They are
 * for the thread of the connection. */
#ifndef CM_SERVE_REPLY_H
#define CM_SERVE_REPLY_H

#include "base/str.h"

#include <microhttpd.h>

/* Adds the security headers of every reply. */
void cm_reply_secure(struct MHD_Response *response);

/* The same for a reply that pages of other sites may load as well. */
void cm_reply_secure_public(struct MHD_Response *response);

/* Adds only those of them that are needed on replies which are not pages. */
void cm_reply_secure_least(struct MHD_Response *response);

/* Replies 200 with a body that is not cached but has an entity tag, or 304 when the client has this
 * body already. Takes the buffer's memory. */
enum MHD_Result cm_reply_data(struct MHD_Connection *connection, const char *type, cm_buf_t *body);

/* A body that replies to several clients share: the last holder frees it. For any thread. */
typedef struct cm_reply_body cm_reply_body_t;

/* Takes the buffer's memory; the caller is the one holder. */
cm_reply_body_t *cm_reply_body_new(cm_buf_t *text);

/* One more holder. Returns the body. */
cm_reply_body_t *cm_reply_body_hold(cm_reply_body_t *body);
void cm_reply_body_release(cm_reply_body_t *body);
size_t cm_reply_body_length(const cm_reply_body_t *body); /* in bytes */

/* As cm_reply_data(), with this (quoted) tag, which the content may decide without being hashed;
 * NULL: it is hashed. The reply holds the body until it is sent. */
enum MHD_Result cm_reply_shared(struct MHD_Connection *connection, const char *type,
                                const char *tag, cm_reply_body_t *body);

/* Replies {"error": sentence} with the status. */
enum MHD_Result cm_reply_error(struct MHD_Connection *connection, unsigned status,
                               const char *sentence);

/* The same, and closes the connection. */
enum MHD_Result cm_reply_last(struct MHD_Connection *connection, unsigned status,
                              const char *sentence);

/* The same with Retry-After, for 429 or 503; the connection stays open. */
enum MHD_Result cm_reply_later(struct MHD_Connection *connection, unsigned status,
                               const char *sentence, int seconds);

/* The same with 401 and the credentials that are accepted: values of WWW-Authenticate, at most
 * CM_REPLY_CHALLENGES, with NULL after the last. */
enum { CM_REPLY_CHALLENGES = 2 };
enum MHD_Result cm_reply_challenge(struct MHD_Connection *connection, const char *sentence,
                                   const char *const challenges[]);

/* The same with 405 and the methods that are allowed. */
enum MHD_Result cm_reply_method(struct MHD_Connection *connection);

/* True when the request's If-None-Match names the (quoted) tag. */
bool cm_reply_matches(struct MHD_Connection *connection, const char *tag);

/* Replies 301: the resource is at that location. */
enum MHD_Result cm_reply_redirect(struct MHD_Connection *connection, const char *location);

/* Appends {"error": sentence}, the body of every error, and a newline. */
void cm_reply_add_error(cm_buf_t *body, const char *sentence);

#endif
