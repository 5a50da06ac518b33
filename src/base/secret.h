/* Texts of the configuration that shall not stand in it: passwords.
 *
 * In such a text ${NAME} is an environment variable, and file:PATH is what a file holds. Never
 * print what comes out. */
#ifndef CM_BASE_SECRET_H
#define CM_BASE_SECRET_H

#include "base/err.h"
#include "base/str.h"

/* Appends what `text` means to `out`. `where` names the option in the sentence. CM_EUSAGE when a
 * variable is not set or a file cannot be read. */
int cm_secret_read(const char *text, const char *where, cm_buf_t *out, cm_err_t *err);

/* Whether a property of Kafka, Spark and the like that has this name is a secret, as far as names
 * tell. */
bool cm_secret_is_name(cm_str_t name);

/* Whether the text is more than what stands there. */
bool cm_secret_is(const char *text);

#endif
