/* The lock of a data directory: the file `lock`, which its only writer has locked with flock(2).
 *
 * The file has the id of the process that holds the lock or held it last, or says that the store
 * was closed. The lock belongs to the kernel: it is released when the process ends, for whatever
 * reason. Any thread. */
#ifndef CM_STORE_EMBEDDED_LOCK_H
#define CM_STORE_EMBEDDED_LOCK_H

#include "base/err.h"

#include <stdbool.h>

/* Takes the lock, or waits two seconds for a process that holds it only for a moment, as `process
 * --every` does. `*fd` is closed by the caller, which releases the lock. `*was_closed`: the process
 * that had the lock last has closed the store. CM_EBUSY names the process that has the lock;
 * CM_EIO. */
int cm_lock_take(const char *data_dir, int *fd, bool *was_closed, cm_err_t *err);

/* Writes into the file that the store was closed. */
void cm_lock_note_closed(int fd);

/* Keeps writers out, also those of other mounts and users, until `*fd` is closed by the caller; -1
 * where there is no file `lock`. Nothing is written. False when a writer has the lock. */
bool cm_lock_keep_out(const char *data_dir, int *fd);

/* Whether a writer has the lock. */
bool cm_lock_is_taken(const char *data_dir);

#endif
