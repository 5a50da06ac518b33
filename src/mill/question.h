/* A question: groups, filters, measures and a span of time, in the words of docs/questions.md.
 *
 * A question is made from text (cm_question_parse()), is constant then, and may be used by any
 * thread. It owns all its strings. What its words mean is the contract's second edition
 * (docs/contract.md); mill/ask.h answers it. */
#ifndef CM_MILL_QUESTION_H
#define CM_MILL_QUESTION_H

#include "base/arena.h"
#include "base/decimal.h"
#include "base/err.h"
#include "base/pattern.h"
#include "base/str.h"
#include "base/zone.h"

#include <stdbool.h>
#include <stdint.h>

/* What a question groups by, or filters on. The order is that of the documents. */
typedef enum cm_facet {
    /* of the event */
    CM_FACET_URL,
    CM_FACET_PATH,
    CM_FACET_HOST,
    CM_FACET_COUNTRY,
    CM_FACET_REGION,
    CM_FACET_CITY,
    CM_FACET_BROWSER,
    CM_FACET_BROWSER_VERSION,
    CM_FACET_OS,
    CM_FACET_OS_VERSION,
    CM_FACET_DEVICE,
    CM_FACET_LANGUAGE,
    CM_FACET_NAME,
    CM_FACET_REFERRER,
    CM_FACET_PROP, /* props.KEY */
    /* of the session, from its first page view (the exit page: from its last) */
    CM_FACET_SOURCE,
    CM_FACET_CHANNEL,
    CM_FACET_UTM_SOURCE,
    CM_FACET_UTM_MEDIUM,
    CM_FACET_UTM_CAMPAIGN,
    CM_FACET_UTM_TERM,
    CM_FACET_UTM_CONTENT,
    CM_FACET_ENTRY_PAGE,
    CM_FACET_EXIT_PAGE,
    /* of the user, from the first page view of all */
    CM_FACET_FIRST_SOURCE,
    CM_FACET_FIRST_CHANNEL,
    CM_FACET_FIRST_UTM_CAMPAIGN,
    /* of time, in the question's zone */
    CM_FACET_HOUR,
    CM_FACET_DAY,
    CM_FACET_WEEK,
    CM_FACET_MONTH,
    CM_FACET_WEEKDAY,
    CM_FACET_HOUR_OF_DAY,
    /* only in conditions */
    CM_FACET_ENGAGED_MS,
    CM_FACET_COUNT,
} cm_facet_t;

static inline bool cm_facet_is_of_session(cm_facet_t facet)
{
    return facet >= CM_FACET_SOURCE && facet <= CM_FACET_EXIT_PAGE;
}

static inline bool cm_facet_is_of_user(cm_facet_t facet)
{
    return facet >= CM_FACET_FIRST_SOURCE && facet <= CM_FACET_FIRST_UTM_CAMPAIGN;
}

static inline bool cm_facet_is_of_time(cm_facet_t facet)
{
    return facet >= CM_FACET_HOUR && facet <= CM_FACET_HOUR_OF_DAY;
}

/* A dimension of a question. */
typedef struct cm_dim {
    cm_facet_t facet;
    cm_str_t key;  /* of a property; else empty */
    cm_str_t name; /* as headings show it: `country`, `props.plan`, `props."a,b"` */
} cm_dim_t;

typedef enum cm_condition_op {
    CM_OP_EQUAL, /* = */
    CM_OP_NOT_EQUAL,
    CM_OP_LESS,
    CM_OP_LESS_EQUAL,
    CM_OP_GREATER,
    CM_OP_GREATER_EQUAL,
    CM_OP_LIKE, /* ~ */
    CM_OP_NOT_LIKE,
    CM_OP_IN,
    CM_OP_NOT_IN,
    CM_OP_EMPTY,
    CM_OP_NOT_EMPTY,
} cm_condition_op_t;

typedef struct cm_condition {
    cm_dim_t dim;
    cm_condition_op_t op;
    /* in: several, in order; is empty: none; else one. Times and whole numbers are written as the
     * values that they are compared with. */
    cm_str_t *values;
    size_t count;
    cm_decimal_t number;         /* of the comparisons <, <=, >, >= of numbers */
    const cm_pattern_t *pattern; /* of ~ and !~ */
    cm_str_t text;               /* as it was written */
} cm_condition_t;

/* What is counted exactly of a group of events. */
typedef enum cm_counter {
    CM_COUNTER_CLICKS,
    CM_COUNTER_USERS, /* distinct users with a page view */
    CM_COUNTER_TIME_SPENT_SUM,
    CM_COUNTER_TIME_SPENT_COUNT,
    CM_COUNTER_TIME_ON_PAGE_SUM,
    CM_COUNTER_TIME_ON_PAGE_COUNT,
    CM_COUNTER_ENTRANCES,
    CM_COUNTER_EXITS,
    CM_COUNTER_EVENTS,
    CM_COUNTER_EVENT_USERS,
    CM_COUNTER_VISITS,
    CM_COUNTER_BOUNCES,
    CM_COUNTER_VISIT_DURATION_SUM,
    CM_COUNTER_ENGAGED_MS_SUM,
    CM_COUNTER_ENGAGED_COUNT,
    CM_COUNTER_NEW_USERS,
    CM_COUNTER_COUNT,
} cm_counter_t;

/* What a measure is made of. */
typedef enum cm_measure_kind {
    CM_MEASURE_COUNTER,  /* `counter` */
    CM_MEASURE_QUOTIENT, /* `counter` / `divisor` */
    CM_MEASURE_PROP_SUM, /* of the property question->props[prop] */
    CM_MEASURE_PROP_COUNT,
    CM_MEASURE_PROP_AVERAGE,
    CM_MEASURE_PROP_LEFT_OUT,
} cm_measure_kind_t;

typedef struct cm_measure {
    cm_measure_kind_t kind;
    cm_counter_t counter, divisor;
    size_t prop;
    cm_str_t name; /* `clicks`, `sum:props.value` */
} cm_measure_t;

typedef enum cm_compare {
    CM_COMPARE_NONE,
    CM_COMPARE_PREVIOUS,
    CM_COMPARE_YEAR,
} cm_compare_t;

/* [from, to) in ms since the epoch; INT64_MIN and INT64_MAX: an open end. */
typedef struct cm_span {
    int64_t from, to;
} cm_span_t;

#define CM_SPAN_ALL ((cm_span_t){INT64_MIN, INT64_MAX})

enum {
    CM_QUESTION_DIMS_MAX = 8,
    CM_QUESTION_CONDITIONS_MAX = 64,
    CM_QUESTION_PROPS_MAX = 16,
    CM_QUESTION_ROWS_MAX = 100000, /* of an answer with steps */
};

typedef struct cm_question {
    cm_dim_t dims[CM_QUESTION_DIMS_MAX];
    size_t dim_count;
    cm_condition_t *where, *where_visit, *where_user;
    size_t where_count, where_visit_count, where_user_count;
    cm_span_t span;
    cm_span_t before; /* the span that it is compared with */
    cm_compare_t compare;
    bool stepped; /* `step` is wanted */
    cm_facet_t step;
    const cm_zone_t *zone; /* owned */
    cm_str_t zone_name;
    cm_measure_t *measures;
    size_t measure_count;
    uint32_t counters;                     /* a mask, 1 << cm_counter_t, of those that are needed */
    cm_str_t props[CM_QUESTION_PROPS_MAX]; /* keys of properties whose numbers are added up */
    size_t prop_count;
    /* Rows are sorted by this column; default: the first measure, greatest first. */
    bool sort_is_dim;
    size_t sort; /* index in dims or in measures */
    bool reverse;
    int64_t limit, offset; /* limit 0: all */
    cm_arena_t arena;
} cm_question_t;

/* A question as text, as the command line and the API give it. NULL: not given. */
typedef struct cm_question_text {
    const char *by;       /* "browser,country"; "": the total */
    const char *measures; /* names, or "all"; default unique_user_count,visits,clicks,events */
    const char *from, *to, *step, *zone, *compare;
    const char *sort; /* the name of a dimension or a measure, with "-" before it: reversed */
    const char *const *where, *const *where_visit, *const *where_user; /* each ends with NULL */
    int64_t limit, offset;
    bool reverse;
    bool parameters; /* messages name parameters of the API (`from`), not options (`--from`) */
    int64_t now;     /* ms; what `today` and `-7d` refer to */
} cm_question_text_t;

/* Reads a question. CM_EUSAGE with one sentence that names what is wrong and, for an unknown name,
 * the nearest one. The caller frees it with cm_question_free(), also after an error. */
int cm_question_parse(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err);

void cm_question_free(cm_question_t *question);

/* Reads one condition: `DIM OP VALUE`, `DIM in (VALUE, VALUE)` or `DIM is empty`. Its strings are
 * in `arena`. Blanks around a value that is not in quotes do not belong to it. <, <=, > and >=
 * compare properties and engaged_ms as numbers, dimensions of time as times. CM_EUSAGE. */
int cm_condition_parse(const char *text, cm_arena_t *arena, cm_condition_t *condition,
                       cm_err_t *err);

/* Whether the condition holds for a value; `value.data` NULL: it is absent. */
bool cm_condition_holds(const cm_condition_t *condition, cm_str_t value);

/* The names of all facets, NULL at the end; properties as "props.KEY". `--by` takes all of them but
 * the last, engaged_ms. */
extern const char *const cm_facet_names[CM_FACET_COUNT + 1];

#endif
