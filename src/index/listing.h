/* The parts of a query that users write, the same in the API and in `query`: which rows, which span
 * of time.
 *
 * Pure functions, for any thread. */
#ifndef CM_INDEX_LISTING_H
#define CM_INDEX_LISTING_H

#include "index/index.h"

/* Which rows are listed. */
typedef enum cm_listing {
    CM_LIST_ANSWERS,   /* one per url and country */
    CM_LIST_PAGES,     /* one per url */
    CM_LIST_COUNTRIES, /* one per country */
    CM_LIST_SUMMARY,   /* one for the whole site */
    CM_LISTING_COUNT,
} cm_listing_t;

extern const char *const cm_listing_names[CM_LISTING_COUNT + 1]; /* answers pages ..., NULL */

/* The rows that are queried: a dimension that is listed, or that a filter fixes, is part of them.
 * So the pages of one country have the exact measures of its visitors per page, which no sum over
 * other rows could give. */
cm_dimension_t cm_listing_dimension(cm_listing_t listing, const cm_index_query_t *query);

/* Reads an end of a span of time, ms: RFC 3339, or a date, which means its first moment (UTC).
 * `name` is the caller's name of it, for errors. CM_EUSAGE. */
int cm_listing_parse_time(const char *name, cm_str_t text, int64_t *ms, cm_err_t *err);

/* The names of the parts of a span, for errors. */
typedef struct cm_listing_span_words {
    const char *from, *to;
    const char *windows; /* "window=day or window=hour" */
} cm_listing_span_words_t;

/* Checks the span of a query; `from` and `to` say which ends are given. CM_EUSAGE. */
int cm_listing_check_span(const cm_index_query_t *query, bool from, bool to,
                          const cm_listing_span_words_t *words, cm_err_t *err);

#endif
