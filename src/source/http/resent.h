/* Recognises events that a page sends again because it got no answer, perhaps from another address.
 * The collector adds a time and a user to events. Copies must have the same user and time to count
 * once (docs/contract.md), so those of the first copy are remembered for a while.
 *
 * About the last 32,768 events are kept, each as a keyed hash of its row key, in 1.5 MiB. Any
 * thread may use it. */
#ifndef CM_SOURCE_HTTP_RESENT_H
#define CM_SOURCE_HTTP_RESENT_H

#include "base/str.h"

typedef struct cm_resent cm_resent_t;

enum { CM_RESENT_USER = 32 }; /* hexadecimal digits of a user id that the collector has made */

/* Never NULL. */
cm_resent_t *cm_resent_new(void);
void cm_resent_free(cm_resent_t *copies);

/* True when an event with this row key is remembered: `*time` and `user` become those of that
 * event. Else remembers the given ones. */
bool cm_resent_find(cm_resent_t *copies, cm_str_t row_key, int64_t *time,
                    char user[CM_RESENT_USER]);

#endif
