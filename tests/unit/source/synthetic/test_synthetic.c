#include "source/synthetic/synthetic.h"

#include "base/clock.h"

#include "pace.h"

/* The parts of an event that are compared. The strings of a source do not move. */
typedef struct seen {
    int64_t ms;
    const char *user;
    cm_str_t user_id, url;
} seen_t;

/* All events of a source with these options, in the order of emission; the caller frees them. The
 * source stays open because it owns the strings. */
static seen_t *collect(const cm_synthetic_options_t *options, cm_source_t **source, size_t *count)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    seen_t *seen = calloc(options->count, sizeof *seen);
    int more;

    assert_int_equal(cm_synthetic_open(options, NULL, source, &err), 0);
    *count = 0;
    do {
        cm_batch_clear(&batch);
        more = cm_source_next(*source, &batch, &err);
        assert_true(more >= 0);
        assert_true(batch.count <= CM_BATCH_EVENTS);
        assert_int_equal(batch.account.read, batch.count);
        assert_int_equal(batch.account.accepted, batch.count);
        assert_int_equal(batch.position_count, 0);
        for (size_t i = 0; i < batch.count; i++) {
            const cm_event_t *event = &batch.events[i];
            assert_true(*count < options->count);
            assert_int_equal(event->row_key.len, 0);
            seen[(*count)++] =
                (seen_t){event->timestamp, event->user_id.data, event->user_id, event->url};
        }
    } while (more > 0);
    cm_batch_free(&batch);
    return seen;
}

static int by_user_and_time(const void *a, const void *b)
{
    const seen_t *x = a, *y = b;
    if (x->user != y->user)
        return x->user < y->user ? -1 : 1;
    return (x->ms > y->ms) - (x->ms < y->ms);
}

static void first_events_are_golden(void **state)
{
    static const char expected[] =
        "{\"row_key\": \"60ba5ffa-f6e2-577b-b46e-35e16799494b\", \"user_id\": \"yangcristina"
        "\", \"timestamp\": 1704067200000, \"url\": \"https://www.example.com/\", \"country\""
        ": \"Nigeria\", \"city\": \"Grayhaven\", \"browser\": \"Chrome\", \"os\": \"Android 1"
        "3\", \"device\": \"Moto G84\"}\n"
        "203.0.113.1 Mozilla/5.0 (Linux; Android 13; moto g84 5G) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/121.0.0.0 Mobile Safari/537.36\n"
        "{\"row_key\": \"ed31cfeb-fee6-52cd-a652-7d650e219000\", \"user_id\": \"betty60\", \""
        "timestamp\": 1704067200818, \"url\": \"https://www.example.com/\", \"country\": \"Un"
        "ited States\", \"city\": \"Lake Barton\", \"browser\": \"Chrome\", \"os\""
        ": \"Windows 10\", \"device\": \"Desktop\"}\n"
        "192.0.2.1 Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/117.0.0.0 Safari/537.36\n"
        "{\"row_key\": \"ff2015cb-5bc0-5a0b-8c39-badc637175b1\", \"user_id\": \"larsondaniel"
        "\", \"timestamp\": 1704067201257, \"url\": \"https://www.example.com/home\", \"count"
        "ry\": \"Nigeria\", \"city\": \"Christinabury\", \"browser\": \"Safari\", \"os\": \"M"
        "ac OS X 10.15\", \"device\": \"Desktop\"}\n"
        "192.0.2.6 Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTM"
        "L, like Gecko) Version/17.4 Safari/605.1.15\n"
        "{\"row_key\": \"a1a65391-199c-5b66-b7aa-8a47623a486c\", \"user_id\": \"qholloway\", "
        "\"timestamp\": 1704067202670, \"url\": \"https://www.example.com/products\", \"count"
        "ry\": \"United States\", \"city\": \"West Jasmineville\", \"browser\": \""
        "Firefox\", \"os\": \"Mac OS X 10.15\", \"device\": \"Desktop\"}\n"
        "192.0.2.3 Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:121.0) Gecko/20100101 Fir"
        "efox/121.0\n";
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *source;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t text = CM_BUF_INIT;
    cm_err_t err;
    char address[CM_POPULATION_ADDRESS_MAX];
    uint64_t done, total;
    (void)state;

    options.count = 4;
    assert_int_equal(cm_synthetic_open(&options, NULL, &source, &err), 0);
    assert_int_equal(cm_source_next(source, &batch, &err), 0);
    assert_int_equal(batch.count, 4);
    for (size_t i = 0; i < batch.count; i++) {
        cm_event_add_json(&text, &batch.events[i]);
        cm_buf_add_char(&text, '\n');
        cm_buf_add_str(&text, cm_synthetic_address(source, i, address));
        cm_buf_add_char(&text, ' ');
        cm_buf_add_str(&text, cm_synthetic_user_agent(source, i));
        cm_buf_add_char(&text, '\n');
        assert_int_equal(cm_event_check(&batch.events[i], false, &err), 0);
    }
    assert_string_equal(text.data, expected);
    source->ops->progress(source, &done, &total);
    assert_int_equal(done, 4);
    assert_int_equal(total, 4);
    cm_buf_free(&text);
    cm_batch_free(&batch);
    cm_source_close(source);
}

/* FNV-1a of all emitted events. */
static uint64_t digest(const cm_synthetic_options_t *options)
{
    cm_source_t *source;
    size_t count;
    seen_t *seen = collect(options, &source, &count);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char line[256];

    assert_int_equal(count, options->count);
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(line, sizeof line, "%lld %.*s %.*s\n", (long long)seen[i].ms,
                           (int)seen[i].user_id.len, seen[i].user_id.data, (int)seen[i].url.len,
                           seen[i].url.data);
        for (int j = 0; j < len; j++)
            hash = (hash ^ (unsigned char)line[j]) * UINT64_C(0x100000001b3);
    }
    free(seen);
    cm_source_close(source);
    return hash;
}

static void same_options_same_events(void **state)
{
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    (void)state;
    options.count = 20000;
    options.users = 5000;
    options.urls = 300;
    options.rate = 37.5;
    options.late_percent = 3;
    options.repeat_percent = 2;
    uint64_t first = digest(&options);
    assert_true(digest(&options) == first);
    assert_int_equal(first, UINT64_C(0x3fa8a20c94c735cb)); /* and on every machine */
    options.seed = 2;
    assert_true(digest(&options) != first);
}

/* The times of every user are strictly increasing, so that derived row keys are distinct. With
 * `crowded`, milliseconds have too many clicks. */
static void check_times(uint32_t users, double rate, double late)
{
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *source;
    size_t count;
    options.count = 200000;
    options.users = users;
    options.rate = rate;
    options.late_percent = late;
    seen_t *seen = collect(&options, &source, &count);

    assert_int_equal(count, options.count);
    assert_int_equal(seen[0].ms >= options.start_ms, 1);
    for (size_t i = 1; i < count && late == 0; i++)
        assert_true(seen[i].ms >= seen[i - 1].ms);
    qsort(seen, count, sizeof *seen, by_user_and_time);
    for (size_t i = 1; i < count; i++)
        assert_true(seen[i].user != seen[i - 1].user || seen[i].ms > seen[i - 1].ms);
    free(seen);
    cm_source_close(source);
}

static void times_of_a_user_increase(void **state)
{
    (void)state;
    check_times(1, 100, 0);
    check_times(2, 200, 0);
    check_times(20, 2000, 10);
    check_times(1000, 100000, 0);
    check_times(100000, 1, 5);
}

static void rate_is_kept(void **state)
{
    static const double rates[] = {0.01, 1, 700, 1999};
    (void)state;
    for (int i = 0; i < 4; i++) {
        for (int repeat = 0; repeat <= 50; repeat += 50) {
            cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
            cm_source_t *source;
            size_t count;
            options.count = 200000;
            options.rate = rates[i];
            options.repeat_percent = repeat;
            seen_t *seen = collect(&options, &source, &count);
            double seconds = (double)(seen[count - 1].ms - options.start_ms) / 1000;
            double rate = (double)count / seconds / rates[i];
            assert_true(rate > 0.99 && rate < 1.01);
            free(seen);
            cm_source_close(source);
        }
    }
}

/* Counts the copies, and the events that come after a later one. */
static void disorder(double late, double repeat, size_t count, size_t *copies, size_t *behind)
{
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *source;
    size_t emitted;
    int64_t latest = 0;
    options.count = count;
    options.users = 10000;
    options.rate = 100;
    options.late_percent = late;
    options.repeat_percent = repeat;
    seen_t *seen = collect(&options, &source, &emitted);

    assert_int_equal(emitted, count);
    *copies = *behind = 0;
    for (size_t i = 0; i < count; i++) {
        *behind += seen[i].ms < latest;
        if (seen[i].ms > latest)
            latest = seen[i].ms;
    }
    qsort(seen, count, sizeof *seen, by_user_and_time);
    for (size_t i = 1; i < count; i++) {
        if (seen[i].user != seen[i - 1].user || seen[i].ms != seen[i - 1].ms)
            continue;
        assert_ptr_equal(seen[i].url.data, seen[i - 1].url.data);
        ++*copies;
    }
    free(seen);
    cm_source_close(source);
}

static void counts_are_exact_and_shares_are_kept(void **state)
{
    size_t copies, behind;
    (void)state;
    disorder(0, 0, 100000, &copies, &behind);
    assert_int_equal(copies, 0);
    assert_int_equal(behind, 0);
    disorder(10, 0, 100000, &copies, &behind);
    assert_int_equal(copies, 0);
    assert_in_range(behind, 9500, 10500);
    disorder(0, 25, 100000, &copies, &behind);
    assert_in_range(copies, 19500, 20500); /* 25 of 125 */
    disorder(100, 100, 100000, &copies, &behind);
    assert_in_range(copies, 30000, 50000);
}

/* All delayed events are emitted within the count: without copies and in order, the disturbed
 * stream is the beginning of the undisturbed one. */
static void nothing_held_back_is_lost(void **state)
{
    enum { LONGEST = 2000 };
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *plain_source, *source;
    size_t plain_count, count, moved = 0;
    (void)state;
    options.users = 1; /* so that the order by user and time is the order by time */
    options.rate = 10;
    options.count = LONGEST;
    seen_t *plain = collect(&options, &plain_source, &plain_count);
    options.rate = 15; /* ten new ones and five copies */
    options.late_percent = 50;
    options.repeat_percent = 50;
    for (size_t wanted = 1; wanted <= LONGEST; wanted += wanted < 60 ? 1 : 485) {
        options.count = wanted;
        seen_t *seen = collect(&options, &source, &count);
        assert_int_equal(count, wanted);
        for (size_t i = 1; i < count; i++)
            moved += seen[i].ms < seen[i - 1].ms;
        qsort(seen, count, sizeof *seen, by_user_and_time);
        size_t at = 0;
        for (size_t i = 0; i < count; i++) {
            if (i > 0 && seen[i].ms == seen[i - 1].ms)
                continue;
            assert_int_equal(seen[i].ms, plain[at++].ms);
        }
        free(seen);
        cm_source_close(source);
    }
    assert_true(moved > 500);
    free(plain);
    cm_source_close(plain_source);
}

static void pages_and_users_follow_zipf(void **state)
{
    enum { USERS = 1000, URLS = 100, COUNT = 500000 };
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *source;
    size_t count;
    double pages[URLS] = {0}, harmonic = 0;
    (void)state;
    options.count = COUNT;
    options.users = USERS;
    options.urls = URLS;
    options.rate = 0.03; /* one session at a time: no other user is busy */
    seen_t *seen = collect(&options, &source, &count);

    /* The strings of URLs and of users are in memory in the order of their ranks. */
    const char *first_url = seen[0].url.data, *first_user = seen[0].user;
    for (size_t i = 0; i < count; i++) {
        first_url = seen[i].url.data < first_url ? seen[i].url.data : first_url;
        first_user = seen[i].user < first_user ? seen[i].user : first_user;
    }
    qsort(seen, count, sizeof *seen, by_user_and_time);
    double user_harmonic = 0;
    for (int k = 1; k <= USERS; k++)
        user_harmonic += 1.0 / k;
    size_t run = 0, rank = 0;
    for (size_t i = 0; i <= count && rank < 20; i++, run++) {
        if (i > 0 && (i == count || seen[i].user != seen[i - 1].user)) {
            double expected = COUNT / (user_harmonic * (double)++rank);
            assert_true((double)run > expected * 0.9 && (double)run < expected * 1.1);
            run = 0;
        }
    }
    assert_int_equal(rank, 20);

    cm_str_t urls[URLS] = {0};
    for (size_t i = 0; i < count; i++) {
        size_t slot = (size_t)seen[i].url.data % URLS;
        while (urls[slot].data != NULL && urls[slot].data != seen[i].url.data)
            slot = (slot + 1) % URLS;
        urls[slot] = seen[i].url;
        pages[slot]++;
    }
    for (int k = 1; k <= URLS; k++)
        harmonic += 1.0 / k;
    for (int slot = 0; slot < URLS; slot++) {
        int k = 1;
        for (int other = 0; other < URLS; other++)
            k += urls[other].data < urls[slot].data;
        /* Half of the entries, a tenth of the clicks, go to the home page first. */
        double expected = 0.9 * COUNT / (harmonic * k) + (k == 1 ? 0.1 * COUNT : 0);
        assert_true(pages[slot] > expected * 0.9 && pages[slot] < expected * 1.1);
    }
    free(seen);
    cm_source_close(source);
}

static void paced_source_keeps_time_and_stops(void **state)
{
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *source;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    atomic_bool stop = false;
    size_t count = 0;
    (void)state;
    options.paced = true;
    options.rate = 2000;
    options.users = 1000;
    assert_int_equal(cm_synthetic_open(&options, &stop, &source, &err), 0);

    int64_t begin = cm_clock_ticks_ns(), now = begin;
    while (now - begin < 700 * INT64_C(1000000)) {
        cm_batch_clear(&batch);
        assert_int_equal(cm_source_next(source, &batch, &err), 1);
        now = cm_clock_ticks_ns();
        count += batch.count;
        if (batch.count > 0) /* no event comes before its time */
            assert_true(batch.events[batch.count - 1].timestamp - options.start_ms <=
                        (now - begin) / 1000000);
    }
    double expected = (double)(now - begin) / 1e9 * options.rate;
    assert_true((double)count > expected * 0.5 && (double)count < expected * 1.25);

    test_pace_t pace;
    test_pace_start(&pace);
    atomic_store(&stop, true);
    for (int i = 0; i < 10; i++) { /* would take two seconds */
        cm_batch_clear(&batch);
        assert_int_equal(cm_source_next(source, &batch, &err), 1);
    }
    test_pace_took(&pace, 0, 1000);
    cm_batch_free(&batch);
    cm_source_close(source);
    test_pace_end(&pace);
}

static void paced_source_ends(void **state)
{
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *source;
    size_t count;
    (void)state;
    options.paced = true;
    options.rate = 1500;
    options.count = 300;
    options.late_percent = 30;
    options.repeat_percent = 30;
    free(collect(&options, &source, &count));
    assert_int_equal(count, 300);
    cm_source_close(source);
}

static void assert_refused(cm_synthetic_options_t options, const char *sentence)
{
    cm_source_t *source;
    cm_err_t err;
    assert_int_equal(cm_synthetic_open(&options, NULL, &source, &err), CM_EUSAGE);
    assert_string_equal(err.text, sentence);
}

static void refuses_impossible_options(void **state)
{
    cm_synthetic_options_t good = CM_SYNTHETIC_DEFAULTS, bad;
    (void)state;
    bad = good, bad.rate = 0;
    assert_refused(bad,
                   "a rate of 0 events per second is not possible; give a number from 0.000001 to "
                   "100000000");
    bad = good, bad.rate = 2001;
    assert_refused(bad,
                   "20 users cannot generate 2001 events per second, a user generates 100 at most; "
                   "give more users or a lower rate");
    bad = good, bad.users = 0;
    assert_refused(bad, "0 users cannot be generated; give a number from 1 to 100000000");
    bad = good, bad.urls = 0;
    assert_refused(bad, "0 URLs cannot be generated; give a number from 1 to 1000000");
    bad = good, bad.countries = 1000;
    assert_refused(bad,
                   "1000 countries cannot be generated, the list has 219; give a number from 1 to "
                   "219");
    bad = good, bad.late_percent = 101;
    assert_refused(bad, "101 percent late events is not possible; give a number from 0 to 100");
    bad = good, bad.repeat_percent = -1;
    assert_refused(bad, "-1 percent repeated events is not possible; give a number from 0 to 100");
    bad = good, bad.start_ms = CM_TIME_END;
    assert_refused(bad, "synthetic events cannot begin at 4102444800000 ms since 1970; begin after "
                        "that and before the year 2100");
}

static void ends_before_the_year_2100(void **state)
{
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    cm_source_t *source;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    (void)state;
    options.start_ms = CM_TIME_END - 1;
    assert_int_equal(cm_synthetic_open(&options, NULL, &source, &err), 0);
    assert_int_equal(cm_source_next(source, &batch, &err), CM_EUSAGE);
    assert_string_equal(err.text, "the simulated time reaches the year 2100 after 1 events; begin "
                                  "earlier, or give a higher rate or a lower count");
    cm_batch_free(&batch);
    cm_source_close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_events_are_golden),
        cmocka_unit_test(same_options_same_events),
        cmocka_unit_test(times_of_a_user_increase),
        cmocka_unit_test(rate_is_kept),
        cmocka_unit_test(counts_are_exact_and_shares_are_kept),
        cmocka_unit_test(nothing_held_back_is_lost),
        cmocka_unit_test(pages_and_users_follow_zipf),
        cmocka_unit_test(paced_source_keeps_time_and_stops),
        cmocka_unit_test(paced_source_ends),
        cmocka_unit_test(refuses_impossible_options),
        cmocka_unit_test(ends_before_the_year_2100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
