/* Refreshing and asking: what is written when, in which order it comes back, and how it reads. */
#include "index_site.h"

#include "index/embedded/embedded.h"
#include "index/embedded/refresh.h"

#include <math.h>

static cm_index_refreshed_t refresh_with(site_t *site, cm_index_refresh_options_t options)
{
    cm_index_refreshed_t refreshed;
    cm_err_t err;
    options.clock = &site->clock;
    options.threads = 1;
    assert_ok(cm_index_refresh(site->store, &options, &refreshed, &err), err);
    return refreshed;
}

static cm_index_refreshed_t refresh(site_t *site, unsigned windows)
{
    return refresh_with(
        site, (cm_index_refresh_options_t){.windows = windows, .session_timeout = TIMEOUT});
}

static int take_csv(void *context, const cm_answer_t *answer)
{
    cm_answer_add_csv(context, answer);
    return 0;
}

/* url, country, clicks and when the row changed */
static int take_short(void *context, const cm_answer_t *answer)
{
    cm_buf_t *out = context;
    cm_buf_add_str(out, answer->url);
    cm_buf_add_char(out, '|');
    cm_buf_add_str(out, answer->country);
    cm_buf_printf(out, "|%lld@%lld ", (long long)answer->measures.clicks,
                  (long long)answer->updated_at);
    return 0;
}

static int take_url(void *context, const cm_answer_t *answer)
{
    cm_buf_add_str(context, answer->url);
    cm_buf_add_char(context, ' ');
    return 0;
}

static int take_json(void *context, const cm_answer_t *answer)
{
    cm_answer_add_json(context, answer);
    return 0;
}

static void assert_answer(site_t *site, cm_index_query_t query, cm_answer_fn take,
                          const char *expected)
{
    cm_buf_t got = CM_BUF_INIT;
    cm_index_t *index;
    cm_err_t err;

    cm_buf_add(&got, NULL, 0);
    assert_ok(cm_index_embedded_open(site->directory, &index, &err), err);
    assert_ok(cm_index_query(index, &query, take, &got, &err), err);
    cm_index_close(index);
    assert_string_equal(got.data, expected);
    cm_buf_free(&got);
}

static cm_freshness_t freshness(site_t *site, cm_window_t window)
{
    cm_freshness_t out;
    cm_index_t *index;
    cm_err_t err;
    assert_ok(cm_index_embedded_open(site->directory, &index, &err), err);
    assert_ok(cm_index_freshness(index, window, &out, &err), err);
    cm_index_close(index);
    return out;
}

/* ---- refreshing ---- */

static void before_anything(void **state)
{
    site_t *site = *state;
    cm_index_t *index;
    cm_err_t err;

    assert_answer(site, (cm_index_query_t){0}, take_csv, "");
    assert_false(freshness(site, CM_WINDOW_ALL).present);
    site_click(site, "u", 1, "/", "X");
    site_commit(site);
    cm_freshness_t fresh = freshness(site, CM_WINDOW_ALL);
    assert_false(fresh.present);
    assert_int_equal(fresh.accepted, 1);
    assert_int_equal(fresh.processed, 0);
    char *empty = test_directory();
    assert_int_equal(cm_index_embedded_open(empty, &index, &err), CM_EINPUT);
    test_remove(empty);
}

static void nothing_new_writes_nothing(void **state)
{
    site_t *site = *state;
    sqlite3 *db = cm_store_embedded_database(site->store)->db;

    site->now = 500;
    cm_index_refreshed_t done = refresh(site, CM_WINDOWS_EVERY); /* of an empty store */
    assert_int_equal(done.accepted + done.events + done.duplicates + done.cells, 0);
    assert_true(freshness(site, CM_WINDOW_DAY).present);
    site->now = 1000;
    site_click(site, "u", site_day, "/", "X");
    site_click(site, "u", site_day, "/", "X");
    site_click(site, "v", site_day, "/v", "X");
    cm_batch_reject(&site->batch, CM_STR("bad"), "because", "log:1");
    site_commit(site);
    done = refresh(site, CM_WINDOWS_EVERY);
    assert_true(done.changed);
    assert_int_equal(done.accepted, 3);
    assert_int_equal(done.events, 2);
    assert_int_equal(done.duplicates, 1);
    assert_int_equal(done.cells, 6);
    site->now = 2000;
    int before = sqlite3_total_changes(db);
    done = refresh(site, CM_WINDOWS_EVERY);
    assert_false(done.changed);
    assert_int_equal(done.cells, 6);
    assert_int_equal(sqlite3_total_changes(db), before);
    cm_freshness_t fresh = freshness(site, CM_WINDOW_HOUR);
    assert_int_equal(fresh.updated_at, 1000);
    assert_int_equal(fresh.accepted, 3);
    assert_int_equal(fresh.processed, 3);
    assert_int_equal(fresh.events, 2);
    assert_int_equal(fresh.duplicates, 1);
    assert_int_equal(fresh.cells, 2);
    assert_int_equal(fresh.dead, 1);
    /* A new event of one user leaves the rows of the other alone. */
    site_click(site, "v", site_day + 1000, "/v", "X");
    site_commit(site);
    assert_int_equal(freshness(site, CM_WINDOW_ALL).accepted, 4);
    assert_int_equal(freshness(site, CM_WINDOW_ALL).processed, 3);
    refresh(site, CM_WINDOWS_EVERY);
    assert_answer(site, (cm_index_query_t){.sort = CM_SORT_URL}, take_short,
                  "/|X|1@1000 /v|X|2@2000 ");
    /* And so does a copy, which changes no number. */
    site->now = 3000;
    site_click(site, "v", site_day + 1000, "/v", "X");
    site_commit(site);
    done = refresh(site, CM_WINDOWS_EVERY);
    assert_int_equal(done.duplicates, 2);
    assert_answer(site, (cm_index_query_t){.sort = CM_SORT_URL}, take_short,
                  "/|X|1@1000 /v|X|2@2000 ");
}

static void another_timeout_recomputes(void **state)
{
    site_t *site = *state;

    site_click(site, "u", 1000, "/", "X");
    site_click(site, "u", 11000, "/", "X");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL);
    assert_answer(site, (cm_index_query_t){0}, take_csv, "/,X,2,1,10.0,10,1,10.0,1,1\n");
    site->now = 2000;
    refresh_with(
        site, (cm_index_refresh_options_t){.windows = 1 << CM_WINDOW_ALL, .session_timeout = 9999});
    assert_answer(site, (cm_index_query_t){0}, take_csv, "/,X,2,1,10.0,10,1,,2,2\n");
    site->now = 3000;
    refresh_with(site, (cm_index_refresh_options_t){.windows = 1 << CM_WINDOW_ALL,
                                                    .session_timeout = 9999,
                                                    .rebuild = true});
    assert_answer(site, (cm_index_query_t){0}, take_short, "/|X|2@3000 ");
    /* A rebuild repairs damaged rows. */
    cm_err_t err;
    assert_ok(cm_database_exec(cm_store_embedded_database(site->store),
                               "UPDATE cell SET clicks = 99; UPDATE page SET url = '/y'; "
                               "INSERT INTO total VALUES (0, 0, 0, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1)",
                               "test", &err),
              err);
    cm_index_refreshed_t done = refresh_with(
        site, (cm_index_refresh_options_t){
                  .windows = 1 << CM_WINDOW_ALL, .session_timeout = TIMEOUT, .rebuild = true});
    assert_int_equal(done.cells, 1);
    assert_int_equal(done.events, 2);
    assert_answer(site, (cm_index_query_t){0}, take_csv, "/,X,2,1,10.0,10,1,10.0,1,1\n");
    assert_answer(site, (cm_index_query_t){.dimension = CM_PER_URL}, take_url, "/ ");
}

/* Windows that are processed at other times, and late events that split a gap. */
static void windows_apart(void **state)
{
    site_t *site = *state;
    static const char rows[] = "2023-11-15T00:00:00Z,/,X,3,1,1800.0,3600,2,1800.0,1,1\n";

    site_click(site, "u", site_day, "/", "X");
    site_click(site, "u", site_day + 3600000, "/", "X");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_DAY);
    assert_answer(site, (cm_index_query_t){.window = CM_WINDOW_DAY}, take_csv,
                  "2023-11-15T00:00:00Z,/,X,2,1,3600.0,3600,1,,2,2\n");
    site_click(site, "u", site_day + 1800000, "/", "X");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL | 1 << CM_WINDOW_DAY);
    assert_answer(site, (cm_index_query_t){.window = CM_WINDOW_DAY}, take_csv, rows);
    assert_answer(site, (cm_index_query_t){0}, take_csv, rows + sizeof "2023-11-15T00:00:00Z");
    cm_index_refreshed_t done = refresh(site, CM_WINDOWS_EVERY);
    assert_int_equal(done.cells, 1 + 1 + 2);
    assert_int_equal(done.events, 3);
    assert_answer(site, (cm_index_query_t){.window = CM_WINDOW_HOUR, .sort = CM_SORT_WINDOW},
                  take_csv,
                  "2023-11-15T00:00:00Z,/,X,2,1,1800.0,3600,2,1800.0,1,0\n"
                  "2023-11-15T01:00:00Z,/,X,1,1,,0,0,,0,1\n");
    assert_int_equal(freshness(site, CM_WINDOW_HOUR).cells, 2);
}

/* A name that cannot be read stops the refresh in words, and the answers stay as they were. */
static void damaged_names(void **state)
{
    site_t *site = *state;
    cm_index_refresh_options_t options = {.windows = CM_WINDOWS_EVERY, .session_timeout = TIMEOUT};
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    site_click(site, "u", 1, "/", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    for (int i = 0; i < 30; i++) {
        char url[20];
        snprintf(url, sizeof url, "/%d", i);
        site_click(site, "u", 2,
                   cm_arena_copy(&site->batch.arena, (cm_str_t){url, sizeof url}).data, "Y");
    }
    site_commit(site);
    cm_database_t *database = cm_store_embedded_database(site->store);
    assert_ok(cm_database_exec(database,
                               "UPDATE dictionary SET texts = x'00' WHERE field = 2 AND first > 0",
                               "test", &err),
              err);
    assert_int_equal(cm_index_refresh(site->store, &options, &refreshed, &err), CM_ECORRUPT);
    assert_non_null(strstr(err.text, "text 1 of dictionary 2 in "));
    assert_answer(site, (cm_index_query_t){0}, take_short, "/|X|1@1000 ");
}

static int deny_covered(void *context, int action, const char *table, const char *b, const char *c,
                        const char *d)
{
    (void)context, (void)b, (void)c, (void)d;
    return action == SQLITE_DROP_TABLE && strcmp(table, "covered") == 0 ? SQLITE_DENY : SQLITE_OK;
}

/* The older form of the answers is removed completely or not at all: otherwise its `covered` would
 * stay, and the new, empty tables would count as complete. */
static void older_answers_go_whole(void **state)
{
    static const char older[] = "DROP VIEW answer; DROP VIEW rollup; DROP TABLE cell; DROP TABLE "
                                "total; CREATE TABLE answer (url TEXT); CREATE TABLE rollup (url "
                                "TEXT)";
    site_t *site = *state;
    cm_index_refresh_options_t options = {.windows = CM_WINDOWS_EVERY, .session_timeout = TIMEOUT};
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    site_click(site, "u", 1, "/", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    const cm_database_t *database = cm_store_embedded_database(site->store);
    assert_ok(cm_database_exec(database, older, "test", &err), err);
    sqlite3_set_authorizer(database->db, deny_covered, NULL);
    assert_true(cm_index_refresh(site->store, &options, &refreshed, &err) < 0);
    sqlite3_set_authorizer(database->db, NULL, NULL);
    refresh(site, CM_WINDOWS_EVERY);
    assert_answer(site, (cm_index_query_t){0}, take_short, "/|X|1@1000 ");
    assert_answer(site, (cm_index_query_t){.dimension = CM_PER_URL}, take_url, "/ ");
}

static int count_rows(void *context, const cm_answer_t *answer)
{
    (void)answer;
    ++*(int *)context;
    return 0;
}

/* Days of one page each, and a handle that has asked for all of them. */
static cm_index_t *ask_for_days(site_t *site, int days)
{
    const cm_index_query_t query = {.window = CM_WINDOW_DAY};
    cm_index_t *index;
    cm_err_t err;
    int rows = 0;

    for (int i = 1; i <= days; i++)
        site_click(site, "u", i * CM_DAY_MS, "/", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    assert_ok(cm_index_embedded_open(site->directory, &index, &err), err);
    assert_ok(cm_index_query(index, &query, count_rows, &rows, &err), err);
    assert_int_equal(rows, days);
    return index;
}

/* A handle does not check what it has checked; but what has changed since, few or many. */
static void what_has_changed_is_checked_again(void **state)
{
    static const char spoil[] =
        "UPDATE cell SET clicks = clicks + 1 WHERE window = 1 AND start = 48";
    const cm_index_query_t query = {.window = CM_WINDOW_DAY},
                           early = {.window = CM_WINDOW_DAY, .to = 2 * CM_DAY_MS};
    site_t *site = *state;
    const cm_database_t *database = cm_store_embedded_database(site->store);
    cm_index_t *index = ask_for_days(site, 20);
    cm_err_t err;
    int rows = 0;

    site_click(site, "v", 3 * CM_DAY_MS, "/", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    assert_ok(cm_index_query(index, &query, count_rows, &rows, &err), err);
    assert_int_equal(rows, 20);
    assert_ok(cm_database_exec(database, spoil, "test", &err), err);
    site_click(site, "v", 2 * CM_DAY_MS, "/", "X"); /* one group of twenty */
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    assert_int_equal(cm_index_query(index, &query, count_rows, &rows, &err), CM_ECORRUPT);
    assert_int_equal(rows, 20);
    assert_ok(cm_index_query(index, &early, count_rows, &rows, &err), err);
    assert_int_equal(rows, 21);
    for (int i = 1; i <= 20; i++) /* all of them */
        site_click(site, "w", i * CM_DAY_MS, "/", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    assert_int_equal(cm_index_query(index, &query, count_rows, &rows, &err), CM_ECORRUPT);
    assert_int_equal(rows, 21);
    cm_index_close(index);
}

/* A checksum that vanishes is damage, too, whatever was checked. */
static void a_checksum_that_is_gone(void **state)
{
    const cm_index_query_t query = {.window = CM_WINDOW_DAY};
    site_t *site = *state;
    cm_index_t *index = ask_for_days(site, 20);
    cm_err_t err;
    int rows = 0;

    assert_ok(cm_database_exec(cm_store_embedded_database(site->store),
                               "DELETE FROM checksum WHERE window = 1 AND start = 48", "test",
                               &err),
              err);
    assert_int_equal(cm_index_query(index, &query, count_rows, &rows, &err), CM_ECORRUPT);
    assert_int_equal(rows, 0);
    cm_index_close(index);
}

/* A row of all time at some time is none of the answers, also where nothing is checked again. */
static void a_row_where_there_is_none(void **state)
{
    const cm_index_query_t query = {.window = CM_WINDOW_ALL};
    site_t *site = *state;
    cm_index_t *index = ask_for_days(site, 2);
    cm_err_t err;
    int rows = 0;

    assert_ok(cm_index_query(index, &query, count_rows, &rows, &err), err);
    assert_ok(cm_database_exec(cm_store_embedded_database(site->store),
                               "INSERT INTO cell VALUES (0, 7, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1)",
                               "test", &err),
              err);
    assert_ok(cm_index_query(index, &query, count_rows, &rows, &err), err);
    assert_int_equal(rows, 2);
    cm_index_close(index);
}

/* ---- asking ---- */

/* Three cells whose numbers come in another order each. */
static void three_cells(site_t *site)
{
    /* /a: 3 clicks of 1 user, no gap but 1 s and 2 s; /b: 2 clicks of 2 users; /c: 1 click. */
    site_click(site, "u", 1000, "/a", "Peru");
    site_click(site, "u", 2000, "/a", "Peru");
    site_click(site, "u", 4000, "/a", "Peru");
    site_click(site, "u", 5000, "/b", "Chile");
    site_click(site, "v", 1000, "/b", "Chile");
    site_click(site, "v", 101000, "/c", "Oman");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
}

static void sorted_both_ways(void **state)
{
    static const struct {
        cm_sort_t sort;
        const char *there, *back;
    } cases[] = {
        {CM_SORT_CLICKS, "/a /b /c ", "/c /b /a "},
        {CM_SORT_USERS, "/b /a /c ", "/a /c /b "},              /* 1 2 1 */
        {CM_SORT_AVERAGE_TIME_SPENT, "/b /a /c ", "/a /b /c "}, /* 4/3 100 - */
        {CM_SORT_TIME_SPENT_SUM, "/b /a /c ", "/c /a /b "},     /* 4 100 0 */
        {CM_SORT_TIME_SPENT_COUNT, "/a /b /c ", "/c /b /a "},   /* 3 1 0 */
        {CM_SORT_AVERAGE_TIME_ON_PAGE, "/b /a /c ", "/a /b /c "},
        {CM_SORT_ENTRANCES, "/a /b /c ", "/c /a /b "}, /* 1 1 0 */
        {CM_SORT_EXITS, "/b /c /a ", "/a /b /c "},     /* 0 1 1 */
        {CM_SORT_URL, "/a /b /c ", "/c /b /a "},
        {CM_SORT_COUNTRY, "/b /c /a ", "/a /c /b "},
        {CM_SORT_WINDOW, "/a /b /c ", "/a /b /c "},
    };
    site_t *site = *state;

    three_cells(site);
    assert_int_equal(sizeof cases / sizeof cases[0], CM_SORT_COUNT);
    for (int i = 0; i < CM_SORT_COUNT; i++) {
        cm_index_query_t query = {.sort = cases[i].sort};
        assert_answer(site, query, take_url, cases[i].there);
        query.reverse = true;
        assert_answer(site, query, take_url, cases[i].back);
    }
    assert_answer(site, (cm_index_query_t){.limit = 2}, take_url, "/a /b ");
    assert_answer(site, (cm_index_query_t){.limit = 2, .offset = 1}, take_url, "/b /c ");
    assert_answer(site, (cm_index_query_t){.offset = 2}, take_url, "/c ");
    assert_answer(site, (cm_index_query_t){.offset = 3}, take_url, "");
    assert_answer(site, (cm_index_query_t){.country = "Chile"}, take_url, "/b ");
    assert_answer(site, (cm_index_query_t){.country = "chile"}, take_url, "");
    assert_answer(site, (cm_index_query_t){.country = "C*"}, take_url, "");
    assert_answer(site, (cm_index_query_t){.country = ""}, take_url, "");
    assert_answer(site, (cm_index_query_t){.dimension = CM_PER_URL, .url = "/a"}, take_csv,
                  "/a,,3,1,1.3333333333333333,4,3,1.3333333333333333,1,0\n");
    assert_answer(site, (cm_index_query_t){.dimension = CM_PER_COUNTRY, .country = "Oman"},
                  take_csv, ",Oman,1,1,,0,0,,0,1\n");
    assert_answer(site, (cm_index_query_t){.dimension = CM_PER_NOTHING}, take_csv,
                  ",,6,2,26.0,104,4,26.0,2,2\n");
}

static void url_patterns(void **state)
{
    static const struct {
        const char *pattern, *urls;
    } cases[] = {{"*", "/ /A /[a]? /a /a* /ab /abc /\xC3\xA4 "},
                 {"/", "/ "},
                 {"/a", "/a "},
                 {"/a*", "/a /a* /ab /abc "},
                 {"/a?", "/a* /ab "},
                 {"/?", "/A /a /\xC3\xA4 "}, /* one character, of however many bytes */
                 {"*b*", "/ab /abc "},
                 {"/[a]*", "/[a]? "},
                 {"/[a]?", "/[a]? "},
                 {"[", ""},
                 {"*]?", "/[a]? "},
                 {"/[!b]", ""},
                 {"/[^b]", ""},
                 {"", ""},
                 {"/a' OR '1'='1", ""}};
    site_t *site = *state;
    static const char *const urls[] = {"/", "/a", "/ab", "/abc", "/A", "/[a]?", "/a*", "/\xC3\xA4"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        site_click(site, "u", 1 + (int64_t)i, urls[i], "X");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_answer(site, (cm_index_query_t){.url = cases[i].pattern, .sort = CM_SORT_URL},
                      take_url, cases[i].urls);
}

static void from_and_to(void **state)
{
    site_t *site = *state;
    const int64_t hour = 3600000;

    site_click(site, "u", site_day - 1, "/before", "X");
    site_click(site, "u", site_day, "/zero", "X");
    site_click(site, "u", site_day + hour, "/one", "X");
    site_click(site, "u", site_day + 2 * hour, "/two", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    cm_index_query_t query = {.window = CM_WINDOW_HOUR, .sort = CM_SORT_WINDOW};
    assert_answer(site, query, take_url, "/before /zero /one /two ");
    query.reverse = true;
    assert_answer(site, query, take_url, "/two /one /zero /before ");
    query.reverse = false;
    query.from = site_day;
    assert_answer(site, query, take_url, "/zero /one /two ");
    query.to = site_day + 2 * hour;
    assert_answer(site, query, take_url, "/zero /one ");
    query.from = site_day + 1;
    assert_answer(site, query, take_url, "/one ");
    query.window = CM_WINDOW_DAY;
    query.from = site_day - 1;
    query.to = site_day + 1;
    assert_answer(site, query, take_url, "/one /two /zero ");
    query.window = CM_WINDOW_ALL; /* has no start to choose by */
    assert_answer(site, query, take_url, "/before /one /two /zero ");
}

static int stop_at_second(void *context, const cm_answer_t *answer)
{
    (void)answer;
    return ++*(int *)context == 2 ? CM_ESTOP : 0;
}

static void stopped_by_the_caller(void **state)
{
    site_t *site = *state;
    cm_index_t *index;
    cm_err_t err;
    int rows = 0;

    three_cells(site);
    assert_ok(cm_index_embedded_open(site->directory, &index, &err), err);
    assert_int_equal(cm_index_query(index, &(cm_index_query_t){0}, stop_at_second, &rows, &err),
                     CM_ESTOP);
    assert_int_equal(rows, 2);
    cm_index_close(index);
    cm_index_close(NULL);
}

/* ---- as text ---- */

static void as_csv_and_json(void **state)
{
    site_t *site = *state;
    cm_buf_t buf = CM_BUF_INIT;

    site_click(site, "u", site_day, "/,\"", "X");
    site_click(site, "u", site_day + 1000, "/,\"", "X");
    site_click(site, "u", site_day + 3000, "/,\"", "X");
    site_click(site, "v", site_day, "/n", "Y");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    assert_answer(site, (cm_index_query_t){.sort = CM_SORT_URL}, take_csv,
                  "\"/,\"\"\",X,3,1,1.5,3,2,1.5,1,1\n/n,Y,1,1,,0,0,,1,1\n");
    assert_answer(site, (cm_index_query_t){.limit = 1}, take_json,
                  "{\"url\":\"/,\\\"\",\"country\":\"X\",\"clicks\":3,\"unique_user_count\":1,"
                  "\"average_time_spent\":1.5,\"time_spent_sum\":3,\"time_spent_count\":2,"
                  "\"average_time_on_page\":1.5,\"entrances\":1,\"exits\":1}");
    assert_answer(site, (cm_index_query_t){.window = CM_WINDOW_HOUR, .country = "Y"}, take_json,
                  "{\"window\":\"hour\",\"window_start\":\"2023-11-15T00:00:00Z\",\"url\":\"/n\","
                  "\"country\":\"Y\",\"clicks\":1,\"unique_user_count\":1,\"average_time_spent\":"
                  "null,\"time_spent_sum\":0,\"time_spent_count\":0,\"average_time_on_page\":null,"
                  "\"entrances\":1,\"exits\":1}");
    assert_answer(site, (cm_index_query_t){.dimension = CM_PER_NOTHING}, take_json,
                  "{\"clicks\":4,\"unique_user_count\":2,\"average_time_spent\":1.5,"
                  "\"time_spent_sum\":3,\"time_spent_count\":2,\"average_time_on_page\":1.5,"
                  "\"entrances\":2,\"exits\":2}");
    cm_answer_add_csv_header(&buf, CM_WINDOW_ALL);
    assert_string_equal(buf.data,
                        "url,country,clicks,unique_user_count,average_time_spent,time_spent_sum,"
                        "time_spent_count,average_time_on_page,entrances,exits\n");
    cm_buf_clear(&buf);
    cm_answer_add_csv_header(&buf, CM_WINDOW_DAY);
    assert_memory_equal(buf.data, "window,url,", 11);
    cm_buf_free(&buf);
}

static int take_average(void *context, const cm_answer_t *answer)
{
    cm_buf_t csv = CM_BUF_INIT;
    (void)context;
    cm_answer_add_csv(&csv, answer);
    const char *field = csv.data; /* url,country,clicks,users,average */
    for (int i = 0; i < 4; i++)
        field = strchr(field, ',') + 1;
    double text = strtod(field, NULL);
    double exact =
        (double)answer->measures.time_spent_sum / (double)answer->measures.time_spent_count;
    assert_memory_equal(&text, &exact, sizeof exact);
    cm_buf_free(&csv);
    return 0;
}

/* The text, the SQL column and the division agree to the last bit. */
static void averages_to_the_last_bit(void **state)
{
    site_t *site = *state;
    uint64_t random = 8;
    sqlite3_stmt *select;
    cm_err_t err;
    int rows = 0;

    for (int i = 0; i < 3000; i++) {
        char *url = cm_arena_alloc(&site->batch.arena, 16);
        snprintf(url, 16, "/%d", (int)(test_random(&random) % 200));
        site_click(site, "u", 1 + (int64_t)(test_random(&random) % 1000000000000), url, "X");
    }
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    assert_answer(site, (cm_index_query_t){0}, take_average, "");
    assert_ok(cm_database_prepare(cm_store_embedded_database(site->store),
                                  "SELECT average_time_spent, time_spent_sum, time_spent_count "
                                  "FROM answer WHERE window = 'all' AND time_spent_count > 0",
                                  &select, &err),
              err);
    for (; sqlite3_step(select) == SQLITE_ROW; rows++) {
        double column = sqlite3_column_double(select, 0);
        double exact =
            (double)sqlite3_column_int64(select, 1) / (double)sqlite3_column_int64(select, 2);
        assert_memory_equal(&column, &exact, sizeof exact);
    }
    assert_int_equal(rows, 200);
    sqlite3_finalize(select);
}

static void names(void **state)
{
    cm_window_t window;
    cm_sort_t sort;

    (void)state;
    for (int i = 0; i < CM_WINDOW_COUNT; i++) {
        assert_true(cm_index_window_parse(cm_index_window_names[i], &window));
        assert_int_equal(window, i);
    }
    for (int i = 0; i < CM_SORT_COUNT; i++) {
        assert_true(cm_sort_parse(cm_sort_names[i], &sort));
        assert_int_equal(sort, i);
    }
    assert_string_equal(cm_index_window_names[CM_WINDOW_HOUR], "hour");
    assert_false(cm_index_window_parse("week", &window));
    assert_false(cm_index_window_parse("", &window));
    assert_false(cm_sort_parse("Clicks", &sort));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_set_up, site_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_anything),
        TEST(nothing_new_writes_nothing),
        TEST(another_timeout_recomputes),
        TEST(windows_apart),
        TEST(damaged_names),
        TEST(older_answers_go_whole),
        TEST(what_has_changed_is_checked_again),
        TEST(a_checksum_that_is_gone),
        TEST(a_row_where_there_is_none),
        TEST(sorted_both_ways),
        TEST(url_patterns),
        TEST(from_and_to),
        TEST(stopped_by_the_caller),
        TEST(as_csv_and_json),
        TEST(averages_to_the_last_bit),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
