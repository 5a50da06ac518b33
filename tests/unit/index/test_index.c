/* The door of the index: the same assertions over the index that the mill writes and over mirrors
 * of it, embedded and on Elasticsearch, and what verify finds between the two. */
#include "elastic_world.h"
#include "index_site.h"

#include "index/embedded/refresh.h"
#include "index/open.h"
#include "index/verify.h"

/* An index that the mill has written, and a mirror of it: in another directory, or on a server. */
typedef struct pair {
    int engine; /* cm_index_choice_t; of the mirror */
    site_t *source, *mirror;
    elastic_world_t server;
    cm_index_t *made, *copied; /* handles: for reading the first, for writing the second */
    cm_index_checkpoint_t checkpoint;
    cm_index_applied_t applied;
} pair_t;

static void refresh(site_t *site)
{
    const cm_index_refresh_options_t options = {.windows = cm_window_mask(CM_WINDOW_ALL),
                                                .session_timeout = TIMEOUT,
                                                .clock = &site->clock};
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    site_commit(site);
    site->now += 1000;
    assert_ok(cm_index_refresh(site->store, &options, &refreshed, &err), err);
}

/* The source begins to remember which rows vanish, as for every mirror. */
static void follow(pair_t *pair)
{
    const cm_index_settings_t settings = {.data_dir = pair->source->directory};
    cm_index_t *writer;
    cm_err_t err;

    assert_ok(cm_index_open_writer(&settings, pair->source->store, &writer, &err), err);
    assert_ok(cm_index_checkpoint(writer, pair->copied->name, &pair->checkpoint, &err), err);
    cm_index_close(writer);
}

static void pair_open(pair_t *pair, int engine)
{
    void *source, *mirror;
    cm_err_t err;

    site_set_up(&source);
    site_set_up(&mirror);
    *pair = (pair_t){.engine = engine, .source = source, .mirror = mirror};
    elastic_world_open(&pair->server);
    site_click(source, "u1", site_day, "/a", "Peru");
    site_click(source, "u2", site_day + 1000, "/a", "Peru");
    site_click(source, "u1", site_day + 2000, "/b", "Chile");
    refresh(source);
    const cm_index_settings_t made = {.data_dir = pair->source->directory};
    const cm_index_settings_t copied = {.engine = engine,
                                        .data_dir = pair->mirror->directory,
                                        .elasticsearch = pair->server.settings};
    assert_ok(cm_index_open(&made, &pair->made, &err), err);
    assert_ok(cm_index_open_writer(&copied, pair->mirror->store, &pair->copied, &err), err);
    follow(pair);
}

static void pair_close(pair_t *pair)
{
    void *source = pair->source, *mirror = pair->mirror;

    cm_index_close(pair->made);
    cm_index_close(pair->copied);
    elastic_world_close(&pair->server);
    site_tear_down(&source);
    site_tear_down(&mirror);
}

static void apply(pair_t *pair)
{
    cm_err_t err;

    assert_ok(cm_index_apply(pair->copied, pair->made, &(cm_index_apply_t){.rebuild = false},
                             &pair->checkpoint, &pair->applied, &err),
              err);
}

static int take_row(void *context, const cm_answer_t *answer)
{
    cm_buf_printf(context, "%.*s %.*s %lld %lld|", (int)answer->url.len, answer->url.data,
                  (int)answer->country.len, answer->country.data,
                  (long long)answer->measures.clicks, (long long)answer->measures.users);
    return 0;
}

static void check_query(cm_index_t *index, const cm_index_query_t *query, const char *expected)
{
    cm_buf_t rows = CM_BUF_INIT;
    cm_err_t err;

    cm_buf_reserve(&rows, 1);
    assert_ok(cm_index_query(index, query, take_row, &rows, &err), err);
    assert_string_equal(rows.data, expected);
    cm_buf_free(&rows);
}

/* The assertions that hold for all. `of_others`: the answers count as another store's. */
static void check_answers(cm_index_t *index, bool of_others)
{
    cm_freshness_t freshness;
    unsigned own, others;
    int64_t watermark;
    cm_err_t err;

    check_query(index, &(cm_index_query_t){.dimension = CM_PER_CELL}, "/a Peru 2 2|/b Chile 1 1|");
    check_query(index, &(cm_index_query_t){.dimension = CM_PER_CELL, .sort = CM_SORT_COUNTRY},
                "/b Chile 1 1|/a Peru 2 2|");
    check_query(index, &(cm_index_query_t){.dimension = CM_PER_CELL, .limit = 1, .offset = 1},
                "/b Chile 1 1|");
    check_query(index, &(cm_index_query_t){.dimension = CM_PER_URL, .url = "/?"},
                "/a  2 2|/b  1 1|");
    check_query(index, &(cm_index_query_t){.dimension = CM_PER_COUNTRY, .country = "Peru"},
                " Peru 2 2|");
    check_query(index, &(cm_index_query_t){.dimension = CM_PER_NOTHING}, "  3 2|");
    check_query(index, &(cm_index_query_t){.window = CM_WINDOW_DAY}, "");
    assert_ok(cm_index_freshness(index, CM_WINDOW_ALL, &freshness, &err), err);
    assert_true(freshness.present);
    assert_int_equal(freshness.accepted, 3);
    assert_int_equal(freshness.processed, 3);
    assert_int_equal(freshness.events, 3);
    assert_int_equal(freshness.cells, 2);
    assert_ok(cm_index_freshness(index, CM_WINDOW_DAY, &freshness, &err), err);
    assert_false(freshness.present);
    assert_ok(cm_index_kept(index, &own, &others, &err), err);
    assert_int_equal(own, of_others ? 0 : cm_window_mask(CM_WINDOW_ALL));
    assert_int_equal(others, of_others ? cm_window_mask(CM_WINDOW_ALL) : 0);
    assert_ok(cm_index_watermark(index, &watermark, &err), err);
    assert_true(watermark >= 1000);
}

static int ignore(void *context, const cm_index_discrepancy_t *discrepancy)
{
    (void)context;
    (void)discrepancy;
    return 0;
}

/* Compares all that both have. */
static cm_index_verified_t verify(cm_index_t *expected, cm_index_t *actual)
{
    cm_index_verified_t verified = {0};
    cm_err_t err;

    assert_ok(cm_index_verify(&(cm_index_verify_options_t){.expected = expected,
                                                           .actual = actual,
                                                           .windows = cm_window_mask(CM_WINDOW_ALL),
                                                           .found = ignore},
                              &verified, &err),
              err);
    return verified;
}

/* The mirror answers as its source does, before and after a change of the source. */
static void check_mirror(int engine)
{
    pair_t pair;

    pair_open(&pair, engine);
    apply(&pair);
    assert_int_equal(pair.applied.sent, engine == CM_INDEX_EMBEDDED ? 7 : 8); /* + freshness */
    assert_true(pair.checkpoint.watermark > 0);
    check_answers(pair.made, false);
    check_answers(pair.copied, engine == CM_INDEX_EMBEDDED);
    cm_index_verified_t verified = verify(pair.made, pair.copied);
    assert_int_equal(cm_index_verified_wrong(&verified), 0);
    assert_int_equal(verified.cells, 2);
    assert_int_equal(verified.totals, 5);

    const int64_t before = pair.checkpoint.watermark;
    site_click(pair.source, "u3", site_day + 3000, "/a", "Chile");
    refresh(pair.source);
    verified = verify(pair.made, pair.copied);
    assert_int_equal(verified.missing, 1); /* /a in Chile */
    assert_int_equal(verified.differ, 3);  /* /a, Chile, the site */
    assert_int_equal(verified.unexpected, 0);
    verified = verify(pair.copied, pair.made);
    assert_int_equal(verified.unexpected, 1);
    assert_int_equal(verified.missing, 0);
    apply(&pair);
    assert_true(pair.checkpoint.watermark > before);
    verified = verify(pair.made, pair.copied);
    assert_int_equal(cm_index_verified_wrong(&verified), 0);
    assert_int_equal(verified.cells, 3);
    pair_close(&pair);
}

static void test_embedded_mirror(void **state)
{
    (void)state;
    check_mirror(CM_INDEX_EMBEDDED);
}

static void test_elasticsearch_mirror(void **state)
{
    (void)state;
    check_mirror(CM_INDEX_ELASTICSEARCH);
}

/* The mirror before and after its answers are forgotten, and filled again. */
static void check_probe_and_forget(int engine)
{
    cm_index_facts_t facts;
    cm_freshness_t freshness;
    cm_err_t err;
    pair_t pair;

    pair_open(&pair, engine);
    assert_ok(cm_index_probe(pair.copied, false, &facts, &err), err);
    assert_false(facts.complete);
    assert_ok(cm_index_probe(pair.copied, true, &facts, &err), err);
    assert_true(facts.complete && facts.created);
    assert_ok(cm_index_probe(pair.copied, true, &facts, &err), err);
    assert_true(facts.complete && !facts.created);
    assert_ok(cm_index_probe(pair.made, false, &facts, &err), err);
    assert_true(facts.complete && !facts.created);
    apply(&pair);
    assert_ok(cm_index_forget(pair.copied, &err), err);
    if (engine == CM_INDEX_EMBEDDED) {
        assert_ok(cm_index_freshness(pair.copied, CM_WINDOW_ALL, &freshness, &err), err);
        assert_false(freshness.present);
        const cm_index_verified_t verified = verify(pair.made, pair.copied);
        assert_int_equal(verified.missing, 7);
    } else {
        assert_int_equal(cm_index_freshness(pair.copied, CM_WINDOW_ALL, &freshness, &err),
                         CM_EINPUT);
        assert_contains(err.text, "there are no answers yet in cells at http://127.0.0.1:");
    }
    apply(&pair);
    const cm_index_verified_t verified = verify(pair.made, pair.copied);
    assert_int_equal(cm_index_verified_wrong(&verified), 0);
    assert_int_equal(verified.cells, 2);
    pair_close(&pair);
}

static void test_embedded_probe_and_forget(void **state)
{
    (void)state;
    check_probe_and_forget(CM_INDEX_EMBEDDED);
}

static void test_elasticsearch_probe_and_forget(void **state)
{
    (void)state;
    check_probe_and_forget(CM_INDEX_ELASTICSEARCH);
}

static int count_row(void *context, const cm_answer_t *answer)
{
    (void)answer;
    ++*(int *)context;
    return 0;
}

/* The source knows what changed, and keeps how far each mirror is. */
static void test_checkpoints(void **state)
{
    const cm_index_checkpoint_t noted = {.epoch = "e", .watermark = 5};
    cm_index_checkpoint_t checkpoint;
    int64_t since, until, count;
    cm_index_t *writer;
    int rows = 0;
    cm_err_t err;
    pair_t pair;

    (void)state;
    pair_open(&pair, CM_INDEX_EMBEDDED);
    const cm_index_settings_t settings = {.data_dir = pair.source->directory};
    assert_ok(cm_index_open_writer(&settings, pair.source->store, &writer, &err), err);
    assert_true(cm_index_tracks_changes(writer));
    assert_ok(cm_index_checkpoint(writer, "m", &checkpoint, &err), err);
    assert_int_equal(checkpoint.watermark, 0);
    assert_ok(cm_index_set_checkpoint(writer, "m", &noted, &err), err);
    assert_ok(cm_index_checkpoint(writer, "m", &checkpoint, &err), err);
    assert_int_equal(checkpoint.watermark, 5);
    assert_string_equal(checkpoint.epoch, "e");
    assert_ok(cm_index_checkpoint(writer, "other", &checkpoint, &err), err);
    assert_int_equal(checkpoint.watermark, 0);
    assert_ok(cm_index_set_checkpoint(writer, NULL, NULL, &err), err);
    assert_ok(cm_index_checkpoint(writer, "m", &checkpoint, &err), err);
    assert_int_equal(checkpoint.watermark, 0);

    assert_ok(cm_index_watermark(writer, &since, &err), err);
    site_click(pair.source, "u3", site_day + 3000, "/a", "Chile");
    refresh(pair.source);
    assert_ok(cm_index_watermark(writer, &until, &err), err);
    assert_true(until > since);
    assert_ok(cm_index_count_changes(writer, since, until, &count, &err), err);
    assert_int_equal(count, 4);
    const cm_index_changes_t changes = {
        .since = since, .until = until, .changed = count_row, .context = &rows};
    assert_ok(cm_index_changes(writer, &changes, &err), err);
    assert_int_equal(rows, 4);
    cm_index_close(writer);
    pair_close(&pair);
}

/* An index that does not know what changed gives all its rows, and keeps no checkpoint. */
static void test_without_checkpoints(void **state)
{
    const cm_index_changes_t changes = {.changed = count_row, .context = &(int){0}};
    cm_index_checkpoint_t checkpoint;
    int64_t count;
    cm_err_t err;
    pair_t pair;

    (void)state;
    pair_open(&pair, CM_INDEX_ELASTICSEARCH);
    apply(&pair);
    assert_false(cm_index_tracks_changes(pair.copied));
    assert_ok(cm_index_count_changes(pair.copied, 0, INT64_MAX, &count, &err), err);
    assert_int_equal(count, 0);
    assert_ok(cm_index_changes(pair.copied, &changes, &err), err);
    assert_int_equal(*(int *)changes.context, 7);
    assert_int_equal(cm_index_checkpoint(pair.copied, "m", &checkpoint, &err), CM_EUSAGE);
    assert_string_equal(err.text, "this index does not keep how far its mirrors are");
    assert_int_equal(cm_index_set_checkpoint(pair.copied, "m", &checkpoint, &err), CM_EUSAGE);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded_mirror),
        cmocka_unit_test(test_elasticsearch_mirror),
        cmocka_unit_test(test_embedded_probe_and_forget),
        cmocka_unit_test(test_elasticsearch_probe_and_forget),
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_without_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
