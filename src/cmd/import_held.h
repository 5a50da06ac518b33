/* How `import` gets at the store of a directory that another process may hold. */
#ifndef CM_CMD_IMPORT_HELD_H
#define CM_CMD_IMPORT_HELD_H

#include "cmd/load.h"

/* Opens the store of the data directory in `into->store`, or where another process holds it and
 * shares it, a way to that process; with the visitors' key. CM_EBUSY when it is not shared. The
 * caller closes the store. */
int cm_import_open(cm_app_t *app, cm_load_into_t *into);

/* After all files, where another process holds the directory: prints the account, and says who has
 * stored the events. Where that one keeps the answers, waits for them (`process`), for a while.
 * Returns `rc`, what reading has come to. */
int cm_import_end_held(cm_app_t *app, const cm_load_into_t *into, const cm_account_t *account,
                       bool process, int rc);

#endif
