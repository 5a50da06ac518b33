/* The embedded store: blocks in one SQLite file, no server.
 *
 * put() collects events in memory; commit() writes them as a block, together with new dictionary
 * texts, dead letters and source positions, in one transaction. Full blocks are written as they
 * fill. Small blocks of a quiet site are merged as they add up. A put() or commit() that fails has
 * rolled back everything since the last commit. One writer at a time, guarded by
 * the data directory's lock; used by one thread, except for cm_store_resolve(). */
#ifndef CM_STORE_EMBEDDED_STORE_H
#define CM_STORE_EMBEDDED_STORE_H

#include "base/clock.h"
#include "store/builder.h"
#include "store/embedded/database.h"
#include "store/store.h"

/* Opens or creates the store of a data directory for writing; takes its lock. `clock` (NULL: the
 * real one) dates dead letters. */
int cm_store_embedded_open(const char *data_dir, const cm_clock_t *clock, cm_store_t **store,
                           cm_err_t *err);

/* As cm_store_open_directory_read(). */
int cm_store_embedded_open_read(const char *data_dir, cm_store_t **store, cm_err_t *err);

/* A reader beside a writer, or without one. CM_EINPUT when there is no store yet. */
int cm_store_embedded_open_reader(const char *data_dir, cm_reader_t **reader, cm_err_t *err);

/* The writer's connection, for what shares its file and its transactions (the embedded index). */
cm_database_t *cm_store_embedded_database(cm_store_t *store);

/* Events committed so far. */
int64_t cm_store_embedded_events(const cm_store_t *store);

/* Events put but not yet committed. */
uint32_t cm_store_embedded_pending(const cm_store_t *store);

/* As cm_store_secret_of() and cm_store_older_keys_of(). */
int cm_store_embedded_secret_of(const char *data_dir, uint8_t secret[CM_STORE_SECRET],
                                cm_err_t *err);
int cm_store_embedded_older_keys_of(const char *data_dir, bool *older, cm_err_t *err);

/* As cm_store_daily(). */
int cm_store_embedded_daily(const cm_database_t *database, bool *daily, cm_err_t *err);

/* Whether the events are of more than one UTC day. */
int cm_store_embedded_several_days(const cm_database_t *database, bool *several, cm_err_t *err);

/* Rolls back everything since the last commit. */
int cm_store_embedded_rollback(cm_store_t *store, cm_err_t *err);

#endif
