/* The embedded store: blocks in one SQLite file, no server.
 *
 * put() collects events in memory; commit() writes them as a block, together with new dictionary
 * texts, dead letters and source positions, in one transaction. Full blocks are written as they
 * fill. Small blocks of a quiet site are merged as they add up. A put() or commit() that fails has
 * taken back everything since the last commit. One writer at a time, guarded by
 * the data directory's lock; used by one thread, but for cm_store_embedded_resolve(). */
#ifndef CM_STORE_EMBEDDED_STORE_H
#define CM_STORE_EMBEDDED_STORE_H

#include "base/clock.h"
#include "base/log.h"
#include "store/builder.h"
#include "store/embedded/database.h"
#include "store/store.h"

/* Opens or creates the store of a data directory for writing; takes its lock. `clock` (NULL: the
 * real one) dates dead letters. */
int cm_store_embedded_open(const char *data_dir, const cm_clock_t *clock, cm_store_t **store,
                           cm_err_t *err);

/* A reader beside a writer, or without one. CM_EINPUT when there is no store yet. */
int cm_store_embedded_open_reader(const char *data_dir, cm_reader_t **reader, cm_err_t *err);

/* The writer's connection, for what shares its file and its transactions (the embedded index). */
cm_database_t *cm_store_embedded_database(cm_store_t *store);

/* For blocks that were built elsewhere (store/load.h): turns a builder's ids into the store's.
 * Another thread may do so while this one appends or commits. */
int cm_store_embedded_resolve(cm_store_t *store, cm_builder_t *builder, cm_err_t *err);

/* Appends an encoded builder's events, and what `rest` has of dead letters and a position (its
 * events are none), to the next commit. */
int cm_store_embedded_append(cm_store_t *store, cm_builder_t *builder, const cm_batch_t *rest,
                             cm_err_t *err);

/* Events committed so far. */
int64_t cm_store_embedded_events(const cm_store_t *store);

/* Events put but not yet committed. */
uint32_t cm_store_embedded_pending(const cm_store_t *store);

/* The stored position of a source, 0 when there is none. */
int cm_store_embedded_position(cm_store_t *store, const char *source, int64_t *position,
                               cm_err_t *err);

/* The data directory's own 32 random bytes (store/embedded/key.h); made on first use. */
int cm_store_embedded_secret(cm_store_t *store, uint8_t secret[32], cm_err_t *err);

/* The same from outside: reads it beside whoever is writing, and makes it when it is not there. */
int cm_store_embedded_secret_of(const char *data_dir, uint8_t secret[32], cm_err_t *err);

/* Records, with the next commit, that the store has user ids which live for one UTC day only. */
int cm_store_embedded_set_daily(cm_store_t *store, cm_err_t *err);

/* Whether that is recorded, and the events are of more than one UTC day: then a count of distinct
 * users over all time counts each visitor once a day. `declared`: the first part is known. */
int cm_store_embedded_counts_days(const cm_database_t *database, bool declared, bool *counts_days,
                                  cm_err_t *err);

/* Whether row keys of access logs are made as the first edition made them, without the site: in a
 * directory whose visitors' key that edition has made, because logs that overlap would else count
 * twice. Decided and recorded the first time; to be asked before the key is made. */
int cm_store_embedded_older_log_keys(cm_store_t *store, bool *older, cm_err_t *err);

/* Whether the user was told what the older way means; and that this is so from now on. */
int cm_store_embedded_older_told(cm_store_t *store, bool *told, cm_err_t *err);
int cm_store_embedded_tell_older(cm_store_t *store, cm_err_t *err);

/* The same as the first, from outside. */
int cm_store_embedded_older_log_keys_of(const char *data_dir, bool *older, cm_err_t *err);

/* From now on other processes of this user may write too, by way of this one: what they have sent
 * is put and committed with each commit, so that these have to come often, whether or not there is
 * anything to commit. `answers`: the answers follow by themselves. Where the file system has no
 * sockets, nothing comes. */
void cm_store_embedded_invite(cm_store_t *store, bool answers, const cm_log_t *log);

/* Forgets a dead letter with the next commit: replay puts its event and deletes it together. */
int cm_store_embedded_forget_dead(cm_store_t *store, int64_t id, cm_err_t *err);

/* Takes back everything since the last commit. */
int cm_store_embedded_rollback(cm_store_t *store, cm_err_t *err);

#endif
