/* The signals of the process, as flags that commands read.
 *
 * A signal handler can reach nothing but globals: those of signals.c are the only ones of the
 * program. They are atomic, so that a handler, which runs in any thread, can set them. */
#ifndef CM_CMD_SIGNALS_H
#define CM_CMD_SIGNALS_H

#include "cmd/app.h"

/* Installs the handlers and gives the app their flags. */
void cm_signals_catch(cm_app_t *app);

/* For a command that `renews`: SIGHUP that a process has sent only counts hangups. */
void cm_signals_renew_on_hangup(void);

#endif
