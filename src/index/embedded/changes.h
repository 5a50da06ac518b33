/* What has changed in the embedded index, for mirrors of it (index/mirror.h).
 *
 * The `updated_at` of rows grows strictly from one change of the answers to the next, also when the
 * clock goes back, and a row that did not change keeps its own. So a mirror that has all changes up
 * to a watermark lacks exactly the rows with a later `updated_at`, and those that vanished (deleted
 * events of Cassandra, copies that no longer count). Table `retired` has the tombstones of vanished
 * rows, as soon as there is a mirror; table `published` has the checkpoint of each mirror.
 *
 * Functions that write do so in their own transaction, and need the writer's connection. One
 * thread, that of the connection. */
#ifndef CM_INDEX_EMBEDDED_CHANGES_H
#define CM_INDEX_EMBEDDED_CHANGES_H

#include "index/index.h"
#include "store/embedded/database.h"

/* Makes the tables and the index over updated_at; from now on vanished rows leave tombstones. */
int cm_index_changes_prepare(const cm_database_t *database, cm_err_t *err);

/* The checkpoint of the mirror with the name `copy`; all zero: there is none. */
int cm_index_changes_checkpoint(const cm_database_t *database, const char *copy,
                                cm_index_checkpoint_t *published, cm_err_t *err);

/* Also deletes the tombstones that no mirror needs any more. */
int cm_index_changes_set_checkpoint(const cm_database_t *database, const char *copy,
                                    const cm_index_checkpoint_t *published, cm_err_t *err);

/* Forgets all checkpoints: the next push of each mirror compares all rows. */
int cm_index_changes_forget(const cm_database_t *database, cm_err_t *err);

/* The `updated_at` of the latest change; 0: there are no answers. */
int cm_index_changes_latest(const cm_database_t *database, int64_t *latest, cm_err_t *err);

/* How many rows changed in (since, watermark]. */
int cm_index_changes_count(const cm_database_t *database, int64_t since, int64_t watermark,
                           int64_t *count, cm_err_t *err);

/* Calls `row` for every row of every dimension and window with updated_at in (since, watermark], in
 * no order; with `since` 0 for all. Reads page by page: no transaction is open while `row` runs,
 * and a row that changes meanwhile has a later updated_at, so that it may be left out or come as it
 * is then. */
int cm_index_changes_each(const cm_database_t *database, int64_t since, int64_t watermark,
                          cm_answer_fn row, void *context, cm_err_t *err);

/* The same for rows that vanished; their measures are zero. A row that exists again has no
 * tombstone. */
int cm_index_changes_tombstones(const cm_database_t *database, int64_t since, int64_t watermark,
                                cm_answer_fn row, void *context, cm_err_t *err);

#endif
