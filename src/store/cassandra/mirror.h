/* A copy of Cassandra's table in the data directory, for `process` when only Clickmill's writers
 * write the table (cassandra.only_writer): it is filled by reading the whole table once; afterwards
 * only what has changed is read.
 *
 * It is an embedded store of its own, in DATA/cassandra, with additional tables: of which
 * table it is a copy, up to which entry each writer was read, which entries are not settled, and
 * which events have been replaced. A store only grows: an event that was overwritten or deleted
 * stays in it and is skipped. All that one reading brings is one transaction. The copy has events
 * of the contract only. One thread, except for its readers. */
#ifndef CM_STORE_CASSANDRA_MIRROR_H
#define CM_STORE_CASSANDRA_MIRROR_H

#include "base/clock.h"
#include "store/cassandra/changes.h"

typedef struct cm_mirror cm_mirror_t;

/* Opens the mirror of a data directory, and makes it when it is missing. CM_EBUSY while another
 * process has it. */
int cm_mirror_open(const char *data_dir, const cm_clock_t *clock, cm_mirror_t **mirror,
                   cm_err_t *err);

/* Removes the mirror, which may be damaged: it can always be made again. */
int cm_mirror_remove(const char *data_dir, cm_err_t *err);

/* Opens it for comparing, without changing the file; CM_EINPUT when there is none. */
int cm_mirror_open_read(const char *data_dir, cm_mirror_t **mirror, cm_err_t *err);

/* What it is a copy of. All empty: it is not filled yet. */
typedef struct cm_mirror_state {
    char table[40], changes[40]; /* ids of the table and of its companion */
    bool extended;               /* with the optional fields (cassandra.extended) */
    int64_t read_ms;             /* wall clock, when it was last updated */
} cm_mirror_state_t;

int cm_mirror_state(cm_mirror_t *mirror, cm_mirror_state_t *state, cm_err_t *err);

/* Events in it; and those that were replaced. */
int64_t cm_mirror_events(const cm_mirror_t *mirror);
int64_t cm_mirror_replaced(const cm_mirror_t *mirror);

/* Adds the state of the writers that it has, and the entries that were not settled. */
int cm_mirror_changes(cm_mirror_t *mirror, cm_store_changes_t *changes, cm_err_t *err);

/* Removes all its events and begins again; then cm_mirror_fill() takes all events. */
int cm_mirror_begin(cm_mirror_t *mirror, cm_err_t *err);
int cm_mirror_fill(cm_mirror_t *mirror, const cm_batch_t *batch, cm_err_t *err);

/* A row as it is in the table now. */
typedef struct cm_mirror_row {
    cm_str_t key;
    bool present;
    cm_event_t event; /* if it is present */
} cm_mirror_row_t;

/* Replaces the events of these keys by these rows, each key once; `*changed`: how many rows were
 * different. They are committed by cm_mirror_end(). */
int cm_mirror_put(cm_mirror_t *mirror, const cm_mirror_row_t *rows, size_t count, int64_t *changed,
                  cm_err_t *err);

/* Commits, with the state of the writers; entries of `changes` that are not settled are kept. */
int cm_mirror_end(cm_mirror_t *mirror, const cm_mirror_state_t *state,
                  const cm_store_changes_t *changes, cm_err_t *err);

/* A store for the mill: closing it closes the mirror. */
cm_store_t *cm_mirror_store(cm_mirror_t *mirror);

void cm_mirror_close(cm_mirror_t *mirror);

#endif
