/* The strings of ids, read once each, as a search meets them.
 *
 * A string that does not match its hash, or that is missing, is as if it were not there. One
 * thread, that of the connection. */
#ifndef CM_INDEX_EMBEDDED_SPELLINGS_H
#define CM_INDEX_EMBEDDED_SPELLINGS_H

#include "index/embedded/checks.h"

#include "base/pattern.h"

typedef enum cm_spellings_state {
    CM_SPELLINGS_UNREAD, /* only inside */
    CM_SPELLINGS_BAD,
    CM_SPELLINGS_LEFT_OUT, /* the filter is against it */
    CM_SPELLINGS_WANTED,
} cm_spellings_state_t;

typedef struct cm_spellings_one {
    cm_str_t text;
    cm_spellings_state_t state;
} cm_spellings_one_t;

/* Of one kind. */
typedef struct cm_texts {
    const cm_database_t *database;
    sqlite3_stmt *select;
    cm_spellings_one_t *all; /* by id */
    size_t count;
    cm_arena_t arena;         /* has the texts */
    cm_spellings_one_t whole; /* instead of a string: all of them */
    cm_str_t exact;           /* data NULL: none */
    const cm_pattern_t *pattern;
    int failed; /* SQLite's code, where it could not read */
} cm_spellings_t;

/* `exact` and `pattern`, which are borrowed, are the filter; both may be NULL. The caller closes,
 * also after an error. */
int cm_spellings_open(cm_spellings_t *texts, const cm_database_t *database, cm_string_kind_t kind,
                      const char *exact, const cm_pattern_t *pattern, cm_err_t *err);

/* Reads a string that cm_spellings_of() has not met yet. SQLite's errors are CM_SPELLINGS_BAD, too,
 * and in `failed`. */
const cm_spellings_one_t *cm_spellings_read(cm_spellings_t *texts, int64_t id);

/* Lives until the texts are closed. */
static inline const cm_spellings_one_t *cm_spellings_of(cm_spellings_t *texts, int64_t id)
{
    if (id >= 0 && (uint64_t)id < texts->count && texts->all[id].state != CM_SPELLINGS_UNREAD)
        return &texts->all[id];
    return cm_spellings_read(texts, id);
}

void cm_spellings_close(cm_spellings_t *texts);

#endif
