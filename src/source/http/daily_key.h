/* The key of visitors that is renewed every day and then forgotten.
 *
 * Kept in the file `visitors.key` of a data directory, so that a restart does not make new visitors
 * of a day's old ones: 8 bytes "cm-day-1", the day (days since 1970-01-01, UTC, 8 bytes, the lowest
 * first), 32 random bytes. A new key is written over the old one in place, and synced. For any
 * thread. */
#ifndef CM_SOURCE_HTTP_DAILY_KEY_H
#define CM_SOURCE_HTTP_DAILY_KEY_H

#include "base/err.h"
#include "source/visitor.h"

typedef struct cm_daily_key cm_daily_key_t;

/* Opens or makes the file, readable by its owner alone, in a directory that is there. CM_EIO. */
int cm_daily_key_open(const char *data_dir, cm_daily_key_t **key, cm_err_t *err);

/* The key of that day, renewed when one of another day is kept; but a clock that goes back a little
 * at midnight finds the next day's. `*of_day` says whose it is. CM_EIO when it cannot be kept. */
int cm_daily_key_get(cm_daily_key_t *key, int64_t day, uint8_t bytes[CM_VISITOR_KEY],
                     int64_t *of_day, cm_err_t *err);

void cm_daily_key_close(cm_daily_key_t *key);

#endif
