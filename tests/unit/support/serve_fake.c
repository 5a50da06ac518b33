#include "serve_fake.h"

#include "base/clock.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct fake_index {
    cm_index_t base;
    serve_fake_t *fake;
    atomic_flag busy; /* a handle is used by one thread at a time */
} fake_index_t;

/* ---- the index ---- */

static void fake_note(serve_fake_t *fake, const cm_index_query_t *query)
{
    pthread_mutex_lock(&fake->lock);
    fake->asked = *query;
    if (query->url != NULL) {
        snprintf(fake->url, sizeof fake->url, "%s", query->url);
        fake->asked.url = fake->url;
    }
    if (query->country != NULL) {
        snprintf(fake->country, sizeof fake->country, "%s", query->country);
        fake->asked.country = fake->country;
    }
    pthread_mutex_unlock(&fake->lock);
}

/* No texts of the canned rows have a NUL missing: they are literals. */
static bool fake_wants(const cm_index_query_t *query, const cm_answer_t *row)
{
    return row->dimension == query->dimension && row->window == query->window &&
           (query->url == NULL || fnmatch(query->url, row->url.data, 0) == 0) &&
           (query->country == NULL || strcmp(query->country, row->country.data) == 0) &&
           row->window_start >= query->from && (query->to == 0 || row->window_start < query->to);
}

static int fake_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                      void *context, cm_err_t *err)
{
    fake_index_t *self = (fake_index_t *)index;
    serve_fake_t *fake = self->fake;
    int64_t seen = 0;
    int rc = 0;

    assert(!atomic_flag_test_and_set(&self->busy));
    atomic_fetch_add(&fake->querying, 1);
    atomic_fetch_add(&fake->queries, 1);
    fake_note(fake, query);
    for (int left = fake->query_ms; left > 0 && rc == 0; left -= 10) {
        cm_sleep_ms(left < 10 ? left : 10);
        if (query->gives_up != NULL && query->gives_up(query->gives_up_context))
            rc = cm_fail(err, CM_ESTOP, "no client waits");
    }
    if (fake->query_rc < 0)
        rc = cm_fail(err, fake->query_rc, "the fake index fails");
    for (size_t i = 0; i < fake->row_count && rc == 0; i++) {
        if (!fake_wants(query, &fake->rows[i]) || seen++ < query->offset)
            continue;
        if (query->limit > 0 && seen > query->offset + query->limit)
            break;
        rc = row(context, &fake->rows[i]);
        if (rc == 0 && fake->fail_at > 0 && seen >= fake->fail_at)
            rc = cm_fail(err, CM_EIO, "the fake index fails");
    }
    atomic_fetch_sub(&fake->querying, 1);
    atomic_flag_clear(&self->busy);
    return rc;
}

static int fake_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out, cm_err_t *err)
{
    serve_fake_t *fake = ((fake_index_t *)index)->fake;
    (void)window;

    if (fake->freshness_rc < 0)
        return cm_fail(err, fake->freshness_rc, "the fake index fails");
    *out = (cm_freshness_t){.present = fake->updated_at > 0,
                            .accepted = 20,
                            .processed = 19,
                            .events = 17,
                            .duplicates = 2,
                            .cells = 3,
                            .updated_at = fake->updated_at,
                            .dead = 1};
    return 0;
}

static void fake_close(cm_index_t *index)
{
    atomic_fetch_add(&((fake_index_t *)index)->fake->closed, 1);
    free(index);
}

static const cm_index_ops_t fake_ops = {
    .query = fake_query, .freshness = fake_freshness, .close = fake_close};

int serve_fake_open(void *context, cm_index_t **index, cm_err_t *err)
{
    serve_fake_t *fake = context;

    if (fake->open_rc < 0)
        return cm_fail(err, fake->open_rc, "the fake index does not open");
    fake_index_t *opened = cm_alloc_zero(1, sizeof *opened);
    opened->base.ops = &fake_ops;
    opened->fake = fake;
    atomic_fetch_add(&fake->opened, 1);
    *index = &opened->base;
    return 0;
}

#define ROW(dim, win, start, u, c, ...)                                                            \
    {                                                                                              \
        .dimension = dim, .window = win, .window_start = start, .url = CM_STR(u),                  \
        .country = CM_STR(c), .measures = {__VA_ARGS__}, .updated_at = UPDATED_AT                  \
    }

const cm_answer_t serve_fake_rows[] = {
    ROW(CM_PER_CELL, CM_WINDOW_ALL, 0, "https://x.example/", "Peru", 9, 4, 90, 7, 61, 6, 3, 2),
    ROW(CM_PER_CELL, CM_WINDOW_ALL, 0, "https://x.example/", "Chad", 5, 2, 10, 3, 10, 3, 1, 1),
    ROW(CM_PER_CELL, CM_WINDOW_ALL, 0, "https://x.example/a,\"b\"", "Côte d'Ivoire", 3, 1, 0, 0, 0,
        0, 0, 1),
    ROW(CM_PER_URL, CM_WINDOW_ALL, 0, "https://x.example/", "", 14, 5, 100, 10, 71, 9, 4, 3),
    ROW(CM_PER_COUNTRY, CM_WINDOW_ALL, 0, "", "Peru", 9, 4, 90, 7, 61, 6, 3, 2),
    ROW(CM_PER_NOTHING, CM_WINDOW_ALL, 0, "", "", 17, 5, 100, 10, 71, 9, 4, 4),
    ROW(CM_PER_NOTHING, CM_WINDOW_HOUR, NOON - CM_HOUR_MS, "", "", 6, 3, 8, 2, 8, 2, 2, 1),
    ROW(CM_PER_NOTHING, CM_WINDOW_HOUR, NOON, "", "", 11, 5, 92, 8, 63, 7, 2, 3),
};

serve_fake_t *serve_fake_new(void)
{
    serve_fake_t *fake = cm_alloc_zero(1, sizeof *fake);

    fake->rows = serve_fake_rows;
    fake->row_count = sizeof serve_fake_rows / sizeof serve_fake_rows[0];
    fake->updated_at = UPDATED_AT;
    pthread_mutex_init(&fake->lock, NULL);
    return fake;
}

/* Every handle must have been closed by now. */
void serve_fake_free(serve_fake_t *fake)
{
    assert_int_equal(fake->opened, fake->closed);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}

/* ---- the server ---- */

const cm_log_t serve_fake_log = {.level = CM_LOG_ERROR, .fd = -1};

cm_server_t *serve_fake_start(serve_fake_t *fake, cm_server_options_t options)
{
    cm_server_t *server = NULL;
    cm_err_t err;

    if (options.listen == NULL)
        options.listen = "127.0.0.1:0";
    options.open_index = serve_fake_open;
    options.open_context = fake;
    if (cm_server_start(&options, &serve_fake_log, &server, &err) != 0)
        fail_msg("%s", err.text);
    return server;
}

int serve_rig_open(void **state, cm_server_options_t options)
{
    serve_rig_t *rig = cm_alloc_zero(1, sizeof *rig);

    rig->fake = serve_fake_new();
    rig->server = serve_fake_start(rig->fake, options);
    rig->port = cm_server_port(rig->server);
    *state = rig;
    return 0;
}

int serve_rig_close(void **state)
{
    serve_rig_t *rig = *state;

    cm_server_stop(rig->server);
    serve_fake_free(rig->fake);
    free(rig);
    return 0;
}
