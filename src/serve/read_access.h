/* Who may read: the dashboard, its API, its downloads and the live stream (docs/api.md, "Who may
 * read"). What goes with collecting is none of its business.
 *
 * For any thread. What was given is kept as a digest only. */
#ifndef CM_SERVE_READ_ACCESS_H
#define CM_SERVE_READ_ACCESS_H

#include <microhttpd.h>
#include <stdbool.h>

typedef struct cm_read_access cm_read_access_t;

/* `token`: for programs, as Bearer; `password`: for browsers, as Basic with any user name; each may
 * be NULL. Where both are, `open` says whether everybody may read, or nobody. Never NULL. */
cm_read_access_t *cm_read_access_new(const char *token, const char *password, bool open);
void cm_read_access_free(cm_read_access_t *readers);

/* Whether nobody may read, whatever he sends. */
bool cm_read_access_none(const cm_read_access_t *readers);

/* Whether the sender of this request may: CM_READ_ALLOWED, CM_READ_DENIED, or the seconds after
 * which an address that has guessed too often may guess again. (Not so on this machine itself: a
 * proxy speaks for many.) The time it takes does not depend on how much of a secret is right. */
enum { CM_READ_ALLOWED = 0, CM_READ_DENIED = -1 };
int cm_read_access_check(const cm_read_access_t *readers, struct MHD_Connection *connection);

/* Replies 401 and says what is missing, or 429; `verdict` is what was said of him. */
enum MHD_Result cm_read_access_refuse(const cm_read_access_t *readers, int verdict,
                                      struct MHD_Connection *connection);

/* What is said when nobody may read, here and at the start. */
extern const char cm_read_access_closed[];

#endif
