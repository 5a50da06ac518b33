/* Reading the index on Elasticsearch. */
#include "index/elasticsearch.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 10000, /* of a question: somebody waits for the answer */
    AT_ONCE = 10000,    /* hits that a search gives without a scroll */
    PAGE = 5000,
    PATH = 2 * CM_INDEX_NAME,
};

typedef struct elastic_index {
    cm_index_t index; /* first */
    cm_elastic_settings_t settings;
    cm_elastic_t *client;
    cm_json_parser_t *parser;
} elastic_index_t;

/* ---- a query as a search ---- */

static void add_term(cm_buf_t *body, const char *field, const char *value)
{
    cm_buf_printf(body, ",{\"term\":{\"%s\":", field);
    cm_buf_add_json(body, cm_str(value));
    cm_buf_add_text(body, "}}");
}

/* A pattern with * and ?; what else has a meaning there is escaped. */
static void add_pattern(cm_buf_t *body, const char *pattern)
{
    cm_buf_t escaped = CM_BUF_INIT;

    if (strpbrk(pattern, "*?") == NULL) {
        add_term(body, "url", pattern);
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

static void add_filter(cm_buf_t *body, const cm_query_t *query)
{
    static const char *const dimensions[CM_DIMENSION_COUNT] = {
        [CM_PER_URL] = "url", [CM_PER_COUNTRY] = "country", [CM_PER_NOTHING] = "site"};

    cm_buf_printf(body, "\"query\":{\"bool\":{\"filter\":[{\"term\":{\"window\":\"%s\"}}",
                  cm_window_names[query->window]);
    if (query->dimension != CM_PER_CELL)
        add_term(body, "dimension", dimensions[query->dimension]);
    if (query->window != CM_WINDOW_ALL && query->from > 0)
        cm_buf_printf(body, ",{\"range\":{\"window_start\":{\"gte\":%lld}}}",
                      (long long)query->from);
    if (query->window != CM_WINDOW_ALL && query->to > 0)
        cm_buf_printf(body, ",{\"range\":{\"window_start\":{\"lt\":%lld}}}", (long long)query->to);
    if (query->url != NULL)
        add_pattern(body, query->url);
    if (query->country != NULL)
        add_term(body, "country", query->country);
    cm_buf_add_text(body, "]}}");
}

/* As the embedded index orders: absent averages last, ties by url, country, window start. Absent
 * texts come first there, as NULLs do. */
static void add_sort(cm_buf_t *body, const cm_query_t *query)
{
    const bool text = query->sort >= CM_SORT_URL;
    if (query->unsorted) {
        cm_buf_add_text(body, "\"sort\":[\"_doc\"]");
        return;
    }
    const char *field = query->sort == CM_SORT_WINDOW ? "window_start" : cm_sort_names[query->sort];

    cm_buf_printf(body,
                  "\"sort\":[{\"%s\":{\"order\":\"%s\",\"missing\":\"_last\"}},"
                  "{\"url\":{\"missing\":\"_first\"}},{\"country\":{\"missing\":\"_first\"}},"
                  "{\"window_start\":{\"missing\":\"_first\"}}]",
                  field, text == query->reverse ? "desc" : "asc");
}

/* ---- rows ---- */

typedef struct rows {
    cm_answer_fn row;
    void *context;
    int64_t skip, limit; /* rows to leave out first, and then to give at most; limit 0: all */
    int64_t given;
    int rc; /* what `row` has returned */
    cm_err_t *err;
} rows_t;

enum { ENOUGH = 1 }; /* ends a walk that has all it wanted */

static int take_document(void *context, const cm_document_t *document)
{
    rows_t *rows = context;

    if (rows->skip > 0) {
        rows->skip--;
        return 0;
    }
    if (rows->limit > 0 && rows->given == rows->limit)
        return ENOUGH;
    rows->given++;
    if (!document->whole)
        return cm_fail(rows->err, CM_EIO,
                       "document %.*s of the index is no answer; `clickmill process --rebuild` "
                       "makes the index anew",
                       (int)document->id.len, document->id.data);
    rows->rc = rows->row(rows->context, &document->answer);
    return rows->rc != 0 ? ENOUGH : 0;
}

static int missing(const elastic_index_t *self, cm_err_t *err)
{
    return cm_fail(err, CM_EINPUT,
                   "%s has no index %s yet: run `clickmill process --index elasticsearch`",
                   cm_elastic_host(self->client), self->settings.index);
}

/* One search; for what fits into its answer. */
static int search(elastic_index_t *self, const char *alias, cm_str_t body, rows_t *rows,
                  cm_err_t *err)
{
    cm_elastic_reply_t reply;
    char path[PATH];
    int64_t total;
    size_t count;
    cm_json_t root;

    snprintf(path, sizeof path, "/%s/_search", alias);
    int rc = cm_elastic_request(self->client, "POST", path, body, &reply, err);
    if (rc < 0)
        return rc;
    if (reply.status == 404)
        return missing(self, err);
    if (reply.status != 200)
        return cm_elastic_fail(&self->settings, &reply, "asking the index", err);
    if (!cm_json_parse(self->parser, reply.body, &root))
        return cm_fail(err, CM_EIO, "%s answers a search with something else than JSON",
                       cm_elastic_host(self->client));
    return cm_documents_each(root, take_document, rows, &count, &total, err);
}

static int elastic_query(cm_index_t *index, const cm_query_t *query, cm_answer_fn row,
                         void *context, cm_err_t *err)
{
    elastic_index_t *self = (elastic_index_t *)index;
    const char *alias =
        query->dimension == CM_PER_CELL ? self->settings.index : self->settings.totals;
    const bool once = query->limit > 0 && query->offset + query->limit <= AT_ONCE;
    rows_t rows = {.row = row, .context = context, .limit = query->limit, .err = err};
    cm_buf_t body = CM_BUF_INIT;
    int rc;

    if (once) {
        cm_buf_printf(&body, "{\"from\":%lld,\"size\":%lld,\"track_total_hits\":false,",
                      (long long)query->offset, (long long)query->limit);
    } else {
        cm_buf_printf(&body, "{\"size\":%d,\"track_total_hits\":true,", PAGE);
        rows.skip = query->offset;
    }
    add_filter(&body, query);
    cm_buf_add_char(&body, ',');
    add_sort(&body, query);
    cm_buf_add_char(&body, '}');
    const cm_str_t asked = {body.data, body.len};
    rc = once ? search(self, alias, asked, &rows, err)
              : cm_elastic_walk(self->client, &self->settings, NULL, alias, asked, take_document,
                                &rows, err);
    cm_buf_free(&body);
    if (rc == CM_EINPUT)
        return missing(self, err);
    return rc == ENOUGH ? rows.rc : rc;
}

/* ---- freshness ---- */

/* Read by its id, which is up to date before searches are. */
static int elastic_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                             cm_err_t *err)
{
    elastic_index_t *self = (elastic_index_t *)index;
    cm_elastic_reply_t reply;
    cm_json_t root, source;
    char path[PATH];

    *out = (cm_freshness_t){0};
    snprintf(path, sizeof path, "/%s/_doc/freshness:%s", self->settings.totals,
             cm_window_names[window]);
    int rc = cm_elastic_request(self->client, "GET", path, (cm_str_t){"", 0}, &reply, err);
    if (rc < 0)
        return rc;
    if (reply.status != 200 && reply.status != 404)
        return cm_elastic_fail(&self->settings, &reply, "asking the index", err);
    if (!cm_json_parse(self->parser, reply.body, &root))
        return cm_fail(err, CM_EIO, "%s answers with something else than JSON",
                       cm_elastic_host(self->client));
    if (reply.status == 404)
        return cm_json_get(root, "error", &source) ? missing(self, err) : 0;
    if (cm_json_get(root, "_source", &source) && cm_document_freshness(source, out))
        return 0;
    *out = (cm_freshness_t){0};
    return 0;
}

/* ---- opening ---- */

static void elastic_close(cm_index_t *index)
{
    elastic_index_t *self = (elastic_index_t *)index;

    cm_elastic_close(self->client);
    cm_json_parser_free(self->parser);
    free(self);
}

int cm_index_open_elasticsearch(const cm_elastic_settings_t *settings, cm_index_t **index,
                                cm_err_t *err)
{
    static const cm_index_ops_t ops = {elastic_query, elastic_freshness, elastic_close, NULL};
    elastic_index_t *self = cm_alloc_zero(1, sizeof *self);
    cm_freshness_t unused;

    self->index.ops = &ops;
    self->settings = *settings;
    if (self->settings.timeout_ms > TIMEOUT_MS)
        self->settings.timeout_ms = TIMEOUT_MS;
    int rc = cm_elastic_open(&self->settings, &self->client, err);
    if (rc < 0) {
        free(self);
        return rc;
    }
    self->parser = cm_json_parser_new();
    rc = elastic_freshness(&self->index, CM_WINDOW_ALL, &unused, err);
    if (rc < 0)
        elastic_close(&self->index);
    else
        *index = &self->index;
    return rc;
}
