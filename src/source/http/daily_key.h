/* The key for ids of visitors, which is replaced every day; the old key is destroyed.
 *
 * It is kept in the file `visitors.key` of a data directory, so that visitors keep their ids of the
 * day when the program restarts: 8 bytes "cm-day-1", the day (days since 1970-01-01 in UTC, 8
 * bytes, little endian), 32 random bytes. A new key overwrites the old one in place, and is synced.
 * Any thread may use it. */
#ifndef CM_SOURCE_HTTP_DAILY_KEY_H
#define CM_SOURCE_HTTP_DAILY_KEY_H

#include "base/err.h"
#include "source/visitor.h"

typedef struct cm_daily_key cm_daily_key_t;

/* Opens or creates the file, readable only by its owner, in an existing directory. CM_EIO. */
int cm_daily_key_open(const char *data_dir, cm_daily_key_t **key, cm_err_t *err);

/* Gets the key of a day, and makes a new one when the kept key is of another day. When the clock
 * goes back a little at midnight, the kept key of the next day is used; `*of_day` is the day of the
 * key. CM_EIO when the key cannot be written. */
int cm_daily_key_get(cm_daily_key_t *key, int64_t day, uint8_t bytes[CM_VISITOR_KEY],
                     int64_t *of_day, cm_err_t *err);

void cm_daily_key_close(cm_daily_key_t *key);

#endif
