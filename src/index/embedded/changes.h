/* What has changed in the embedded index, for a copy of it elsewhere (index/mirror.h).
 *
 * A row's `updated_at` grows strictly from one change of the answers to the next, also when the
 * clock goes back, and a row that did not change keeps its own. So a copy that has everything up to
 * some T lacks exactly the rows with a later one, and those that vanished (events of Cassandra that
 * were deleted, copies in whose place others count), which table `retired` remembers where answers
 * are published. Table `published` says how far each copy is.
 *
 * Functions that write do so in a transaction of their own, and want the writer's connection. */
#ifndef CM_INDEX_CHANGES_H
#define CM_INDEX_CHANGES_H

#include "index/index.h"
#include "store/embedded/database.h"

/* Makes the tables and the index over updated_at; from now on vanished rows are remembered. */
int cm_index_changes_prepare(const cm_database_t *database, cm_err_t *err);

/* `copy` names it: the alias and where it is. */
int cm_index_changes_checkpoint(const cm_database_t *database, const char *copy,
                                cm_index_checkpoint_t *published, cm_err_t *err);

/* Also forgets what has retired and no copy lacks any more. */
int cm_index_changes_set_checkpoint(const cm_database_t *database, const char *copy,
                                    const cm_index_checkpoint_t *published, cm_err_t *err);

/* Forgets how far any copy is: the next push compares everything. */
int cm_index_changes_forget(const cm_database_t *database, cm_err_t *err);

/* The `updated_at` of the latest change; 0: there are no answers. */
int cm_index_changes_latest(const cm_database_t *database, int64_t *latest, cm_err_t *err);

/* How many rows changed in (since, watermark]. */
int cm_index_changes_count(const cm_database_t *database, int64_t since, int64_t watermark,
                           int64_t *count, cm_err_t *err);

/* Calls `row` for every row of every dimension and window with updated_at in (since, watermark], in
 * no order; with `since` 0 for all. Reads page by page: nothing is held while `row` runs, and a row
 * that changes meanwhile has a later updated_at, so that it may be left out or come as it is now.
 */
int cm_index_changes_each(const cm_database_t *database, int64_t since, int64_t watermark,
                          cm_answer_fn row, void *context, cm_err_t *err);

/* The same for rows that vanished; their numbers are zero. A row that is there again is none. */
int cm_index_changes_tombstones(const cm_database_t *database, int64_t since, int64_t watermark,
                                cm_answer_fn row, void *context, cm_err_t *err);

#endif
