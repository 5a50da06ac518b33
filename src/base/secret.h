/* Secrets of the configuration, such as passwords, which are kept outside of it.
 *
 * In such a value ${NAME} means an environment variable, and file:PATH the contents of a file.
 * Never print the result. The functions keep nothing; the result belongs to the caller's buffer.
 * For any thread. */
#ifndef CM_BASE_SECRET_H
#define CM_BASE_SECRET_H

#include "base/err.h"
#include "base/str.h"

/* Appends the value that `text` means to `out`. `where` names the option in the message. CM_EUSAGE
 * when a variable is not set or a file cannot be read. */
int cm_secret_read(const char *text, const char *where, cm_buf_t *out, cm_err_t *err);

/* Whether a property of Kafka, Spark or similar is a secret, judged by its name. */
bool cm_secret_is_name(cm_str_t name);

/* Whether the text means something else than itself: it has ${NAME} or file:PATH. */
bool cm_secret_is(const char *text);

#endif
