/* Events that come twice, though the collector makes a part of them: a page sends an event again
 * when it has seen no answer, perhaps from another address by then. Copies must have one user and
 * time to count once (docs/contract.md): so those of the first one are remembered for a while.
 *
 * Kept are the last 32,768 events or so, each as a keyed hash of its row key, in 1.5 MiB. For any
 * thread. */
#ifndef CM_SOURCE_HTTP_RESENT_H
#define CM_SOURCE_HTTP_RESENT_H

#include "base/str.h"

typedef struct cm_resent cm_resent_t;

enum { CM_RESENT_USER = 32 }; /* hexadecimal digits of a user that the collector has named */

/* Never NULL. */
cm_resent_t *cm_resent_new(void);
void cm_resent_free(cm_resent_t *copies);

/* When an event with this row key is remembered, true: `*time` and `user` become its own. Else
 * remembers them as they are. */
bool cm_resent_find(cm_resent_t *copies, cm_str_t row_key, int64_t *time,
                    char user[CM_RESENT_USER]);

#endif
