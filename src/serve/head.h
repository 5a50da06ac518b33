/* Whether the head of a request can be read in one way only.
 *
 * A head that two readers understand differently hides a request from the proxy in front of us, or
 * makes it take one site for another (RFC 9112, sections 3.2, 5.1, 6 and 11.2). libmicrohttpd lets
 * some of them through, and each release others; so all are looked at here. A pure function of the
 * request's head, for the server's threads. */
#ifndef CM_SERVE_HEAD_H
#define CM_SERVE_HEAD_H

#include <microhttpd.h>
#include <stdbool.h>

/* NULL when the head is in order; else a sentence that says what is not, a constant. `version` is
 * that of the request, "HTTP/1.1". */
const char *cm_head_fault(struct MHD_Connection *connection, const char *version);

/* How strict libmicrohttpd shall be (MHD_OPTION_STRICT_FOR_CLIENT). 1.0 makes another target of a
 * request line with too many blanks, unless it is strict; 0.9 that is strict spoils its answers. */
int cm_head_strictness(void);

/* Whether a method only reads: GET or HEAD. */
bool cm_head_only_reads(const char *method);

/* Whether the head of the request announces a body. */
bool cm_head_has_body(struct MHD_Connection *connection);

#endif
