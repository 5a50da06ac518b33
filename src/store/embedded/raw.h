/* The pages of an SQLite file, read without SQLite: `clickmill recover` saves records from them
 * when SQLite itself can no longer read the file.
 *
 * Every page that looks like a leaf or a node with records is read, wherever it is in the file;
 * records that continue in overflow pages are joined. No length and no page number is trusted.
 * Pages of the write-ahead log replace those of the file: the pages of the transactions that SQLite
 * would find, and, when the log is damaged, the pages after the damage as a second view. The files
 * are only read. One thread. File format: sqlite.org/fileformat2.html. */
#ifndef CM_STORE_EMBEDDED_RAW_H
#define CM_STORE_EMBEDDED_RAW_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_raw cm_raw_t;

/* Which pages of a log replace those of the file. */
typedef enum cm_raw_view {
    CM_RAW_COMMITTED, /* what SQLite would see */
    CM_RAW_BEYOND,    /* and what is in the log after a damaged place */
    CM_RAW_VIEWS,
} cm_raw_view_t;

/* Opens database and log, either may be damaged or too short; a database that does not
 * exist is CM_EINPUT. CM_EIO. */
int cm_raw_open(const char *path, cm_raw_t **raw, cm_err_t *err);
void cm_raw_close(cm_raw_t *raw);

/* Whether there may be anything in the second view, or was: the log is damaged. */
bool cm_raw_has_beyond(const cm_raw_t *raw);

/* Whether the database ends within a page. */
bool cm_raw_is_cut(const cm_raw_t *raw);

enum { CM_RAW_COLUMNS = 16 };

typedef enum cm_raw_type {
    CM_RAW_NULL,
    CM_RAW_INT,
    CM_RAW_TEXT,
    CM_RAW_BLOB,
    CM_RAW_OTHER, /* a number that is no integer */
    CM_RAW_LOST,  /* a text or blob that has lost some bytes */
} cm_raw_type_t;

typedef struct cm_raw_value {
    cm_raw_type_t type;
    int64_t number;
    cm_str_t bytes; /* of a text or a blob */
} cm_raw_value_t;

typedef struct cm_raw_record {
    uint32_t page, cell; /* where it is, for cm_raw_again() */
    bool table;          /* of a table with row ids; else of an index or a table without */
    int64_t rowid;       /* where it has one */
    int count;
    cm_raw_value_t values[CM_RAW_COLUMNS];
} cm_raw_record_t;

/* Called once a record, whose bytes live until it returns. Non-zero ends the walk and is returned.
 */
typedef int (*cm_raw_fn)(void *context, const cm_raw_record_t *record);

/* Walks all records of the view with at most CM_RAW_COLUMNS columns, in the order of pages. With
 * `used`, pages that the file says are free are left out. */
int cm_raw_each(cm_raw_t *raw, cm_raw_view_t view, bool used, cm_raw_fn take, void *context);

/* The same for one record that cm_raw_each() has given. */
int cm_raw_again(const cm_raw_t *raw, cm_raw_view_t view, uint32_t page, uint32_t cell,
                 cm_raw_fn take, void *context);

/* Whether a walk has left records out, because they would be many times as large together as the
 * files: no store has such records. */
bool cm_raw_was_too_much(const cm_raw_t *raw);

#endif
