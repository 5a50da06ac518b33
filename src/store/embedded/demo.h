/* The directory of the demonstration: DATA/demo, whose events are all synthetic, or clicks in the
 * demo shop. It is a data directory like any other, with a mark in it, so that a page that shows
 * its answers can say what they are. For any thread. */
#ifndef CM_STORE_EMBEDDED_DEMO_H
#define CM_STORE_EMBEDDED_DEMO_H

#include "base/err.h"

#include <stdbool.h>

/* "DATA/demo"; the caller frees it. */
char *cm_demo_directory(const char *data_dir);

/* Marks a data directory, which is there, as synthetic. CM_EIO. */
int cm_demo_mark(const char *data_dir, cm_err_t *err);

/* Whether a data directory is marked. */
bool cm_demo_marked(const char *data_dir);

/* Whether there is a store in DATA/demo. */
bool cm_demo_is_there(const char *data_dir);

/* Whether the store of a data directory has no event, and there is one in DATA/demo, which may be
 * the one that is looked for. */
bool cm_demo_is_meant(const char *data_dir);

/* Whether there is a store in DATA/demo, and none in DATA. */
bool cm_demo_is_alone(const char *data_dir);

#endif
