/* The embedded index: answers as plain SQL tables in the store's own file.
 *
 * View `answer` has the contract's cells, view `rollup` the same columns per url (country NULL),
 * per country (url NULL) and in total (both NULL). Averages are computed columns, so that they can
 * never disagree with their sums. Writing goes through the store's connection and its transaction;
 * reading (cm_index_embedded_open) has its own connection. A handle, and a connection, belongs to
 * one thread at a time. */
#ifndef CM_INDEX_EMBEDDED_EMBEDDED_H
#define CM_INDEX_EMBEDDED_EMBEDDED_H

#include "index/index.h"
#include "mill/mill.h"
#include "store/embedded/database.h"
#include "store/store.h"

#include <stdatomic.h>

/* Opens the index of a data directory for reading, while another process or thread may write it.
 * CM_EINPUT when there is none yet. */
int cm_index_embedded_open(const char *data_dir, cm_index_t **index, cm_err_t *err);

/* Opens the index in the file of an embedded store, through whose connection it reads and writes:
 * on the store's thread, with nothing uncommitted. The store must outlive it. */
int cm_index_embedded_open_writer(cm_store_t *store, cm_index_t **index, cm_err_t *err);

/* What is known of the copies of an event among those that the answers of a window cover. */
typedef enum cm_index_copies {
    CM_COPIES_UNKNOWN, /* an earlier edition has chosen among them in another way, or nothing is
                        * covered: all answers are computed again */
    CM_COPIES_EQUAL,   /* none differ in url or country */
    CM_COPIES_DIFFER,  /* some do */
} cm_index_copies_t;

/* The events that the answers of a window cover. */
typedef struct cm_index_coverage {
    bool present;            /* false: there are no answers of the window; all else is 0 */
    int64_t end_ordinal;     /* events of the store, copies included */
    int64_t events;          /* distinct ones among them */
    int64_t session_timeout; /* ms, with which they were computed; negative: of the events of
                                another store than this file's */
    int64_t cells;           /* rows of table answer */
    int64_t updated_at;      /* ms; when they last changed */
} cm_index_coverage_t;

/* Makes the tables where they are missing. After a crash it checks all answers. CM_ECORRUPT with
 * what to do when they are damaged. */
int cm_index_embedded_prepare(const cm_database_t *database, cm_err_t *err);

/* Forgets the answers, also those that SQLite cannot read any more, and how far mirrors of them
 * are; makes empty tables. */
int cm_index_embedded_forget(const cm_database_t *database, cm_err_t *err);

/* What is known of the copies among the events that a window covers. */
int cm_index_embedded_copies(const cm_database_t *database, cm_window_t window,
                             cm_index_copies_t *copies, cm_err_t *err);

/* Notes it. */
int cm_index_embedded_note_copies(const cm_database_t *database, cm_window_t window, bool differ,
                                  cm_err_t *err);

/* What the configuration of the program that computed the answers says of visitors: `*daily`, their
 * ids live for one UTC day; `*several`, the events are of more than one day. */
int cm_index_embedded_visitors(const cm_database_t *database, bool *daily, bool *several,
                               cm_err_t *err);

/* Notes it, where it has changed. */
int cm_index_embedded_note_visitors(const cm_database_t *database, bool daily, bool several,
                                    cm_err_t *err);

/* What the answers of a window cover; all zero when it was never processed. Unchecked. */
int cm_index_embedded_coverage(const cm_database_t *database, cm_window_t window,
                               cm_index_coverage_t *covered, cm_err_t *err);

typedef struct cm_index_embedded_apply_options {
    unsigned windows;        /* bit 1 << cm_window_t each */
    bool replace;            /* the result is all that is to be in them, not changes to add */
    int64_t session_timeout; /* ms; negative: of the events of another store */
    bool differ;             /* of changes: copies did before them (CM_COPIES_DIFFER) */
    int64_t now;             /* ms; for updated_at, which is later where it would not grow */
    bool daily, several;     /* of another store: for cm_index_embedded_note_visitors() */
    const atomic_bool *stop; /* may be NULL */
    bool *emptied;           /* set where nothing is left of the earlier answers; may be NULL */
} cm_index_embedded_apply_t;

/* Writes a result of the mill for the windows of the mask, in one transaction with their coverage.
 * Answers of another store are always replaced as a whole, and their rows are matched by their
 * strings. The tables hold either answers of the file's events or those of another store: writing
 * one kind removes the other. Of answers of another store, and where there are mirrors
 * (index/embedded/changes.h), only rows that differ are written; otherwise replaced windows are
 * written from the beginning. Strings come from `reader`. `*changed`: a row was written. CM_ESTOP,
 * with nothing changed, when `stop` becomes true. */
int cm_index_embedded_apply(const cm_database_t *database, cm_reader_t *reader,
                            const cm_mill_result_t *result,
                            const cm_index_embedded_apply_t *options, bool *changed, cm_err_t *err);

#endif
