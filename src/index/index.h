/* The fourth door: answers at rest.
 *
 * An index keeps rows of answers and answers queries for them. docs/contract.md defines each
 * measure. Besides the cells of the contract, (url, country, window), the same measures are kept
 * per url, per country and for the whole site, because distinct users do not add up.
 *
 * An engine implements cm_index_ops_t: embedded/ and elasticsearch/. index/open.h opens an index;
 * the caller closes it. Used by one thread at a time; a second thread opens a second handle. */
#ifndef CM_INDEX_INDEX_H
#define CM_INDEX_INDEX_H

#include "base/err.h"
#include "base/str.h"
#include "base/waiter.h"
#include "event/batch.h"
#include "mill/measures.h"

/* An average as an index stores it. */
typedef struct cm_stored_average {
    bool there;
    double value;
} cm_stored_average_t;

typedef struct cm_answer {
    cm_dimension_t dimension;
    cm_window_t window;
    int64_t window_start; /* ms; 0 for CM_WINDOW_ALL */
    cm_str_t url;
    cm_str_t country;
    cm_measures_t measures;
    int64_t updated_at; /* ms; when this row last changed */
    /* Average time spent and time on page, where the index stores them; NULL: they follow from the
     * measures. */
    const cm_stored_average_t *stored;
} cm_answer_t;

/* Sorting: by a measure descending, by a string ascending, ties by url, country, window start. */
typedef enum cm_sort {
    CM_SORT_CLICKS,
    CM_SORT_USERS,
    CM_SORT_AVERAGE_TIME_SPENT,
    CM_SORT_TIME_SPENT_SUM,
    CM_SORT_TIME_SPENT_COUNT,
    CM_SORT_AVERAGE_TIME_ON_PAGE,
    CM_SORT_ENTRANCES,
    CM_SORT_EXITS,
    CM_SORT_URL,
    CM_SORT_COUNTRY,
    CM_SORT_WINDOW,
    CM_SORT_COUNT,
} cm_sort_t;

/* Gets a document of an index's alias that is not an answer of Clickmill; the strings live until it
 * returns. Non-zero ends the query. */
typedef int (*cm_foreign_fn)(void *context, const char *alias, cm_str_t id);

typedef struct cm_index_query {
    cm_dimension_t dimension;
    cm_window_t window;
    int64_t from, to;    /* window starts in [from, to); to = 0: no upper end */
    const char *url;     /* pattern: * any run, ? one character, else exact; NULL: all */
    const char *country; /* exact; NULL: all */
    cm_sort_t sort;
    bool reverse;   /* against the sort's own direction */
    bool unsorted;  /* in any order, which is much faster for all rows */
    int64_t limit;  /* rows at most; 0: all */
    int64_t offset; /* rows to leave out first */
    /* Called from time to time during the search, by the same thread; true: the client no longer
     * waits, and the query ends with CM_ESTOP. NULL: never. */
    bool (*gives_up)(void *context);
    void *gives_up_context;
    /* Called, with the query's context, for a document among the rows that is not an answer. NULL:
     * such a document fails the query. */
    cm_foreign_fn foreign;
} cm_index_query_t;

/* Called once per row; the answer's strings live until it returns. Non-zero stops the query and is
 * returned by it. */
typedef int (*cm_answer_fn)(void *context, const cm_answer_t *answer);

/* How far the answers of a window are. */
typedef struct cm_freshness {
    bool present;       /* false: this window was never processed */
    int64_t accepted;   /* events in the store, copies included */
    int64_t processed;  /* of these, how many the answers cover */
    int64_t events;     /* distinct among the processed */
    int64_t duplicates; /* processed - events */
    int64_t cells;      /* rows of CM_PER_CELL */
    int64_t updated_at; /* ms; when the answers last changed */
    int64_t dead;       /* dead letters waiting in the store */
    /* ms, with which the answers were computed; negative: from the events of another store than the
     * data directory's; 0: not known */
    int64_t session_timeout;
    /* Ids of visitors live for one UTC day: the store has recorded it, or the configuration of the
     * program that wrote or reads the answers says so. */
    bool daily_ids;
    /* Then: unique_user_count of this window counts a visitor once per UTC day, because the window
     * has events of more than one, or that is not known. */
    bool daily_visitors;
} cm_freshness_t;

enum { CM_INDEX_EPOCH = 32 }; /* characters */

/* How far a mirror of an index is. All zero: nothing is known of it. */
typedef struct cm_index_checkpoint {
    char epoch[CM_INDEX_EPOCH + 1]; /* identifies its last writer; empty: none */
    int64_t watermark;              /* it has the changes up to this `updated_at`, ms */
} cm_index_checkpoint_t;

typedef struct cm_index_apply {
    bool rebuild;              /* fill an empty index, then replace the old one by it */
    const cm_waiter_t *waiter; /* asked while a server does not answer; NULL: waits without end */
    /* Called from time to time with the share done, 0..1, and the rows so far; may be NULL. */
    void (*progress)(void *context, double share, uint64_t rows);
    void *context;
    cm_batch_t *refused; /* gets a dead letter for each row that the index refuses */
} cm_index_apply_t;

/* What apply() did. */
typedef struct cm_index_applied {
    bool compared; /* all rows were compared, because another program had written the index */
    uint64_t sent, removed, refused, retries;
    uint64_t bytes, wire_bytes; /* sent: before and after compression */
} cm_index_applied_t;

/* What probe() finds. */
typedef struct cm_index_facts {
    char server[256]; /* what answers, in one sentence; empty: nothing did */
    char state[2048]; /* the state of the index, in one sentence */
    bool complete;    /* the index exists */
    bool created;     /* it did not before this probe */
} cm_index_facts_t;

/* Rows (since, until] by `updated_at`. */
typedef struct cm_index_changes {
    int64_t since, until;
    cm_answer_fn changed, removed; /* removed: the measures are zero; NULL: not wanted */
    void *context;
} cm_index_changes_t;

typedef struct cm_index cm_index_t;

/* What an engine can do. Where an operation is NULL the functions below say what happens instead;
 * query, freshness and close always exist, and apply, forget and probe in every index that
 * index/open.h opens. */
typedef struct cm_index_ops {
    int (*query)(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row, void *context,
                 cm_err_t *err);
    int (*freshness)(cm_index_t *index, cm_window_t window, cm_freshness_t *out, cm_err_t *err);
    int (*kept)(cm_index_t *index, unsigned *own, unsigned *others, cm_err_t *err);
    int (*hold)(cm_index_t *index, cm_err_t *err);
    int (*foreign)(cm_index_t *index, cm_foreign_fn take, void *context, cm_err_t *err);
    int (*watermark)(cm_index_t *index, int64_t *watermark, cm_err_t *err);
    int (*count_changes)(cm_index_t *index, int64_t since, int64_t until, int64_t *count,
                         cm_err_t *err);
    int (*changes)(cm_index_t *index, const cm_index_changes_t *changes, cm_err_t *err);
    int (*checkpoint)(cm_index_t *index, const char *mirror, cm_index_checkpoint_t *checkpoint,
                      cm_err_t *err);
    int (*set_checkpoint)(cm_index_t *index, const char *mirror,
                          const cm_index_checkpoint_t *checkpoint, cm_err_t *err);
    int (*apply)(cm_index_t *index, cm_index_t *source, const cm_index_apply_t *options,
                 cm_index_checkpoint_t *checkpoint, cm_index_applied_t *applied, cm_err_t *err);
    int (*forget)(cm_index_t *index, cm_err_t *err);
    int (*probe)(cm_index_t *index, bool create, cm_index_facts_t *facts, cm_err_t *err);
    void (*close)(cm_index_t *index);
} cm_index_ops_t;

struct cm_index {
    const cm_index_ops_t *ops;
    const char *engine; /* what sentences call it: "Elasticsearch"; set by index/open.h */
    const char *name;   /* what its checkpoints are kept under; lives as long as the index */
    bool daily;         /* user ids live for one UTC day, says the configuration */
    /* Neither checksums nor a freshness that another program wrote matter: all rows are compared
     * with the events (verify). */
    bool unchecked;
};

/* What `visitors` is called in JSON: "daily" or "users". */
static inline const char *cm_freshness_visitors(const cm_freshness_t *freshness)
{
    return freshness->daily_visitors ? "daily" : "users";
}

/* Whether nothing has changed between the two. */
bool cm_freshness_equal(const cm_freshness_t *a, const cm_freshness_t *b);

/* ---- reading ---- */

/* Calls `row` for each row of the query. CM_ECORRUPT where the index is damaged, CM_EAWAY where its
 * server does not answer, CM_EINPUT where it has no answers. */
static inline int cm_index_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                                 void *context, cm_err_t *err)
{
    return index->ops->query(index, query, row, context, err);
}

/* How far the answers of a window are. Errors are those of cm_index_query(). */
static inline int cm_index_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                                     cm_err_t *err)
{
    return index->ops->freshness(index, window, out, err);
}

/* The windows that have answers, as masks (cm_window_mask()): `*own` of the events of the same data
 * directory, `*others` of those of another store. An engine that tracks changes reads them
 * unchecked: after an error the masks hold what could be read of damaged answers. */
int cm_index_kept(cm_index_t *index, unsigned *own, unsigned *others, cm_err_t *err);

/* From now on all answers are of one moment, where the engine can do that: `*held`. */
static inline int cm_index_hold(cm_index_t *index, bool *held, cm_err_t *err)
{
    *held = index->ops->hold != NULL;
    return *held ? index->ops->hold(index, err) : 0;
}

/* Calls `take` for each document that no query returns, because it has no window or no dimension of
 * Clickmill. An engine that only Clickmill writes has none. */
static inline int cm_index_foreign(cm_index_t *index, cm_foreign_fn take, void *context,
                                   cm_err_t *err)
{
    return index->ops->foreign != NULL ? index->ops->foreign(index, take, context, err) : 0;
}

/* ---- changes, for a mirror (index/mirror.h) ---- */

/* Whether the engine knows which rows changed since a watermark. If it does not, its mirrors
 * compare all rows each time. */
static inline bool cm_index_tracks_changes(const cm_index_t *index)
{
    return index->ops->changes != NULL;
}

/* The `updated_at` of the latest change, ms; 0: there are no answers. */
int cm_index_watermark(cm_index_t *index, int64_t *watermark, cm_err_t *err);

/* About how many rows cm_index_changes() will give; 0: not known. */
int cm_index_count_changes(cm_index_t *index, int64_t since, int64_t until, int64_t *count,
                           cm_err_t *err);

/* Gives the rows of all windows and dimensions that changed or vanished, in no order. Where the
 * engine does not track changes, all rows, whatever the span. Nothing is locked meanwhile: a row
 * that changes again during the walk may be left out or come as it is then. */
int cm_index_changes(cm_index_t *index, const cm_index_changes_t *changes, cm_err_t *err);

/* How far the mirror of that name is. The first call makes the index remember which rows vanish.
 * Needs an index that was opened for writing, as the next one does. CM_EUSAGE where the engine
 * keeps none. */
int cm_index_checkpoint(cm_index_t *index, const char *mirror, cm_index_checkpoint_t *checkpoint,
                        cm_err_t *err);

/* Notes it. `mirror` NULL: forgets how far any mirror is, so that each compares all rows next time;
 * `checkpoint` is then not used. */
int cm_index_set_checkpoint(cm_index_t *index, const char *mirror,
                            const cm_index_checkpoint_t *checkpoint, cm_err_t *err);

/* ---- writing ---- */

/* Makes the index equal to `source`, and notes in `checkpoint` how far it is then: only rows that
 * changed since are read, unless another program has written the index meanwhile. Adds to
 * `applied`.
 * CM_EUSAGE for what the configuration is to blame for; the waiter's code; CM_EIO when the index
 * refuses too much; CM_ESTOP. CM_EBUSY when another program wrote at the same time, CM_EINPUT and
 * CM_EAWAY when the index vanished or the server stopped answering: a further call repairs it. */
static inline int cm_index_apply(cm_index_t *index, cm_index_t *source,
                                 const cm_index_apply_t *options, cm_index_checkpoint_t *checkpoint,
                                 cm_index_applied_t *applied, cm_err_t *err)
{
    return index->ops->apply(index, source, options, checkpoint, applied, err);
}

/* Forgets all answers, also damaged ones, and how far any mirror is. */
static inline int cm_index_forget(cm_index_t *index, cm_err_t *err)
{
    return index->ops->forget(index, err);
}

/* Checks the server and the index, without waiting for a server that does not answer; `create`
 * makes what is missing. After an error the facts hold what was found before it. CM_EUSAGE says
 * what is wrong and what to do, CM_EAWAY that the server does not work. */
static inline int cm_index_probe(cm_index_t *index, bool create, cm_index_facts_t *facts,
                                 cm_err_t *err)
{
    return index->ops->probe(index, create, facts, err);
}

/* NULL is fine. */
static inline void cm_index_close(cm_index_t *index)
{
    if (index != NULL)
        index->ops->close(index);
}

/* The names that users write and read. */
extern const char *const cm_index_window_names[CM_WINDOW_COUNT]; /* all day hour */
extern const char *const cm_sort_names[CM_SORT_COUNT];           /* clicks unique_user_count ... */
bool cm_index_window_parse(const char *text, cm_window_t *window);
bool cm_sort_parse(const char *text, cm_sort_t *sort);

/* The contract's average of a sum; `count` is not 0. */
static inline double cm_average(int64_t sum, int64_t count)
{
    return (double)sum / (double)count;
}

/* Whether a stored average is that of the sum, to the last bit. */
bool cm_average_follows(const cm_stored_average_t *stored, int64_t sum, int64_t count);

/* Whether the stored averages, where there are any, follow from the measures. */
bool cm_answer_exact(const cm_answer_t *answer);

/* The header and rows of `query --format csv`; with a window other than all, `window` comes first,
 * as its start in RFC 3339. Rows end with "\n". */
void cm_answer_add_csv_header(cm_buf_t *buf, cm_window_t window);
void cm_answer_add_csv(cm_buf_t *buf, const cm_answer_t *answer);

/* The same with strings that no spreadsheet takes for formulas. */
void cm_answer_add_safe_csv(cm_buf_t *buf, const cm_answer_t *answer);

/* One JSON object with the csv's fields, absent averages null; window and window_start where the
 * window is not all; url and country only where the dimension has them. */
void cm_answer_add_json(cm_buf_t *buf, const cm_answer_t *answer);

#endif
