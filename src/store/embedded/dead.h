/* Dead letters of the embedded store: messages that broke a rule, kept as they came;
 * those that may hold a person's address sealed (seal.h), which shows nowhere here. */
#ifndef CM_STORE_EMBEDDED_DEAD_H
#define CM_STORE_EMBEDDED_DEAD_H

#include "base/str.h"
#include "store/embedded/database.h"

/* A dead letter at rest; its texts live until the callback returns. */
typedef struct cm_store_letter {
    int64_t id;
    int64_t time; /* ms; when it was rejected */
    cm_str_t origin, reason, payload;
} cm_store_letter_t;

/* Called once a letter; non-zero ends the walk and is returned by it. */
typedef int (*cm_store_letter_fn)(void *context, const cm_store_letter_t *letter);

/* Walks the letters in order of arrival: all (`id` 0) or one; at most `limit` (0: all). CM_EUSAGE
 * when the one is not there. */
int cm_store_embedded_each_letter(const cm_database_t *database, int64_t id, int64_t limit,
                                  cm_store_letter_fn take, void *context, cm_err_t *err);

#endif
