/* A store in memory, for answers that are computed only once: nothing is kept on disk.
 *
 * Only what the mill reads is stored: user, time, url, country, row keys and the optional fields.
 * Of city, browser, os and device only the number of stated ones is kept: when read, so many are
 * `stated`, the others `Unknown`. This decides which of several copies counts. It does not where
 * two copies have one url, one country and the same number of stated fields, only one is a page
 * view, and the texts of those four would decide. What is put can be read at once. Once the store
 * holds so many events that it is worth the time, row keys that follow from user and time are
 * dropped (cm_store_t.frugal): 16 bytes of 26 an event. Readers may be used by several threads
 * while nothing is put. */
#ifndef CM_STORE_MEMORY_H
#define CM_STORE_MEMORY_H

#include "store/builder.h"
#include "store/store.h"

/* A new, empty store; its sink counts dead letters but does not keep them. */
cm_store_t *cm_memory_new(void);

#endif
