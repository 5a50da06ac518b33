/* Reading: queries, freshness, documents of other programs. Nothing here waits for a server that
 * does not answer, so that the reader of a page learns it soon. */
#include "base/clock.h"
#include "index/elasticsearch/inside.h"

#include <stdlib.h>

enum {
    UNAVAILABLE = 503,
    MOVING_MS = 50,
    ATTEMPTS = 4,
    PAGE = 5000,    /* rows of one answer where there are many */
    WINDOW = 10000, /* rows that a search without a scroll can reach (index.max_result_window) */
    /* The server turns a pattern into a deterministic automaton, and refuses patterns that need too
     * many states. A pattern within these bounds, counted from its first * or ?, never does. */
    TAIL_BYTES = 60,
    TAIL_STARS = 4,
    TAIL_ANY = 3,
    PREFIX_BYTES = 400,
};

/* Whether a request failed as it does while the alias moves and its old index is deleted: then it
 * is repeated. */
static bool was_moving(const cm_index_request_t *request, int rc, int attempt)
{
    if (rc >= 0 || attempt >= ATTEMPTS ||
        (request->reply.status != CM_REQUEST_MISSING && request->reply.status != UNAVAILABLE))
        return false;
    cm_sleep_ms((int64_t)attempt * MOVING_MS);
    return true;
}

int cm_index_elasticsearch_fail_empty(const cm_index_elasticsearch_t *self, cm_err_t *err)
{
    return cm_fail(err, CM_EINPUT,
                   "there are no answers yet in %s at %s: run `clickmill process --index "
                   "elasticsearch`",
                   self->settings.index, cm_elastic_host(self->client));
}

/* ---- a query as JSON ---- */

static void add_term(cm_buf_t *body, const char *field, const char *value)
{
    cm_buf_printf(body, ",{\"term\":{\"%s\":", field);
    cm_buf_add_json(body, cm_str(value));
    cm_buf_add_text(body, "}}");
}

/* Whether the server only gets the prefix of the pattern, and each row is matched here. */
static bool is_hard(const char *pattern)
{
    size_t prefix = strcspn(pattern, "*?"), stars = 0, any = 0;

    for (const char *at = pattern + prefix; *at != '\0'; at++) {
        stars += *at == '*';
        any += *at == '?';
    }
    return pattern[prefix] != '\0' &&
           (prefix > PREFIX_BYTES || strlen(pattern + prefix) > TAIL_BYTES || stars > TAIL_STARS ||
            any > TAIL_ANY);
}

static void add_prefix(cm_buf_t *body, const char *pattern)
{
    cm_str_t prefix = {pattern, strcspn(pattern, "*?")};

    prefix.len = (size_t)cm_utf8_head(prefix, PREFIX_BYTES);
    if (prefix.len == 0)
        return;
    cm_buf_add_text(body, ",{\"prefix\":{\"url\":{\"value\":");
    cm_buf_add_json(body, prefix);
    cm_buf_add_text(body, "}}}");
}

/* Patterns of Clickmill have * and ?; in those of the server a backslash escapes. */
static void add_pattern(cm_buf_t *body, const char *pattern)
{
    cm_buf_t escaped = CM_BUF_INIT;

    if (strpbrk(pattern, "*?") == NULL) {
        add_term(body, "url", pattern);
        return;
    }
    if (is_hard(pattern)) {
        add_prefix(body, pattern);
        return;
    }
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at == '\\')
            cm_buf_add_char(&escaped, '\\');
        cm_buf_add_char(&escaped, *at);
    }
    cm_buf_add_text(body, ",{\"wildcard\":{\"url\":{\"value\":");
    cm_buf_add_json(body, (cm_str_t){escaped.data, escaped.len});
    cm_buf_add_text(body, "}}}");
    cm_buf_free(&escaped);
}

static size_t character(const char *at)
{
    size_t len = 1;
    while (((unsigned char)at[len] & 0xC0) == 0x80)
        len++;
    return len;
}

/* Whether the text, which is UTF-8 and ends with a NUL, matches a pattern: a * takes the shortest
 * run first, and one character more each time the rest does not match. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*pattern == '?') {
            pattern++;
            text += character(text);
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = retry += character(retry);
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static void add_range(cm_buf_t *body, const cm_index_query_t *query)
{
    if (query->window == CM_WINDOW_ALL || (query->from <= 0 && query->to <= 0))
        return;
    cm_buf_add_text(body, ",{\"range\":{\"window_start\":{");
    if (query->from > 0)
        cm_buf_printf(body, "\"gte\":%lld%s", (long long)query->from, query->to > 0 ? "," : "");
    if (query->to > 0)
        cm_buf_printf(body, "\"lt\":%lld", (long long)query->to);
    cm_buf_add_text(body, "}}}");
}

static void add_filter(cm_buf_t *body, const cm_index_query_t *query)
{
    const char *dimension = cm_document_dimensions[query->dimension];

    cm_buf_printf(body, "\"query\":{\"bool\":{\"filter\":[{\"term\":{\"window\":\"%s\"}}",
                  cm_index_window_names[query->window]);
    if (dimension != NULL)
        add_term(body, "dimension", dimension);
    add_range(body, query);
    if (query->url != NULL)
        add_pattern(body, query->url);
    if (query->country != NULL)
        add_term(body, "country", query->country);
    cm_buf_add_text(body, "]}}");
}

/* Keywords sort by their bytes. Missing numbers come last in both directions. */
static void add_sort(cm_buf_t *body, const cm_index_query_t *query)
{
    bool text = query->sort >= CM_SORT_URL;

    if (query->unsorted) {
        cm_buf_add_text(body, "\"sort\":[\"_doc\"]");
        return;
    }
    const char *field = query->sort == CM_SORT_WINDOW ? "window_start" : cm_sort_names[query->sort];

    cm_buf_printf(body, "\"sort\":[{\"%s\":{\"order\":\"%s\",\"missing\":\"_last\"}}", field,
                  text == query->reverse ? "desc" : "asc");
    cm_buf_add_text(body, ",{\"url\":\"asc\"},{\"country\":\"asc\"},{\"window_start\":\"asc\"}]");
}

/* ---- its rows ---- */

typedef struct taking {
    const char *alias;
    const cm_index_query_t *query;
    cm_answer_fn row;
    void *context;
    cm_err_t *err;
    bool begun;          /* row() was called */
    int64_t skip, left;  /* rows to leave out first, and then to give; left < 0: all */
    const char *pattern; /* that rows must match; NULL: the server has matched it */
    cm_buf_t url;
    int rc; /* of row() */
} taking_t;

enum { ENOUGH = 1 };

static int take_row(void *context, cm_str_t id, const cm_answer_t *answer)
{
    taking_t *taking = context;

    if (answer == NULL && taking->query->foreign != NULL) {
        taking->begun = true;
        return taking->rc = taking->query->foreign(taking->context, taking->alias, id);
    }
    /* An unsorted query also serves to verify the index, which needs rows with wrong averages. */
    if (answer == NULL || !(taking->query->unsorted || cm_answer_exact(answer)))
        return cm_fail(taking->err, CM_EIO,
                       "the document %.*s in the index of %s is not an answer of Clickmill: run "
                       "`clickmill process --index elasticsearch --rebuild`",
                       cm_utf8_head(id, 100), id.data, taking->alias);
    if (taking->pattern != NULL) {
        cm_buf_clear(&taking->url);
        cm_buf_add_str(&taking->url, answer->url);
        if (!matches(taking->pattern, taking->url.data))
            return 0;
    }
    if (taking->skip > 0) {
        taking->skip--;
        return 0;
    }
    if (taking->left == 0)
        return ENOUGH;
    if (taking->left > 0)
        taking->left--;
    taking->begun = true;
    taking->rc = taking->row(taking->context, answer);
    return taking->rc != 0 ? taking->rc : taking->left == 0 ? ENOUGH : 0;
}

/* Few rows: one search. */
static int search(cm_index_request_t *request, const char *alias, const cm_index_query_t *query,
                  cm_buf_t *body, taking_t *taking)
{
    cm_documents_page_t page;

    cm_buf_printf(body, ",\"track_total_hits\":false,\"from\":%lld,\"size\":%lld}",
                  (long long)query->offset, (long long)query->limit);
    int rc = cm_index_request(request, CM_REQUEST_SUCCESS, "reading answers", "POST",
                              (cm_str_t){body->data, body->len},
                              "/%s/_search?allow_partial_search_results=false", alias);
    if (rc == 0)
        rc = cm_documents_page(request->reply.body, take_row, taking, NULL, &page, request->err);
    return rc;
}

static int scroll(cm_index_request_t *request, const char *alias, const cm_index_query_t *query,
                  cm_buf_t *body, taking_t *taking)
{
    taking->skip = query->offset;
    cm_buf_printf(body, ",\"size\":%d}", PAGE);
    return cm_index_request_scroll(request, "reading answers", alias,
                                   (cm_str_t){body->data, body->len}, take_row, taking);
}

/* A string that is not UTF-8 is in no answer, and cannot be written in JSON. */
static bool can_match(const cm_index_query_t *query)
{
    return (query->url == NULL || cm_utf8_valid(query->url, strlen(query->url))) &&
           (query->country == NULL || cm_utf8_valid(query->country, strlen(query->country)));
}

static int ask(cm_index_request_t *request, const char *alias, const cm_index_query_t *query,
               taking_t *taking)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_buf_add_char(&body, '{');
    add_filter(&body, query);
    cm_buf_add_char(&body, ',');
    add_sort(&body, query);
    bool few = taking->pattern == NULL && query->limit > 0 && query->limit <= WINDOW &&
               query->offset <= WINDOW - query->limit;
    int rc = few ? search(request, alias, query, &body, taking)
                 : scroll(request, alias, query, &body, taking);
    cm_buf_free(&body);
    return rc;
}

int cm_index_elasticsearch_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                                 void *context, cm_err_t *err)
{
    cm_index_elasticsearch_t *self = (cm_index_elasticsearch_t *)index;
    const char *alias = cm_index_elasticsearch_alias(
        &self->settings, query->dimension == CM_PER_CELL ? CM_PART_CELLS : CM_PART_TOTALS);
    taking_t taking = {.alias = alias,
                       .query = query,
                       .row = row,
                       .context = context,
                       .err = err,
                       .left = query->limit > 0 ? query->limit : -1,
                       .pattern = query->url != NULL && is_hard(query->url) ? query->url : NULL};
    cm_index_request_t request = cm_index_elasticsearch_request(self, err);

    if (!can_match(query))
        return 0;
    int attempt = 1, rc;
    do {
        rc = ask(&request, alias, query, &taking);
    } while (!taking.begun && was_moving(&request, rc, attempt++));
    cm_buf_free(&taking.url);
    if (taking.rc != 0)
        return taking.rc;
    if (rc == CM_EINPUT)
        return cm_index_elasticsearch_fail_empty(self, err);
    return rc == ENOUGH ? 0 : rc;
}

/* ---- documents that are no rows ---- */

typedef struct strangers {
    const char *alias;
    cm_foreign_fn take;
    void *context;
    int rc; /* of take() */
} strangers_t;

static int take_stranger(void *context, cm_str_t id, const cm_answer_t *answer)
{
    strangers_t *strangers = context;

    (void)answer;
    return strangers->rc = strangers->take(strangers->context, strangers->alias, id);
}

static void add_names(cm_buf_t *body, const char *field, const char *const *names, size_t count)
{
    cm_buf_printf(body, "{\"terms\":{\"%s\":[", field);
    for (size_t i = 0; i < count; i++)
        cm_buf_printf(body, "%s\"%s\"", i > 0 ? "," : "", names[i]);
    cm_buf_add_text(body, "]}}");
}

/* All documents but those with a window and, among totals, a dimension of Clickmill. */
static void add_strangers(cm_buf_t *body, cm_index_elasticsearch_part_t part)
{
    static const char *const dimensions[] = {"url", "country", "site", "freshness"};

    cm_buf_add_text(body, "{\"query\":{\"bool\":{\"must_not\":{\"bool\":{\"filter\":[");
    add_names(body, "window", cm_index_window_names, CM_WINDOW_COUNT);
    if (part == CM_PART_TOTALS) {
        cm_buf_add_char(body, ',');
        add_names(body, "dimension", dimensions, sizeof dimensions / sizeof *dimensions);
    }
    cm_buf_printf(body, "]}}}},\"sort\":[\"_doc\"],\"size\":%d}", PAGE);
}

int cm_index_elasticsearch_foreign(cm_index_t *index, cm_foreign_fn take, void *context,
                                   cm_err_t *err)
{
    cm_index_elasticsearch_t *self = (cm_index_elasticsearch_t *)index;
    cm_index_request_t request = cm_index_elasticsearch_request(self, err);
    cm_buf_t body = CM_BUF_INIT;
    int rc = 0;

    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        strangers_t strangers = {.alias = cm_index_elasticsearch_alias(
                                     &self->settings, (cm_index_elasticsearch_part_t)part),
                                 .take = take,
                                 .context = context};
        cm_buf_clear(&body);
        add_strangers(&body, (cm_index_elasticsearch_part_t)part);
        rc = cm_index_request_scroll(&request, "looking for what others wrote", strangers.alias,
                                     (cm_str_t){body.data, body.len}, take_stranger, &strangers);
        if (rc == CM_EINPUT && strangers.rc == 0)
            rc = cm_index_elasticsearch_fail_empty(self, err);
    }
    cm_buf_free(&body);
    return rc;
}

/* 404 without an error: the index exists, but has no such document. */
static int get_freshness(cm_index_request_t *request, cm_window_t window)
{
    static const char *const error_at[] = {"error", "type", NULL};
    char type[64];

    int rc = cm_index_request(request, CM_REQUEST_MISSING, "reading how fresh the answers are",
                              "GET", CM_STR(""), "/%s/_doc/freshness:%s", request->settings->totals,
                              cm_index_window_names[window]);
    if (rc == 0 && request->reply.status == CM_REQUEST_MISSING &&
        cm_document_text_at(request->reply.body, error_at, type, sizeof type))
        return CM_EINPUT;
    return rc;
}

int cm_index_elasticsearch_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                                     cm_err_t *err)
{
    cm_index_elasticsearch_t *self = (cm_index_elasticsearch_t *)index;
    cm_index_request_t request = cm_index_elasticsearch_request(self, err);

    *out = (cm_freshness_t){0};
    int attempt = 1, rc;
    do {
        rc = get_freshness(&request, window);
    } while (was_moving(&request, rc, attempt++));
    if (rc == CM_EINPUT)
        return cm_index_elasticsearch_fail_empty(self, err);
    if (rc == 0)
        rc = cm_document_read_freshness(request.reply.body, out, err);
    if (rc == CM_EIO && index->unchecked) /* of another program: it is ignored */
        rc = 0;
    if (index->daily && !out->daily_ids) { /* the writer did not know it, so not the days either */
        out->daily_ids = true;
        out->daily_visitors = window == CM_WINDOW_ALL;
    }
    return rc;
}
