/* The fourth door: answers at rest.
 *
 * An index takes cells and answers questions about them. What a number means: docs/contract.md.
 * Beside the cells of the contract, (url, country, window), the same numbers are kept per url, per
 * country and in total, because distinct users do not add up.
 * Used by one thread at a time; open a second handle for a second thread. */
#ifndef CM_INDEX_INDEX_H
#define CM_INDEX_INDEX_H

#include "base/err.h"
#include "base/str.h"
#include "mill/measures.h"

/* An average as an index has it written down. */
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
    /* Time spent and time on page, of an index that keeps them; NULL: they follow from the numbers.
     */
    const cm_stored_average_t *stored;
} cm_answer_t;

/* Sorting: by a number descending, by a text ascending, ties by url, country, window start. */
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

/* A document of an index's alias that is none of Clickmill's answers; the texts live until it
 * returns. Non-zero ends the query. */
typedef int (*cm_foreign_fn)(void *context, const char *alias, cm_str_t id);

typedef struct cm_index_query {
    cm_dimension_t dimension;
    cm_window_t window;
    int64_t from, to;    /* window starts in [from, to); to = 0: no upper end */
    const char *url;     /* pattern: * any run, ? one character, else exact; NULL: all */
    const char *country; /* exact; NULL: all */
    cm_sort_t sort;
    bool reverse;   /* the other way round than the sort's own direction */
    bool unsorted;  /* as it comes, which is much faster where all is wanted */
    int64_t limit;  /* rows at most; 0: all */
    int64_t offset; /* rows to leave out first */
    /* Asked now and then while the rows are looked for, by the same thread; true: whoever asked
     * does not wait any more, and the query ends with CM_ESTOP. NULL: he does. */
    bool (*gives_up)(void *context);
    void *gives_up_context;
    /* Called, with the query's context, for a document among the rows that is no answer. NULL: such
     * a document fails the query. */
    cm_foreign_fn foreign;
} cm_index_query_t;

/* Called once a row; the answer's texts live until it returns. Non-zero stops the query and is
 * returned by it. */
typedef int (*cm_answer_fn)(void *context, const cm_answer_t *answer);

/* How far the answers of a window are. */
typedef struct cm_freshness {
    bool present;       /* false: never processed for this window */
    int64_t accepted;   /* events in the store, copies included */
    int64_t processed;  /* of these, how many the answers cover */
    int64_t events;     /* distinct among the processed */
    int64_t duplicates; /* processed - events */
    int64_t cells;      /* rows of CM_PER_CELL */
    int64_t updated_at; /* ms; when the answers last changed */
    int64_t dead;       /* dead letters waiting in the store */
    /* ms, with which the answers were computed; negative: of the events of another store than the
     * data directory's; 0: not known */
    int64_t session_timeout;
    /* What unique_user_count counts of this window: visitors, each once a UTC day, or users. */
    bool daily_visitors;
} cm_freshness_t;

typedef struct cm_index cm_index_t;

typedef struct cm_index_ops {
    int (*query)(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row, void *context,
                 cm_err_t *err);
    int (*freshness)(cm_index_t *index, cm_window_t window, cm_freshness_t *out, cm_err_t *err);
    void (*close)(cm_index_t *index);
    int (*hold)(cm_index_t *index, cm_err_t *err); /* NULL: it cannot */
    /* NULL: only Clickmill writes there. */
    int (*foreign)(cm_index_t *index, cm_foreign_fn take, void *context, cm_err_t *err);
} cm_index_ops_t;

struct cm_index {
    const cm_index_ops_t *ops;
    bool daily; /* user ids live for one UTC day, says the configuration */
    /* Checksums do not matter, nor whether the freshness was written by somebody else: all is
     * compared with the events (verify). */
    bool unchecked;
};

/* What `visitors` is called in JSON: "daily" or "users". */
static inline const char *cm_freshness_visitors(const cm_freshness_t *freshness)
{
    return freshness->daily_visitors ? "daily" : "users";
}

/* Opens the embedded index of a data directory for reading, while another process or thread may
 * write it. CM_EINPUT when there is none yet. */
int cm_index_embedded_open(const char *data_dir, cm_index_t **index, cm_err_t *err);

static inline int cm_index_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                                 void *context, cm_err_t *err)
{
    return index->ops->query(index, query, row, context, err);
}

static inline int cm_index_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                                     cm_err_t *err)
{
    return index->ops->freshness(index, window, out, err);
}

/* From now on all answers are of one moment, where the index can do that: `*held`. */
static inline int cm_index_hold(cm_index_t *index, bool *held, cm_err_t *err)
{
    *held = index->ops->hold != NULL;
    return *held ? index->ops->hold(index, err) : 0;
}

/* Calls `take` for each document that no query can give, because it is of no window or of no
 * dimension that Clickmill has. */
static inline int cm_index_foreign(cm_index_t *index, cm_foreign_fn take, void *context,
                                   cm_err_t *err)
{
    return index->ops->foreign != NULL ? index->ops->foreign(index, take, context, err) : 0;
}

static inline void cm_index_close(cm_index_t *index)
{
    if (index != NULL)
        index->ops->close(index);
}

/* Names as the user writes and reads them. */
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

/* Whether the stored averages, where there are any, are those that follow from the numbers. */
bool cm_answer_exact(const cm_answer_t *answer);

/* The header and rows of `query --format csv`; with a window other than all, `window` comes first,
 * as its start in RFC 3339. Rows end with "\n". */
void cm_answer_add_csv_header(cm_buf_t *buf, cm_window_t window);
void cm_answer_add_csv(cm_buf_t *buf, const cm_answer_t *answer);

/* The same with texts that no spreadsheet takes for formulas. */
void cm_answer_add_safe_csv(cm_buf_t *buf, const cm_answer_t *answer);

/* One JSON object with the csv's fields, absent averages null; window and window_start where the
 * window is not all; url and country only where the dimension has them. */
void cm_answer_add_json(cm_buf_t *buf, const cm_answer_t *answer);

#endif
