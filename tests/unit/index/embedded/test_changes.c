/* What has changed: rows that keep their time and rows that do not, what vanishes, answers of
 * another store with other ids, and a copy that only ever sees changes and is equal to the index
 * all the same. */
#include "index_site.h"

#include "index/elasticsearch/document.h"
#include "index/embedded/changes.h"
#include "index/embedded/embedded.h"
#include "index/embedded/refresh.h"
#include "store/memory.h"

static cm_index_refresh_options_t options_of(const site_t *site, unsigned windows)
{
    return (cm_index_refresh_options_t){
        .windows = windows, .session_timeout = TIMEOUT, .threads = 1, .clock = &site->clock};
}

static cm_index_refreshed_t refresh_with(site_t *site, const cm_index_refresh_options_t *options)
{
    cm_index_refreshed_t refreshed;
    cm_err_t err;
    assert_ok(cm_index_refresh(site->store, options, &refreshed, &err), err);
    return refreshed;
}

static cm_index_refreshed_t refresh(site_t *site, unsigned windows)
{
    const cm_index_refresh_options_t options = options_of(site, windows);
    return refresh_with(site, &options);
}

static cm_index_refreshed_t rebuild(site_t *site, unsigned windows)
{
    cm_index_refresh_options_t options = options_of(site, windows);
    options.rebuild = true;
    return refresh_with(site, &options);
}

/* The batch's events as another store. */
static cm_index_refreshed_t refresh_from(site_t *site, unsigned windows)
{
    const cm_index_refresh_options_t options = options_of(site, windows);
    cm_store_t *other = cm_memory_new();
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    test_put(other, &site->batch);
    test_commit(other);
    assert_ok(cm_index_refresh_from(other, site->store, &options, &refreshed, &err), err);
    cm_sink_close(&other->sink);
    cm_batch_clear(&site->batch);
    return refreshed;
}

static void prepare(site_t *site)
{
    cm_err_t err;
    assert_ok(cm_index_changes_prepare(site->database, &err), err);
}

static int64_t number(site_t *site, const char *sql)
{
    int64_t value;
    cm_err_t err;
    assert_ok(cm_database_int(site->database, sql, -1, &value, &err), err);
    return value;
}

static void sql(site_t *site, const char *text)
{
    cm_err_t err;
    assert_ok(cm_database_exec(site->database, text, "test", &err), err);
}

static int64_t latest(site_t *site)
{
    int64_t value;
    cm_err_t err;
    assert_ok(cm_index_changes_latest(site->database, &value, &err), err);
    return value;
}

/* url|country|clicks@updated_at, windows other than all before it */
static int take_row(void *context, const cm_answer_t *answer)
{
    cm_buf_t *out = context;

    if (answer->window != CM_WINDOW_ALL)
        cm_buf_printf(out, "%s%lld:", cm_index_window_names[answer->window],
                      (long long)((answer->window_start - site_day) / 3600000));
    cm_buf_add_str(out, answer->url);
    cm_buf_add_char(out, '|');
    cm_buf_add_str(out, answer->country);
    cm_buf_printf(out, "|%lld@%lld ", (long long)answer->measures.clicks,
                  (long long)answer->updated_at);
    return 0;
}

typedef int (*changes_fn)(const cm_database_t *database, int64_t since, int64_t watermark,
                          cm_answer_fn row, void *context, cm_err_t *err);

static void assert_rows(site_t *site, changes_fn changes, int64_t since, const char *expected)
{
    cm_buf_t got = CM_BUF_INIT;
    cm_err_t err;

    cm_buf_add(&got, NULL, 0);
    assert_ok(changes(site->database, since, INT64_MAX, take_row, &got, &err), err);
    assert_string_equal(got.data, expected);
    cm_buf_free(&got);
}

static void assert_changed(site_t *site, int64_t since, const char *expected)
{
    assert_rows(site, cm_index_changes_each, since, expected);
}

static void assert_retired(site_t *site, int64_t since, const char *expected)
{
    assert_rows(site, cm_index_changes_tombstones, since, expected);
}

/* ---- when rows change ---- */

static void time_grows_strictly(void **state)
{
    site_t *site = *state;
    static const int64_t clocks[] = {1000, 1000, 400, 1001, 5000};
    static const int64_t expected[] = {1000, 1001, 1002, 1003, 5000};

    assert_int_equal(cm_index_embedded_prepare(site->database, NULL), 0);
    assert_int_equal(latest(site), 0);
    for (int i = 0; i < 5; i++) {
        site->now = clocks[i];
        site_click(site, "u", site_day + i, "/", "X");
        site_commit(site);
        refresh(site, CM_WINDOWS_EVERY);
        assert_int_equal(latest(site), expected[i]);
        assert_int_equal(number(site, "SELECT max(updated_at) FROM cell"), expected[i]);
    }
    /* Copies of events change no number. */
    site->now = 6000;
    site_click(site, "u", site_day, "/", "X");
    site_commit(site);
    assert_true(refresh(site, CM_WINDOWS_EVERY).changed);
    assert_int_equal(latest(site), 5000);
    /* Rows that an older version has left with a time from the future. */
    sql(site, "UPDATE cell SET updated_at = 9000 WHERE window = 1");
    prepare(site);
    assert_int_equal(latest(site), 9000);
    site_click(site, "u", site_day + 10, "/", "X");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL);
    assert_int_equal(number(site, "SELECT updated_at FROM cell WHERE window = 0"), 9001);
}

static void rows_in_their_order(void **state)
{
    site_t *site = *state;
    int64_t count;
    cm_err_t err;

    prepare(site);
    assert_changed(site, 0, "");
    assert_retired(site, 0, "");
    site_click(site, "u", site_day, "/a", "X");
    site_click(site, "v", site_day + 7200000, "/b", "Y");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL | 1 << CM_WINDOW_HOUR);
    assert_changed(site, 0,
                   "/a|X|1@1000 /b|Y|1@1000 hour0:/a|X|1@1000 hour2:/b|Y|1@1000 "
                   "||2@1000 |X|1@1000 |Y|1@1000 /a||1@1000 /b||1@1000 "
                   "hour0:||1@1000 hour0:|X|1@1000 hour0:/a||1@1000 "
                   "hour2:||1@1000 hour2:|Y|1@1000 hour2:/b||1@1000 ");
    site->now = 2000;
    site_click(site, "w", site_day + 1, "/a", "X");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL | 1 << CM_WINDOW_HOUR);
    assert_changed(site, 1000,
                   "/a|X|2@2000 hour0:/a|X|2@2000 ||3@2000 |X|2@2000 /a||2@2000 "
                   "hour0:||2@2000 hour0:|X|2@2000 hour0:/a||2@2000 ");
    assert_changed(site, 2000, "");
    assert_ok(cm_index_changes_count(site->database, 1000, 2000, &count, &err), err);
    assert_int_equal(count, 8);
    assert_ok(cm_index_changes_count(site->database, 0, 1999, &count, &err), err);
    assert_int_equal(count, 7);
    assert_ok(cm_index_changes_count(site->database, 2000, INT64_MAX, &count, &err), err);
    assert_int_equal(count, 0);
}

/* A rebuild writes nothing where nothing differs, and only what does. */
static void rebuild_keeps_times(void **state)
{
    site_t *site = *state;
    cm_index_refresh_options_t other = options_of(site, 1 << CM_WINDOW_ALL);

    prepare(site);
    site_click(site, "u", site_day, "/a", "X");
    site_click(site, "u", site_day + 10000, "/a", "X");
    site_click(site, "v", site_day, "/b", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    site->now = 2000;
    int before = sqlite3_total_changes(site->database->db);
    assert_false(rebuild(site, CM_WINDOWS_EVERY).changed);
    assert_int_equal(sqlite3_total_changes(site->database->db), before);
    /* With another session timeout only /a differs, and what it is part of. */
    other.session_timeout = 5000;
    assert_true(refresh_with(site, &other).changed);
    assert_changed(site, 1000, "/a|X|2@2000 ||3@2000 |X|3@2000 /a||2@2000 ");
    assert_int_equal(number(site, "SELECT session_timeout FROM covered WHERE window = 'all'"),
                     5000);
    assert_int_equal(number(site, "SELECT session_timeout FROM covered WHERE window = 'day'"),
                     TIMEOUT);
    /* Rows that were damaged are repaired. */
    site->now = 3000;
    sql(site, "UPDATE cell SET clicks = 99 WHERE window = 1 AND url = 1; DELETE FROM total WHERE "
              "window = 1 AND url < 0 AND country < 0; INSERT INTO cell VALUES (1, 0, 1, 0, 7, 7, "
              "7, 7, 7, 7, 7, 7, 7)");
    rebuild(site, 1 << CM_WINDOW_DAY);
    assert_changed(site, 2000, "day0:/b|X|1@3000 day0:||3@3000 ");
    assert_int_equal(number(site, "SELECT count(*) FROM retired WHERE window = 1 AND start = 0 AND "
                                  "url = '/b' AND country = 'X' AND updated_at = 3000"),
                     1);
    assert_int_equal(number(site, "SELECT cells FROM covered WHERE window = 'day'"), 2);
    /* Texts, too. */
    site->now = 4000;
    sql(site, "UPDATE page SET url = '/spoiled' WHERE id = 0; DELETE FROM country");
    rebuild(site, 1 << CM_WINDOW_DAY);
    assert_changed(site, 3000, "");
    assert_int_equal(number(site, "SELECT count(*) FROM answer WHERE url = '/a' AND country = 'X'"),
                     3);
}

/* ---- another store ---- */

/* Other ids, other order: what is equal keeps its time, urls and countries their ids. */
static void another_store(void **state)
{
    site_t *site = *state;

    site_click(site, "u", site_day, "/a", "X");
    site_click(site, "v", site_day, "/b", "Y");
    assert_true(refresh_from(site, 1 << CM_WINDOW_ALL).changed);
    assert_int_equal(number(site, "SELECT id FROM page WHERE url = '/b'"), 1);
    prepare(site);
    site->now = 2000;
    site_click(site, "w", site_day, "/c", "Z");
    site_click(site, "v", site_day, "/b", "Y");
    site_click(site, "u", site_day, "/a", "X");
    assert_true(refresh_from(site, 1 << CM_WINDOW_ALL).changed);
    assert_changed(site, 0,
                   "/a|X|1@1000 /b|Y|1@1000 /c|Z|1@2000 "
                   "||3@2000 |X|1@1000 |Y|1@1000 |Z|1@2000 /a||1@1000 /b||1@1000 /c||1@2000 ");
    assert_int_equal(number(site, "SELECT id FROM page WHERE url = '/b'"), 1);
    assert_int_equal(number(site, "SELECT id FROM country WHERE name = 'Z'"), 2);
    /* The same again, in another order. */
    site->now = 3000;
    int before = sqlite3_total_changes(site->database->db);
    site_click(site, "v", site_day, "/b", "Y");
    site_click(site, "u", site_day, "/a", "X");
    site_click(site, "w", site_day, "/c", "Z");
    cm_index_refreshed_t done = refresh_from(site, 1 << CM_WINDOW_ALL);
    assert_false(done.changed);
    assert_int_equal(done.events, 3);
    assert_int_equal(done.cells, 3);
    assert_int_equal(sqlite3_total_changes(site->database->db), before);
    assert_int_equal(latest(site), 2000);
    /* /a is deleted: its rows vanish, and its text. */
    site_click(site, "v", site_day, "/b", "Y");
    site_click(site, "w", site_day, "/c", "Z");
    assert_true(refresh_from(site, 1 << CM_WINDOW_ALL).changed);
    assert_changed(site, 2000, "||2@3000 ");
    assert_retired(site, 0, "|X|0@3000 /a||0@3000 /a|X|0@3000 ");
    assert_retired(site, 3000, "");
    assert_int_equal(number(site, "SELECT count(*) FROM page"), 2);
    assert_int_equal(number(site, "SELECT count(*) FROM country WHERE name = 'X'"), 0);
    /* And is there again: then it has not vanished. */
    site_click(site, "v", site_day, "/b", "Y");
    site_click(site, "w", site_day, "/c", "Z");
    site_click(site, "u", site_day, "/a", "V");
    refresh_from(site, 1 << CM_WINDOW_ALL);
    assert_retired(site, 0, "|X|0@3000 /a|X|0@3000 ");
    assert_changed(site, 3000, "/a|V|1@3001 ||3@3001 |V|1@3001 /a||1@3001 ");
}

/* Own answers and those of another store replace each other by difference, too; a window that is
 * not asked for stays while it is of the same kind. */
static void own_and_foreign(void **state)
{
    site_t *site = *state;

    prepare(site);
    site_click(site, "u", site_day, "/a", "X");
    site_click(site, "v", site_day, "/b", "Y");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL | 1 << CM_WINDOW_DAY);
    site->now = 2000;
    site_click(site, "w", site_day, "/c", "Y");
    site_click(site, "v", site_day, "/b", "Y");
    refresh_from(site, 1 << CM_WINDOW_ALL);
    assert_changed(site, 0, "/b|Y|1@1000 /c|Y|1@2000 ||2@1000 |Y|2@2000 /b||1@1000 /c||1@2000 ");
    assert_retired(site, 0,
                   "|X|0@2000 /a||0@2000 /a|X|0@2000 day0:||0@2000 day0:|X|0@2000 day0:|Y|0@2000 "
                   "day0:/a||0@2000 day0:/a|X|0@2000 day0:/b||0@2000 day0:/b|Y|0@2000 ");
    assert_int_equal(number(site, "SELECT count(*) FROM covered WHERE session_timeout < 0"), 1);
    assert_int_equal(number(site, "SELECT count(*) FROM covered"), 1);
    site->now = 3000;
    site_click(site, "v", site_day, "/b", "Y");
    refresh_from(site, 1 << CM_WINDOW_HOUR); /* all stays */
    assert_int_equal(number(site, "SELECT count(*) FROM cell WHERE window = 0"), 2);
    site->now = 4000;
    refresh(site, 1 << CM_WINDOW_ALL);
    assert_changed(site, 0,
                   "/a|X|1@4000 /b|Y|1@1000 ||2@1000 |X|1@4000 |Y|1@4000 /a||1@4000 /b||1@1000 ");
    assert_int_equal(number(site, "SELECT id FROM page WHERE url = '/a'"), 0);
    assert_int_equal(number(site, "SELECT count(*) FROM page"), 2);
    assert_retired(site, 3000,
                   "/c||0@4000 /c|Y|0@4000 hour0:||0@4000 hour0:|Y|0@4000 hour0:/b||0@4000 "
                   "hour0:/b|Y|0@4000 ");
    /* From here on only what is new. */
    site->now = 5000;
    site_click(site, "u", site_day + 1000, "/d", "Z");
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL);
    assert_changed(site, 4000,
                   "/a|X|1@5000 /d|Z|1@5000 ||3@5000 |X|1@5000 |Z|1@5000 /a||1@5000 /d||1@5000 ");
}

/* Without copies nothing is remembered, and nothing of the kind is there. */
static void unpublished(void **state)
{
    site_t *site = *state;
    cm_err_t err;

    site_click(site, "u", site_day, "/a", "X");
    refresh_from(site, 1 << CM_WINDOW_ALL);
    site_click(site, "u", site_day, "/b", "X");
    refresh_from(site, 1 << CM_WINDOW_ALL);
    site_click(site, "u", site_day, "/own", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    rebuild(site, 1 << CM_WINDOW_DAY);
    assert_int_equal(number(site, "SELECT count(*) FROM sqlite_master WHERE name IN ('retired', "
                                  "'published') OR (type = 'index' AND name NOT IN "
                                  "('total_site', 'total_country'))"),
                     0);
    assert_changed(site, 1001,
                   "/own|X|1@1002 hour0:/own|X|1@1002 day0:/own|X|1@1003 "
                   "||1@1002 |X|1@1002 /own||1@1002 hour0:||1@1002 hour0:|X|1@1002 "
                   "hour0:/own||1@1002 day0:||1@1003 day0:|X|1@1003 day0:/own||1@1003 ");
    assert_ok(cm_index_changes_forget(site->database, &err), err);
}

static void stopping_changes_nothing(void **state)
{
    site_t *site = *state;
    atomic_bool stop = true;
    cm_index_refresh_options_t options = options_of(site, CM_WINDOWS_EVERY);
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    prepare(site);
    site_click(site, "u", site_day, "/a", "X");
    site_commit(site);
    refresh(site, CM_WINDOWS_EVERY);
    site_click(site, "u", site_day, "/b", "X");
    cm_store_t *other = cm_memory_new();
    test_put(other, &site->batch);
    test_commit(other);
    options.stop = &stop;
    assert_int_equal(cm_index_refresh_from(other, site->store, &options, &refreshed, &err),
                     CM_ESTOP);
    cm_sink_close(&other->sink);
    assert_int_equal(latest(site), 1000);
    assert_int_equal(number(site, "SELECT count(*) FROM page"), 1);
}

/* ---- copies ---- */

static void several_copies(void **state)
{
    site_t *site = *state;
    cm_index_checkpoint_t published = {.watermark = 1};
    cm_err_t err;

    prepare(site);
    prepare(site); /* again: nothing happens */
    assert_ok(cm_index_changes_checkpoint(site->database, "a", &published, &err), err);
    assert_int_equal(published.watermark, 0);
    assert_string_equal(published.epoch, "");
    site_click(site, "u", site_day, "/a", "X");
    site_click(site, "v", site_day, "/b", "Y");
    refresh_from(site, 1 << CM_WINDOW_ALL);
    const cm_index_checkpoint_t here = {"0123456789abcdef0123456789abcdef", 1000};
    assert_ok(cm_index_changes_set_checkpoint(site->database, "a", &here, &err), err);
    assert_ok(cm_index_changes_set_checkpoint(site->database, "b", &here, &err), err);
    site_click(site, "u", site_day, "/a", "X");
    refresh_from(site, 1 << CM_WINDOW_ALL);
    assert_retired(site, 1000, "|Y|0@1001 /b||0@1001 /b|Y|0@1001 ");
    const cm_index_checkpoint_t later = {"x", 1001};
    assert_ok(cm_index_changes_set_checkpoint(site->database, "a", &later, &err), err);
    assert_retired(site, 1000, "|Y|0@1001 /b||0@1001 /b|Y|0@1001 "); /* b lacks it yet */
    assert_ok(cm_index_changes_checkpoint(site->database, "b", &published, &err), err);
    assert_string_equal(published.epoch, here.epoch);
    assert_int_equal(published.watermark, 1000);
    assert_ok(cm_index_changes_set_checkpoint(site->database, "b", &later, &err), err);
    assert_retired(site, 1000, "");
    assert_ok(cm_index_changes_checkpoint(site->database, "a", &published, &err), err);
    assert_string_equal(published.epoch, "x");
    assert_ok(cm_index_changes_forget(site->database, &err), err);
    assert_ok(cm_index_changes_checkpoint(site->database, "a", &published, &err), err);
    assert_int_equal(published.watermark, 0);
}

typedef struct meddling {
    site_t *site;
    int rows;
} meddling_t;

static int change_meanwhile(void *context, const cm_answer_t *answer)
{
    meddling_t *meddling = context;

    (void)answer;
    if (meddling->rows++ == 0) /* all that is not in memory yet has a later time then */
        sql(meddling->site, "UPDATE cell SET updated_at = 3000, clicks = 5");
    return 0;
}

static int stop_at_third(void *context, const cm_answer_t *answer)
{
    (void)answer;
    return ++*(int *)context == 3 ? CM_EIO : 0;
}

/* More rows than a page, and rows that change while they are walked. */
static void page_by_page(void **state)
{
    site_t *site = *state;
    meddling_t meddling = {.site = site};
    int64_t count;
    cm_err_t err;
    int rows = 0;

    prepare(site);
    for (int i = 0; i < 9000; i++) {
        char *url = cm_arena_alloc(&site->batch.arena, 16);
        snprintf(url, 16, "/%d", i);
        site_click(site, "u", site_day + i, url, "X");
    }
    site_commit(site);
    refresh(site, 1 << CM_WINDOW_ALL);
    for (int since = 0; since < 1000; since += 500) {
        cm_buf_t got = CM_BUF_INIT;
        assert_ok(cm_index_changes_each(site->database, since, 1000, take_row, &got, &err), err);
        assert_non_null(strstr(got.data, " /8999|X|1@1000 ||9000@1000 |X|9000@1000 /0||1@1000 "));
        assert_ok(cm_index_changes_count(site->database, since, 1000, &count, &err), err);
        assert_int_equal(count, 9000 + 9002);
        for (size_t i = 0; i < got.len; i++)
            rows += got.data[i] == ' ';
        cm_buf_free(&got);
    }
    assert_int_equal(rows, 2 * (9000 + 9002));
    assert_ok(cm_index_changes_each(site->database, 0, 1000, change_meanwhile, &meddling, &err),
              err);
    assert_in_range(meddling.rows, 9002 + 1, 9002 + 8999);
    rows = 0;
    assert_int_equal(cm_index_changes_each(site->database, 0, 1000, stop_at_third, &rows, &err),
                     CM_EIO);
    assert_int_equal(rows, 3);
    rows = 0; /* vanished ones, of which there is more than a page, too */
    site_click(site, "u", site_day, "/", "X");
    refresh_from(site, 1 << CM_WINDOW_ALL);
    cm_buf_t gone = CM_BUF_INIT;
    assert_ok(cm_index_changes_tombstones(site->database, 1000, 9000, take_row, &gone, &err), err);
    for (size_t i = 0; i < gone.len; i++)
        rows += gone.data[i] == ' ';
    assert_int_equal(rows, 18000);
    cm_buf_free(&gone);
}

/* ---- a copy ---- */

/* Documents by their ids, as a copy elsewhere has them. */
typedef struct copy {
    struct copy_entry {
        char id[CM_DOCUMENT_ID];
        cm_buf_t document;
    } * entries;
    size_t count, cap;
    int64_t watermark;
} copy_t;

static struct copy_entry *copy_find(copy_t *copy, const cm_answer_t *answer,
                                    char id[CM_DOCUMENT_ID])
{
    cm_document_id(answer, id);
    for (size_t i = 0; i < copy->count; i++) {
        if (memcmp(copy->entries[i].id, id, CM_DOCUMENT_ID) == 0)
            return &copy->entries[i];
    }
    return NULL;
}

static int copy_put(void *context, const cm_answer_t *answer)
{
    copy_t *copy = context;
    char id[CM_DOCUMENT_ID];
    struct copy_entry *entry = copy_find(copy, answer, id);

    if (entry == NULL) {
        if (copy->count == copy->cap) {
            copy->cap = copy->cap ? 2 * copy->cap : 256;
            copy->entries = cm_realloc(copy->entries, copy->cap * sizeof *copy->entries);
        }
        entry = &copy->entries[copy->count++];
        memcpy(entry->id, id, sizeof id);
        entry->document = CM_BUF_INIT;
    }
    cm_buf_clear(&entry->document);
    cm_document_add(&entry->document, answer);
    return 0;
}

static int copy_remove(void *context, const cm_answer_t *answer)
{
    copy_t *copy = context;
    char id[CM_DOCUMENT_ID];
    struct copy_entry *entry = copy_find(copy, answer, id);

    if (entry != NULL) {
        cm_buf_free(&entry->document);
        *entry = copy->entries[--copy->count];
    }
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct copy_entry *)a)->id, ((const struct copy_entry *)b)->id,
                  CM_DOCUMENT_ID);
}

static void copy_free(copy_t *copy)
{
    for (size_t i = 0; i < copy->count; i++)
        cm_buf_free(&copy->entries[i].document);
    free(copy->entries);
    *copy = (copy_t){0};
}

/* Applies what has changed, and checks that the copy equals the index. */
static void copy_follow(site_t *site, copy_t *copy, int step)
{
    const int64_t watermark = latest(site);
    copy_t whole = {0};
    cm_err_t err;

    assert_ok(cm_index_changes_tombstones(site->database, copy->watermark, watermark, copy_remove,
                                          copy, &err),
              err);
    assert_ok(
        cm_index_changes_each(site->database, copy->watermark, watermark, copy_put, copy, &err),
        err);
    copy->watermark = watermark;
    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        for (int d = 0; d < CM_DIMENSION_COUNT; d++) {
            const cm_index_query_t query = {.dimension = (cm_dimension_t)d,
                                            .window = (cm_window_t)w};
            cm_index_t *index;
            assert_ok(cm_index_embedded_open(site->directory, &index, &err), err);
            assert_ok(cm_index_query(index, &query, copy_put, &whole, &err), err);
            cm_index_close(index);
        }
    }
    qsort(copy->entries, copy->count, sizeof *copy->entries, by_id);
    qsort(whole.entries, whole.count, sizeof *whole.entries, by_id);
    if (whole.count != copy->count)
        fail_msg("step %d: the copy has %zu rows of %zu", step, copy->count, whole.count);
    for (size_t i = 0; i < whole.count; i++)
        assert_string_equal(copy->entries[i].document.data, whole.entries[i].document.data);
    copy_free(&whole);
}

static void click_at_random(site_t *site, uint64_t *random, int most)
{
    static const char *const urls[] = {"/", "/a", "/b", "/c", "/d", "/e"};
    static const char *const countries[] = {"X", "Y", "Z"};
    static const char *const users[] = {"u", "v", "w", "x"};

    for (int i = (int)(test_random(random) % (uint64_t)most); i >= 0; i--)
        site_click(site, users[test_random(random) % 4],
                   site_day + (int64_t)(test_random(random) % 40) * 600000,
                   urls[test_random(random) % 6], countries[test_random(random) % 3]);
}

/* Whatever happens in whatever order: two copies, of which one is often behind, end up equal to the
 * index; and every index says what is right. */
static void copies_follow(void **state)
{
    site_t *site = *state;
    uint64_t random = 42;
    copy_t copies[2] = {{0}, {0}};
    cm_err_t err;

    prepare(site);
    for (int step = 0; step < 300; step++) {
        const unsigned windows = 1 + (unsigned)(test_random(&random) % CM_WINDOWS_EVERY);
        cm_index_refresh_options_t options = options_of(site, windows);
        site->now += (int64_t)(test_random(&random) % 5) - 2; /* the clock goes back, too */
        click_at_random(site, &random, 6);
        switch (test_random(&random) % 6) {
        case 0:
        case 1:
            site_commit(site);
            refresh(site, windows);
            break;
        case 2:
            site_commit(site);
            rebuild(site, windows);
            break;
        case 3:
            site_commit(site);
            options.session_timeout = 600000;
            refresh_with(site, &options);
            break;
        default:
            refresh_from(site, windows);
        }
        copy_follow(site, &copies[0], step);
        if (test_random(&random) % 8 == 0)
            copy_follow(site, &copies[1], step);
        for (int i = 0; i < 2; i++) {
            cm_index_checkpoint_t published = {"e", copies[i].watermark};
            assert_ok(
                cm_index_changes_set_checkpoint(site->database, i ? "b" : "a", &published, &err),
                err);
        }
    }
    copy_free(&copies[0]);
    copy_free(&copies[1]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_set_up, site_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(time_grows_strictly),
        TEST(rows_in_their_order),
        TEST(rebuild_keeps_times),
        TEST(another_store),
        TEST(own_and_foreign),
        TEST(unpublished),
        TEST(stopping_changes_nothing),
        TEST(several_copies),
        TEST(page_by_page),
        TEST(copies_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
