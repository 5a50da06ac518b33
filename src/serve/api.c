#include "serve/api.h"

#include "base/clock.h"
#include "index/listing.h"
#include "serve/params.h"
#include "serve/reply.h"

struct cm_api_endpoint {
    const char *path;
    cm_listing_t listing;
    bool windows; /* it lists windows in order of time */
};

static const cm_api_endpoint_t endpoints[] = {
    {"/api/answers", CM_LIST_ANSWERS, false},     {"/api/pages", CM_LIST_PAGES, false},
    {"/api/countries", CM_LIST_COUNTRIES, false}, {"/api/summary", CM_LIST_SUMMARY, false},
    {"/api/series", CM_LIST_SUMMARY, true},
};

enum {
    ENDPOINT_SUMMARY = 3,
    DOWNLOAD_SECONDS = 10, /* after which a download may be tried again */
    QUERY_SECONDS = 1,     /* the same for another query */
};

const cm_api_endpoint_t *cm_api_find(const char *path)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        if (strcmp(endpoints[i].path, path) == 0)
            return &endpoints[i];
    }
    return NULL;
}

static void init_params(const cm_api_endpoint_t *endpoint, cm_params_t *params)
{
    cm_params_init(params);
    if (endpoint->windows) {
        params->query.window = CM_WINDOW_HOUR;
        params->query.sort = CM_SORT_WINDOW;
        params->query.limit = CM_PARAMS_LIMIT_MAX;
    }
}

static int finish_params(const cm_api_endpoint_t *endpoint, cm_params_t *params, cm_err_t *err)
{
    cm_index_query_t *query = &params->query;

    if (endpoint->windows && query->window == CM_WINDOW_ALL)
        return cm_fail(err, CM_EUSAGE, "window must be day or hour for a series");
    query->dimension = cm_listing_dimension(endpoint->listing, query);
    return cm_params_check(params, err);
}

static void add_freshness(cm_buf_t *body, const cm_freshness_t *freshness)
{
    char when[CM_TIME_TEXT];

    cm_buf_printf(body,
                  "{\"present\":%s,\"accepted\":%lld,\"processed\":%lld,\"events\":%lld,"
                  "\"duplicates\":%lld,\"cells\":%lld,\"dead\":%lld,\"updated_at\":",
                  freshness->present ? "true" : "false", (long long)freshness->accepted,
                  (long long)freshness->processed, (long long)freshness->events,
                  (long long)freshness->duplicates, (long long)freshness->cells,
                  (long long)freshness->dead);
    if (freshness->updated_at > 0)
        cm_buf_printf(body, "\"%s\"}", cm_time_format(freshness->updated_at, when));
    else
        cm_buf_add_text(body, "null}");
}

typedef struct rows {
    cm_buf_t *body;
    bool csv, safe;
    int64_t count;
    cm_api_row_fn after;
    void *context;
    cm_err_t *err;
} rows_t;

static int add_row(void *context, const cm_answer_t *answer)
{
    rows_t *rows = context;

    if (rows->safe) {
        cm_answer_add_safe_csv(rows->body, answer);
    } else if (rows->csv) {
        cm_answer_add_csv(rows->body, answer);
    } else {
        if (rows->count++ > 0)
            cm_buf_add_text(rows->body, ",\n");
        cm_answer_add_json(rows->body, answer);
    }
    return rows->after != NULL ? rows->after(rows->context, rows->err) : 0;
}

/* The freshness is read before the rows, so that the rows are at least as fresh. */
int cm_api_add_rows(cm_index_t *index, const cm_params_t *params, cm_buf_t *body,
                    cm_api_row_fn after, void *context, cm_err_t *err)
{
    const cm_index_query_t *query = &params->query;
    cm_freshness_t freshness = {0};
    rows_t rows = {.body = body,
                   .csv = params->csv,
                   .safe = params->safe,
                   .after = after,
                   .context = context,
                   .err = err};
    int rc = 0;

    if (index != NULL)
        rc = cm_index_freshness(index, query->window, &freshness, err);
    if (rc < 0)
        return rc;
    if (params->csv)
        cm_answer_add_csv_header(body, query->window);
    else
        cm_buf_printf(body, "{\"window\":\"%s\",\"visitors\":\"%s\",\"rows\":[",
                      cm_index_window_names[query->window], cm_freshness_visitors(&freshness));
    if (freshness.present)
        rc = cm_index_query(index, query, add_row, &rows, err);
    if (rc < 0 || params->csv)
        return rc;
    cm_buf_add_text(body, "],\"freshness\":");
    add_freshness(body, &freshness);
    cm_buf_add_text(body, "}\n");
    return 0;
}

/* Borrows a handle; NULL, without an error, when there is no index yet. */
static int take_handle(cm_handle_pool_t *handles, cm_index_t **index, cm_err_t *err)
{
    *index = NULL;
    int rc = cm_handle_pool_take(handles, index, err);
    return rc == CM_EINPUT ? 0 : rc;
}

static void give_handle(cm_handle_pool_t *handles, cm_index_t *index, int rc)
{
    if (index != NULL)
        cm_handle_pool_give(handles, index, rc >= 0);
}

int cm_api_answer(cm_handle_pool_t *handles, const cm_params_t *params, cm_buf_t *body,
                  cm_err_t *err)
{
    cm_index_t *index;

    int rc = take_handle(handles, &index, err);
    if (rc < 0)
        return rc;
    rc = cm_api_add_rows(index, params, body, NULL, NULL, err);
    give_handle(handles, index, rc);
    if (rc == CM_EINPUT) { /* the index was deleted after it was opened */
        cm_buf_clear(body);
        rc = cm_api_add_rows(NULL, params, body, NULL, NULL, err);
    }
    return rc;
}

int cm_api_add_summary(cm_handle_pool_t *handles, cm_buf_t *body, cm_err_t *err)
{
    const cm_api_endpoint_t *endpoint = &endpoints[ENDPOINT_SUMMARY];
    cm_params_t params;

    init_params(endpoint, &params);
    int rc = finish_params(endpoint, &params, err);
    return rc < 0 ? rc : cm_api_answer(handles, &params, body, err);
}

int cm_api_freshness(cm_handle_pool_t *handles, cm_window_t window, cm_freshness_t *freshness,
                     cm_err_t *err)
{
    cm_index_t *index;

    *freshness = (cm_freshness_t){0};
    int rc = take_handle(handles, &index, err);
    if (rc < 0)
        return rc;
    if (index != NULL)
        rc = cm_index_freshness(index, window, freshness, err);
    give_handle(handles, index, rc);
    if (rc == CM_EINPUT) { /* it was deleted after it was opened */
        *freshness = (cm_freshness_t){0};
        rc = 0;
    }
    return rc;
}

typedef struct reading {
    cm_params_t params;
    cm_err_t err;
    int rc;
} reading_t;

static enum MHD_Result read_param(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t name_len, const char *value, size_t value_len)
{
    reading_t *reading = context;
    (void)kind;

    reading->rc = cm_params_set(&reading->params, (cm_str_t){name, name_len},
                                (cm_str_t){value, value_len}, &reading->err);
    return reading->rc < 0 ? MHD_NO : MHD_YES;
}

/* True when it has replied, with `*result`, because the request is bad. */
static bool refuse_params(const cm_api_endpoint_t *endpoint, struct MHD_Connection *connection,
                          reading_t *reading, enum MHD_Result *result)
{
    init_params(endpoint, &reading->params);
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, read_param, reading);
    if (reading->rc == 0)
        reading->rc = finish_params(endpoint, &reading->params, &reading->err);
    if (reading->rc < 0)
        *result = cm_reply_error(connection, MHD_HTTP_BAD_REQUEST, reading->err.text);
    return reading->rc < 0;
}

static enum MHD_Result queue_query(const cm_params_t *params, struct MHD_Connection *connection,
                                   const cm_api_request_t *request)
{
    *request->query = cm_api_query_start(request->queue, params, connection, request->loop);
    return *request->query != NULL
               ? MHD_YES
               : cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                "too many queries are waiting; try again later", QUERY_SECONDS);
}

enum MHD_Result cm_api_reply(const cm_api_endpoint_t *endpoint, struct MHD_Connection *connection,
                             const cm_api_request_t *request)
{
    reading_t reading = {.rc = 0};
    enum MHD_Result result;

    if (*request->download != NULL)
        return cm_download_reply(*request->download, connection, request->head);
    if (*request->query != NULL)
        return cm_api_query_reply(*request->query, connection);
    if (refuse_params(endpoint, connection, &reading, &result))
        return result;
    if (reading.params.query.limit == 0) {
        *request->download =
            cm_download_start(request->downloads, &reading.params, connection, request->loop);
        return *request->download != NULL
                   ? MHD_YES
                   : cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                    "too many downloads are in progress; try again later",
                                    DOWNLOAD_SECONDS);
    }
    return queue_query(&reading.params, connection, request);
}

/* ---- questions to the raw events ---- */

typedef struct question_reading {
    cm_buf_t text;
    cm_err_t err;
    int rc;
} question_reading_t;

static enum MHD_Result read_question(void *context, enum MHD_ValueKind kind, const char *name,
                                     size_t name_len, const char *value, size_t value_len)
{
    question_reading_t *reading = context;
    (void)kind;

    reading->rc = cm_questions_set(&reading->text, (cm_str_t){name, name_len},
                                   (cm_str_t){value, value_len}, &reading->err);
    return reading->rc < 0 ? MHD_NO : MHD_YES;
}

enum MHD_Result cm_api_reply_question(struct MHD_Connection *connection,
                                      const cm_api_request_t *request)
{
    question_reading_t reading = {.text = CM_BUF_INIT};
    cm_questions_format_t format = {.csv = false};
    enum MHD_Result result;

    if (*request->query != NULL)
        return cm_api_query_reply(*request->query, connection);
    cm_buf_reserve(&reading.text, 1);
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, read_question, &reading);
    const cm_str_t text = {reading.text.data, reading.text.len};
    if (reading.rc == 0) /* what is wrong is answered at once; the span is that of the answer */
        reading.rc = cm_questions_check(text, &format, &reading.err);
    const cm_params_t params = {.csv = format.csv, .safe = format.safe, .question = text};
    if (reading.rc < 0)
        result = cm_reply_error(connection, MHD_HTTP_BAD_REQUEST, reading.err.text);
    else
        result = queue_query(&params, connection, request);
    cm_buf_free(&reading.text);
    return result;
}
