/* Scans: the ring is cut into ranges of tokens, several of which are read at once, page by page.
 * The next page or range is requested before a page is shown, so that the nodes never wait for the
 * caller. */
#include "cql/dispatch.h"
#include "cql/prepare.h"

#include <stdlib.h>

enum { RANGES = 64, PARALLEL = 8, PAGE_SIZE = 5000, RETRIES = 10, MAX_PARALLEL = 1024 };

typedef struct range {
    int64_t after, until; /* after < token <= until */
} range_t;

struct cm_cql_scan {
    cm_cql_t *session;
    cm_cql_scan_options_t o;
    char *keyspace, *table, *columns;
    cm_cql_page_t page;
    cm_cql_scanned_t scanned;
    void *context;
    cm_cql_prepared_t *prepared;
    cm_cql_call_t **calls; /* `parallel` of them; NULL: none is running */
    cm_cql_call_t *setup;  /* reads the key's columns, then prepares */
    range_t *ranges;
    int range_count, next_range, active;
    bool ended, whole;           /* whole: without ranges, because of another partitioner */
    char *keys[CM_CQL_MAX_KEYS]; /* names of the columns of the partition key */
    cm_cql_scan_stats_t stats;
};

/* ---- the end ---- */

static void drop_calls(cm_cql_scan_t *scan)
{
    for (int i = -1; i < scan->o.parallel && (i < 0 || scan->calls != NULL); i++) {
        cm_cql_call_t **call = i < 0 ? &scan->setup : &scan->calls[i];
        if (*call != NULL)
            cm_cql_call_drop(*call);
        *call = NULL;
    }
}

static void end_scan(cm_cql_scan_t *scan, const cm_cql_error_t *error)
{
    cm_cql_error_t copy;

    if (scan->ended)
        return;
    if (error != NULL)
        copy = *error;
    scan->ended = true;
    scan->session->answered++;
    drop_calls(scan);
    if (scan->scanned != NULL)
        scan->scanned(scan->context, error != NULL ? &copy : NULL);
}

static void end_without_memory(cm_cql_scan_t *scan)
{
    cm_cql_error_t error;

    cm_cql_set_memory_error(&scan->session->loop, &error);
    end_scan(scan, &error);
}

/* ---- ranges ---- */

/* Cuts (after, until] into pieces of at most `width`. Arithmetic is unsigned: it may wrap. False
 * when there is no memory. */
static bool add_ranges(cm_cql_scan_t *scan, int64_t after, int64_t until, uint64_t width)
{
    uint64_t whole = (uint64_t)until - (uint64_t)after;
    uint64_t pieces = whole / width + (whole % width != 0);

    if (whole == 0)
        return true;
    size_t total = (size_t)scan->range_count + (size_t)pieces;
    range_t *ranges = realloc(scan->ranges, total * sizeof *ranges);
    if (ranges == NULL)
        return false;
    scan->ranges = ranges;
    for (uint64_t i = 0; i < pieces; i++) {
        int64_t end = i + 1 < pieces ? (int64_t)((uint64_t)after + width) : until;
        scan->ranges[scan->range_count++] = (range_t){after, end};
        after = end;
    }
    return true;
}

static bool make_ranges(cm_cql_scan_t *scan)
{
    const cm_cql_ring_t *ring = &scan->session->ring;
    uint64_t width = UINT64_MAX / (uint64_t)scan->o.ranges;
    int64_t after = INT64_MIN;

    width += width < UINT64_MAX;
    if (scan->whole)
        width = UINT64_MAX;
    for (size_t i = 0; i < ring->count && !scan->whole; i++) {
        if (!add_ranges(scan, after, ring->tokens[i].token, width))
            return false;
        after = ring->tokens[i].token;
    }
    bool done = add_ranges(scan, after, INT64_MAX, width);
    scan->stats.ranges = scan->range_count;
    return done;
}

/* ---- pages ---- */

static void on_page(cm_cql_call_t *call, const cm_cql_error_t *error,
                    const cm_cql_result_t *result);

static int slot_of(const cm_cql_scan_t *scan, const cm_cql_call_t *call)
{
    int i = 0;
    while (scan->calls[i] != call)
        i++;
    return i;
}

static void ask(cm_cql_call_t *call)
{
    cm_cql_call_submit(call);
    if (call->conn != NULL)
        cm_cql_conn_flush(call->conn);
}

/* Sends the call for the next range. False when there is no memory. */
static bool next_range(cm_cql_scan_t *scan, cm_cql_call_t *call)
{
    const range_t *range = &scan->ranges[scan->next_range];
    cm_cql_value_t values[2] = {cm_cql_i64(range->after), cm_cql_i64(range->until)};

    cm_buf_clear(&call->body);
    cm_buf_clear(&call->paging_state);
    if (!scan->whole) {
        if (!cm_cql_add_values(&call->body, values, 2))
            return false;
        call->token = range->until; /* the ring's node there has the whole range */
        call->has_token = true;
    }
    scan->next_range++;
    ask(call);
    return true;
}

static bool begin_range(cm_cql_scan_t *scan, int slot)
{
    cm_cql_request_t request = {.consistency = scan->o.consistency,
                                .idempotent = true,
                                .page_size = scan->o.page_size,
                                .timeout_ms = scan->o.timeout_ms};
    cm_cql_call_t *call = cm_cql_call_new(scan->session, CM_CQL_OP_EXECUTE, &request);

    if (call == NULL)
        return false;
    call->prepared = scan->prepared;
    call->max_retries = scan->o.max_retries;
    call->finish = on_page;
    call->context = scan;
    scan->calls[slot] = call;
    scan->active++;
    return next_range(scan, call);
}

/* Requests what follows this page: the next one, or the next range; or frees the call. False when
 * there is no memory. */
static bool go_on(cm_cql_scan_t *scan, cm_cql_call_t *call, const cm_cql_rows_t *rows)
{
    call->attempts = 0;
    if (rows->more) {
        cm_buf_clear(&call->paging_state);
        if (!cm_cql_append(&call->paging_state, rows->paging_state))
            return false;
        ask(call);
        return true;
    }
    scan->stats.ranges_done++;
    if (scan->next_range < scan->range_count)
        return next_range(scan, call);
    scan->calls[slot_of(scan, call)] = NULL;
    scan->active--;
    cm_cql_call_free(call);
    return true;
}

static void on_page(cm_cql_call_t *call, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    cm_cql_scan_t *scan = call->context;
    cm_cql_error_t problem;

    if (error != NULL && error->code == CM_CQL_NO_NODE && call->attempts < call->max_retries) {
        call->attempts++; /* no node answers: waits again, as often as max_retries says */
        ask(call);
        return;
    }
    if (error != NULL) {
        end_scan(scan, error);
        return;
    }
    if (result->rows == NULL) {
        cm_cql_set_error(&problem, CM_CQL_PROTOCOL, "a SELECT was answered without rows");
        end_scan(scan, &problem);
        return;
    }
    scan->stats.retries += (uint64_t)call->attempts;
    scan->stats.pages++;
    scan->stats.rows += (uint64_t)result->rows->row_count;
    scan->session->answered++;
    if (!go_on(scan, call, result->rows)) {
        end_without_memory(scan);
        return;
    }
    if (scan->page(scan->context, result->rows) != 0) {
        cm_cql_set_error(&problem, CM_CQL_CANCELLED, "the scan was stopped by its caller");
        end_scan(scan, &problem);
    } else if (scan->active == 0) {
        end_scan(scan, NULL);
    }
}

/* ---- the statement ---- */

static void on_prepared(cm_cql_call_t *call, const cm_cql_error_t *error,
                        const cm_cql_result_t *result)
{
    cm_cql_scan_t *scan = call->context;
    cm_cql_t *s = scan->session;
    cm_cql_error_t problem;

    (void)result;
    if (error == NULL && !cm_cql_prepared_update(scan->prepared, &s->loop, &problem))
        error = &problem;
    if (error != NULL) {
        end_scan(scan, error);
        return;
    }
    scan->setup = NULL;
    cm_cql_call_free(call);
    bool done = make_ranges(scan);
    for (int i = 0; i < scan->o.parallel && scan->next_range < scan->range_count && done; i++)
        done = begin_range(scan, i);
    if (!done)
        end_without_memory(scan);
}

/* "name", with the quotes in it doubled. */
static void add_quoted(cm_buf_t *buf, cm_str_t name)
{
    cm_buf_add_char(buf, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '"')
            cm_buf_add_char(buf, '"');
        cm_buf_add_char(buf, name.data[i]);
    }
    cm_buf_add_char(buf, '"');
}

/* The text of the SELECT. False when there is no memory. */
static bool add_statement(const cm_cql_scan_t *scan, cm_buf_t *text)
{
    enum { WORDS = 100 }; /* bytes of all the keywords below */
    size_t size =
        WORDS + strlen(scan->columns) + 2 * (strlen(scan->keyspace) + strlen(scan->table) + 4);

    for (int i = 0; i < CM_CQL_MAX_KEYS && scan->keys[i] != NULL; i++)
        size += 2 * (2 * strlen(scan->keys[i]) + 3);
    if (!cm_buf_try_reserve(text, size))
        return false;
    cm_buf_add_text(text, "SELECT ");
    cm_buf_add_text(text, scan->columns);
    cm_buf_add_text(text, " FROM ");
    add_quoted(text, cm_str(scan->keyspace));
    cm_buf_add_char(text, '.');
    add_quoted(text, cm_str(scan->table));
    for (int part = 0; part < 2 && !scan->whole; part++) {
        cm_buf_add_text(text, part == 0 ? " WHERE token(" : " AND token(");
        for (int i = 0; i < CM_CQL_MAX_KEYS && scan->keys[i] != NULL; i++) {
            if (i > 0)
                cm_buf_add_char(text, ',');
            add_quoted(text, cm_str(scan->keys[i]));
        }
        cm_buf_add_text(text, part == 0 ? ") > ?" : ") <= ?");
    }
    return true;
}

/* Takes the names of the partition key's columns. False when there is no memory. */
static bool take_keys(cm_cql_scan_t *scan, cm_cql_rows_t *rows)
{
    while (rows != NULL && cm_cql_next(rows)) {
        int position = rows->column_count == 3 ? cm_cql_get_i32(rows->cells[2]) : -1;
        if (position >= 0 && position < CM_CQL_MAX_KEYS &&
            cm_str_equal(rows->cells[1], CM_STR("partition_key"))) {
            free(scan->keys[position]);
            scan->keys[position] = cm_cql_copy(rows->cells[0]);
            if (scan->keys[position] == NULL)
                return false;
        }
    }
    return true;
}

static void on_columns(cm_cql_call_t *call, const cm_cql_error_t *error,
                       const cm_cql_result_t *result)
{
    cm_cql_scan_t *scan = call->context;
    cm_cql_t *s = scan->session;
    cm_cql_error_t problem;
    cm_buf_t text = CM_BUF_INIT;

    if (error != NULL) {
        end_scan(scan, error);
        return;
    }
    if (!take_keys(scan, result->rows)) {
        end_without_memory(scan);
        return;
    }
    if (scan->keys[0] == NULL) {
        cm_cql_set_error(&problem, CM_CQL_INVALID, "there is no table %s.%s", scan->keyspace,
                         scan->table);
        end_scan(scan, &problem);
        return;
    }
    scan->setup = NULL;
    cm_cql_call_free(call);
    scan->whole = !s->murmur3;
    if (add_statement(scan, &text))
        scan->prepared = cm_cql_statement(s, (cm_str_t){text.data, text.len});
    cm_buf_free(&text);
    if (scan->prepared != NULL)
        scan->setup = cm_cql_prepare_call(s, scan->prepared);
    if (scan->setup == NULL) {
        end_without_memory(scan);
        return;
    }
    scan->setup->finish = on_prepared;
    scan->setup->context = scan;
    cm_cql_call_submit(scan->setup);
}

/* Asks for the columns of the table. False when there is no memory. */
static bool read_columns(cm_cql_scan_t *scan)
{
    static const char text[] = "SELECT column_name, kind, position FROM system_schema.columns "
                               "WHERE keyspace_name = ? AND table_name = ?";
    cm_cql_request_t request = {.idempotent = true, .consistency = CM_CQL_ONE};
    cm_cql_value_t values[2] = {cm_cql_text(cm_str(scan->keyspace)),
                                cm_cql_text(cm_str(scan->table))};
    cm_cql_call_t *call = cm_cql_call_new(scan->session, CM_CQL_OP_QUERY, &request);

    if (call == NULL)
        return false;
    if (!cm_cql_append(&call->body, cm_str(text)) || !cm_cql_add_values(&call->body, values, 2)) {
        cm_cql_call_free(call);
        return false;
    }
    call->values_at = sizeof text - 1;
    call->finish = on_columns;
    call->context = scan;
    scan->setup = call;
    cm_cql_call_submit(call);
    return true;
}

/* ---- opening and closing ---- */

static void fill(int *value, int otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

int cm_cql_scan_open(cm_cql_t *s, const cm_cql_scan_options_t *options, cm_cql_page_t page,
                     cm_cql_scanned_t scanned, void *context, cm_cql_scan_t **scan, cm_err_t *err)
{
    cm_cql_scan_options_t o = *options;
    int rc = cm_cql_admit(s, err);

    fill(&o.ranges, RANGES);
    fill(&o.parallel, PARALLEL);
    fill(&o.page_size, PAGE_SIZE);
    fill(&o.max_retries, RETRIES);
    if (rc < 0)
        return rc;
    if (o.keyspace == NULL || o.table == NULL || o.ranges < 1 || o.ranges > 1 << 20 ||
        o.parallel < 1 || o.parallel > MAX_PARALLEL || o.page_size < 1)
        return cm_fail(err, CM_EUSAGE,
                       "cql: a scan needs a keyspace, a table, 1 to %d ranges, 1 to %d at once and "
                       "pages of a row or more",
                       1 << 20, MAX_PARALLEL);
    cm_cql_scan_t *made = calloc(1, sizeof *made);
    if (made == NULL)
        return cm_cql_fail_memory(err);
    made->session = s;
    made->o = o;
    made->page = page;
    made->scanned = scanned;
    made->context = context;
    made->keyspace = cm_cql_copy(cm_str(o.keyspace));
    made->table = cm_cql_copy(cm_str(o.table));
    made->columns = cm_cql_copy(cm_str(o.columns != NULL ? o.columns : "*"));
    made->calls = calloc((size_t)o.parallel, sizeof(cm_cql_call_t *));
    if (made->keyspace == NULL || made->table == NULL || made->columns == NULL ||
        made->calls == NULL || !read_columns(made)) {
        cm_cql_scan_close(made);
        return cm_cql_fail_memory(err);
    }
    *scan = made;
    return 0;
}

void cm_cql_scan_stats(const cm_cql_scan_t *scan, cm_cql_scan_stats_t *stats)
{
    *stats = scan->stats;
}

void cm_cql_scan_close(cm_cql_scan_t *scan)
{
    if (scan == NULL)
        return;
    drop_calls(scan);
    for (int i = 0; i < CM_CQL_MAX_KEYS; i++)
        free(scan->keys[i]);
    free(scan->keyspace);
    free(scan->table);
    free(scan->columns);
    free(scan->calls);
    free(scan->ranges);
    free(scan);
}
