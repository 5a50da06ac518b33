/* What has changed in the table since it was last read, by its companion (cassandra/changes.h).
 *
 * For each writer a reader keeps the number of the entry that it reads next. It moves over entries
 * only without a gap, because a later entry may be visible before an earlier one. Rows of an entry
 * that is not settled may still come: the caller keeps such entries and reads their rows again (see
 * cm_store_change_entry_t.settled). One thread: the store's. */
#ifndef CM_STORE_CASSANDRA_CHANGES_H
#define CM_STORE_CASSANDRA_CHANGES_H

#include "cassandra/changes.h"
#include "store/cassandra/store.h"
#include "store/dict.h"

typedef struct cm_store_change_writer {
    int64_t number;
    int64_t next;    /* the next entry to read */
    int64_t settled; /* entries before this one are settled */
    int64_t entries; /* there are no entries from this one on */
    bool there;      /* the companion has it; otherwise all that it wrote was read long ago */
    bool lost;       /* settled entries are gone: another program has removed them */
} cm_store_change_writer_t;

typedef struct cm_store_change_entry {
    int64_t writer, seq, first_us, last_us;
    cm_str_t keys; /* cm_cassandra_changes_next_key(); in `texts` */
    bool settled;  /* all of its rows can be read by now */
} cm_store_change_entry_t;

/* All zero: nothing was read yet. */
typedef struct cm_store_changes {
    cm_store_change_writer_t *writers;
    size_t writer_count, writer_cap;
    cm_dict_t numbers; /* of the writers, as bytes: the id of a number is the index of its writer */
    cm_store_change_entry_t *entries;
    size_t entry_count, entry_cap;
    cm_arena_t texts;
    int64_t rows; /* that the entries are about; a row counts each time it was written */
    int64_t most; /* with more rows reading ends, and what was read cannot be used; 0: no limit */
} cm_store_changes_t;

cm_store_change_writer_t *cm_store_changes_add_writer(cm_store_changes_t *changes, int64_t number);

/* The keys are copied. */
cm_store_change_entry_t *cm_store_changes_add_entry(cm_store_changes_t *changes,
                                                    const cm_store_change_entry_t *entry);

void cm_store_changes_free(cm_store_changes_t *changes);

/* Adds the writers that there are and their entries from `next` on, and moves `next` and `settled`.
 * Only those writers are asked for entries, several at once, that have announced one from `next`
 * on. Ends early when there are more than `most` rows.
 * Without `keys` no entries are read, and `next` becomes `settled`: for a caller that reads the
 * whole table afterwards, and so needs no entries, nor those that are lost. */
int cm_store_cassandra_read_changes(cm_store_t *store, bool keys, cm_store_changes_t *changes,
                                    cm_err_t *err);

/* Receives a row by its index in `keys`: NULL when there is none, or when it is no event of the
 * contract; and when it was written, 0 when this is not known. Strings are valid until it returns.
 */
typedef int (*cm_store_cassandra_row_t)(void *context, size_t place, const cm_event_t *event,
                                        int64_t write_us, cm_err_t *err);

/* Reads the rows of these keys, in any order; `*end` is set where one ends by itself, by its TTL.
 */
int cm_store_cassandra_read_rows(cm_store_t *store, const cm_str_t *keys, size_t count,
                                 cm_store_cassandra_row_t take, void *context, bool *end,
                                 cm_err_t *err);

/* cm_cassandra_changes_probe() by the store's session. */
int cm_store_cassandra_facts(cm_store_t *store, cm_cassandra_changes_facts_t *facts, cm_err_t *err);

#endif
