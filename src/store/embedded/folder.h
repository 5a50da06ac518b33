/* The folder of a data directory: how it and its files are made, who may read them, and when their
 * names are on the disk. Any thread. */
#ifndef CM_STORE_EMBEDDED_FOLDER_H
#define CM_STORE_EMBEDDED_FOLDER_H

#include "base/err.h"

/* Makes the folder and those above it where they are missing, the last one for this user alone, and
 * its name durable. CM_EUSAGE without a name, CM_EIO. */
int cm_folder_make(const char *path, cm_err_t *err);

/* Makes a file for this user alone where it is missing, and takes from others the rights that
 * earlier editions gave them to files of the folder. CM_EIO. */
int cm_folder_make_file(const char *data_dir, const char *name, cm_err_t *err);

/* Makes the names in a folder durable. CM_EIO. */
int cm_folder_sync(const char *path, cm_err_t *err);

/* For a process of root that has made a file in a folder of another user: gives it the owner of
 * `neighbour`, a file or folder of the store, as SQLite does with its own files. Otherwise that
 * user could not open it again. */
void cm_folder_give(int fd, const char *neighbour);

#endif
