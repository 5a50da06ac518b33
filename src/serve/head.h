/* Checks of the head of a request: whether it can be read in one way only.
 *
 * A head that a proxy and this server understand differently can hide a second request from the
 * proxy, or send the request to another site (RFC 9112, sections 3.2, 5.1, 6 and 11.2).
 * libmicrohttpd accepts some of these heads, and each release accepts other ones, so all are
 * checked here. Pure functions of the request's head, for the server's threads. */
#ifndef CM_SERVE_HEAD_H
#define CM_SERVE_HEAD_H

#include <microhttpd.h>
#include <stdbool.h>

/* NULL when the head is correct; else a constant sentence that says what is wrong. `version` is
 * that of the request, "HTTP/1.1". */
const char *cm_head_fault(struct MHD_Connection *connection, const char *version);

/* How strict libmicrohttpd has to be (MHD_OPTION_STRICT_FOR_CLIENT). Unless it is strict, 1.0 reads
 * another target from a request line with too many blanks; a strict 0.9 damages its answers. */
int cm_head_strictness(void);

/* Whether a method only reads: GET or HEAD. */
bool cm_head_only_reads(const char *method);

/* Whether the head of the request announces a body. */
bool cm_head_has_body(struct MHD_Connection *connection);

#endif
