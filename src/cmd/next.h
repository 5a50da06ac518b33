/* The command to run next, as a user types it. Appended to the caller's buffer. Any
 * thread. */
#ifndef CM_CMD_NEXT_H
#define CM_CMD_NEXT_H

#include "cmd/app.h"

/* Appends a word of a command line, in quotes where a shell needs them; control characters of a
 * terminal are replaced. */
void cm_next_add_word(cm_buf_t *buf, cm_str_t word);

/* Appends "clickmill COMMAND", with --data unless the data directory is the default one. */
void cm_next_add(cm_buf_t *buf, const cm_app_t *app, const char *command);

#endif
