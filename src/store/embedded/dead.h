/* Dead letters of the embedded store: messages that broke a rule, kept unchanged. Those that may
 * hold a person's address are sealed at rest (seal.h); callers see only opened payloads. One
 * thread, that of the connection. */
#ifndef CM_STORE_EMBEDDED_DEAD_H
#define CM_STORE_EMBEDDED_DEAD_H

#include "store/embedded/database.h"
#include "store/store.h"

/* Walks the letters in order of arrival: all (`id` 0) or one; at most `limit` (0: all). CM_EUSAGE
 * when the one is not there. */
int cm_store_embedded_each_letter(const cm_database_t *database, int64_t id, int64_t limit,
                                  cm_store_letter_fn take, void *context, cm_err_t *err);

#endif
