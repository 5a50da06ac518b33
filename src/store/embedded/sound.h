/* Whether SQLite can read all tables of a store. There is no other way to notice that a page with
 * records without checksums, or the end of a table, is gone. It has a connection of its own, so any
 * thread may call it. */
#ifndef CM_STORE_EMBEDDED_SOUND_H
#define CM_STORE_EMBEDDED_SOUND_H

#include <stdatomic.h>

enum { CM_SOUND_TABLES = 5 };
extern const char *const cm_sound_names[CM_SOUND_TABLES];

/* Bits of the tables that cannot be read as a whole; tables of answers are not checked. No process
 * may be writing; nothing in the directory is changed. `stop` may be NULL; when it is set the
 * result has no meaning. */
unsigned cm_sound_check(const char *data_dir, const atomic_bool *stop);

#endif
