/* What has changed in the table since it was read last, by its companion (cassandra/changes.h).
 *
 * A reader keeps, for each writer, the number of the entry that it reads next. It moves over
 * entries without a gap only: a later one may be there before an earlier one. Entries that are not
 * settled, of which rows may still come, are the caller's to keep and to look at again: see
 * cm_store_change_entry_t.settled. One thread: the store's. */
#ifndef CM_STORE_CASSANDRA_CHANGES_H
#define CM_STORE_CASSANDRA_CHANGES_H

#include "cassandra/changes.h"
#include "store/cassandra/store.h"
#include "store/dict.h"

typedef struct cm_store_change_writer {
    int64_t number;
    int64_t next;    /* entry that is read next */
    int64_t settled; /* entries before that one are */
    int64_t entries; /* there are none from that one on */
    bool there;      /* the companion has it; else all that it wrote was read long ago */
    bool lost;       /* entries are gone that are settled: somebody has removed them */
} cm_store_change_writer_t;

typedef struct cm_store_change_entry {
    int64_t writer, seq, first_us, last_us;
    cm_str_t keys; /* cm_cassandra_changes_next_key(); in `texts` */
    bool settled;  /* all of its rows can be read by now */
} cm_store_change_entry_t;

/* All zero is what somebody knows who has read nothing. */
typedef struct cm_store_changes {
    cm_store_change_writer_t *writers;
    size_t writer_count, writer_cap;
    cm_dict_t numbers; /* of the writers, as bytes: the id of a number is the index of its writer */
    cm_store_change_entry_t *entries;
    size_t entry_count, entry_cap;
    cm_arena_t texts;
    int64_t rows; /* that the entries stand for, each time that one was written */
    int64_t most; /* with more of them reading ends, and what was read is of no use; 0: never */
} cm_store_changes_t;

cm_store_change_writer_t *cm_store_changes_add_writer(cm_store_changes_t *changes, int64_t number);

/* The keys are copied. */
cm_store_change_entry_t *cm_store_changes_add_entry(cm_store_changes_t *changes,
                                                    const cm_store_change_entry_t *entry);

void cm_store_changes_free(cm_store_changes_t *changes);

/* Adds the writers that there are and their entries from `next` on, and moves `next` and `settled`.
 * Only those writers are asked for entries, several at once, that have announced one from `next`
 * on. Ends early when there are more than `most` rows.
 * Without `keys` no entries are read, and `next` is made `settled`: for who reads the whole table
 * afterwards, and so may pass over those that are lost. */
int cm_store_cassandra_read_changes(cm_store_t *store, bool keys, cm_store_changes_t *changes,
                                    cm_err_t *err);

/* Gets a row by its place in `keys`: NULL when there is none, or when it is no event of the
 * contract; and when it was written, 0 where that is not known. Texts live until it returns. */
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
