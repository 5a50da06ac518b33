/* Read access: which requests may read the dashboard, its API, its downloads and the live stream
 * (docs/api.md, "Who may read"). Requests of the collector do not need it.
 *
 * For any thread. Of the secrets only digests are kept. */
#ifndef CM_SERVE_READ_ACCESS_H
#define CM_SERVE_READ_ACCESS_H

#include <microhttpd.h>
#include <stdbool.h>

typedef struct cm_read_access cm_read_access_t;

/* `token`: for programs, as Bearer; `password`: for browsers, as Basic with any user name; each may
 * be NULL. Where both are NULL, `open` says whether all requests may read, or none. Never NULL. */
cm_read_access_t *cm_read_access_new(const char *token, const char *password, bool open);
void cm_read_access_free(cm_read_access_t *access);

/* Whether no request may read, whatever its credentials. */
bool cm_read_access_none(const cm_read_access_t *access);

/* Whether a request may read: CM_READ_ALLOWED, CM_READ_DENIED, or the seconds after which an
 * address that has sent too many wrong secrets may try again. (Connections from this machine itself
 * are not limited, because a proxy there forwards the requests of many clients.) The time of the
 * check does not depend on how much of a secret is right. */
enum { CM_READ_ALLOWED = 0, CM_READ_DENIED = -1 };
int cm_read_access_check(const cm_read_access_t *access, struct MHD_Connection *connection);

/* Replies 401 and says what is missing, or 429; `verdict` is the result of the check. */
enum MHD_Result cm_read_access_refuse(const cm_read_access_t *access, int verdict,
                                      struct MHD_Connection *connection);

/* The sentence for a server whose answers no request may read: in replies and at the start. */
extern const char cm_read_access_closed[];

#endif
