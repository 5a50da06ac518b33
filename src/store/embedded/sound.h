/* Whether SQLite can read all of a store's tables. Records that have no checksum leave no other
 * trace when their page is gone, and neither does the end of a table. */
#ifndef CM_STORE_EMBEDDED_SOUND_H
#define CM_STORE_EMBEDDED_SOUND_H

#include <stdatomic.h>

enum { CM_SOUND_TABLES = 5 };
extern const char *const cm_sound_names[CM_SOUND_TABLES];

/* Bits of the tables that cannot be read as a whole; those of answers are not looked at. Nobody may
 * be writing; nothing in the directory is changed. `stop` may be NULL: what comes when it is set
 * says nothing. */
unsigned cm_sound_check(const char *data_dir, const atomic_bool *stop);

#endif
