#include "mill_reference.h"

#include "base/clock.h"

#include <ctype.h>

static const char *const urls[REF_URLS] = {"/", "/a", "/a,b", "/b\"", "/\xC3\xA4"};
static const char *const cities[REF_CITIES] = {"Rome", "Rome!", "Ro\\me", "R\xC3\xB6m"};
static const char *const countries[REF_COUNTRIES] = {"Chile", "Norway", "Unknown"};

void ref_derive(ref_event_t *event)
{
    char name[100], uuid[CM_UUID_TEXT];
    const bool view = event->kind == REF_VIEW;
    int content = (int)((event->time * 31 + event->user + !view) % (REF_URLS * REF_COUNTRIES));

    event->url = content % REF_URLS;
    event->country = content / REF_URLS;
    event->referrer = content % 2;
    event->kind = view ? REF_VIEW : content % 3 == 0 ? REF_ENGAGEMENT : REF_BUY;
    int len = snprintf(name, sizeof name, "user%d_%lld", event->user, (long long)event->time);
    if (!view)
        len +=
            snprintf(name + len, sizeof name - (size_t)len, "_%s%zu:%s%s",
                     event->kind == REF_BUY ? "3:buy" : "10:engagement", strlen(urls[event->url]),
                     urls[event->url], event->kind == REF_BUY ? "10:{\"sum\": 5}" : "0:");
    cm_uuid5((cm_str_t){name, (size_t)len}, uuid);
    snprintf(event->key, sizeof event->key, "%.36s", uuid);
}

void ref_own_key(ref_event_t *event, uint64_t serial, uint64_t kind)
{
    static const char *const forms[] = {"%x", "%x-", "Z%x", "\xC3\xA4%x", "a%x", "-%x"};
    char name[40], uuid[CM_UUID_TEXT];

    if (kind < 6) {
        snprintf(event->key, sizeof event->key, forms[kind], (unsigned)serial);
        return;
    }
    int len = snprintf(name, sizeof name, "serial %x", (unsigned)serial);
    cm_uuid5((cm_str_t){name, (size_t)len}, uuid);
    snprintf(event->key, sizeof event->key, "%.36s", uuid);
    for (char *at = event->key; kind == 7 && *at != '\0'; at++)
        *at = (char)toupper(*at); /* not canonical, so it is stored as a string */
}

static int64_t make_time(uint64_t *random)
{
    int64_t day = (ref_day + (int64_t)(test_random(random) % REF_DAYS)) * CM_DAY_MS;
    switch (test_random(random) % 4) {
    case 0: /* a few ms around a full second and around midnight of the second day */
        return (ref_day + 1) * CM_DAY_MS - 6 + (int64_t)(test_random(random) % 12);
    case 1: /* sessions: 30 minutes more or less a second */
        return day + (int64_t)(test_random(random) % 40) * 1800000 +
               (int64_t)(test_random(random) % 3) * 1000;
    case 2:
        return day + (int64_t)(test_random(random) % 3) * 500 + 999;
    default:
        return day + (int64_t)(test_random(random) % CM_DAY_MS);
    }
}

ref_event_t ref_make(int users, uint64_t serial, uint64_t *random)
{
    ref_event_t event = {.user = (int)(test_random(random) % (uint64_t)users),
                         .time = make_time(random)};
    uint64_t kind = test_random(random) % 12;

    event.url = (int)(test_random(random) % REF_URLS);
    event.country = (int)(test_random(random) % REF_COUNTRIES);
    event.referrer = test_random(random) % 4 == 0;
    event.kind = test_random(random) % 3 ? REF_VIEW : 1 + (int)(test_random(random) % 2);
    event.derived = kind >= 8;
    if (event.derived)
        ref_derive(&event);
    else
        ref_own_key(&event, serial, kind);
    return event;
}

void ref_shuffle(ref_event_t *events, size_t count, uint64_t *random)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = test_random(random) % i;
        ref_event_t swap = events[i - 1];
        events[i - 1] = events[other];
        events[other] = swap;
    }
}

void ref_vary(ref_event_t *event, uint64_t *random)
{
    if (event->kind == REF_VIEW)
        event->url = (int)(test_random(random) % REF_URLS);
    event->referrer = (int)(test_random(random) % 2);
    event->country = (int)(test_random(random) % REF_COUNTRIES);
    event->cold = (int)(test_random(random) % 5);
    event->city = (int)(test_random(random) % REF_CITIES);
}

/* The optional fields by kind and referrer; NULL for a page view without a referrer. */
static const cm_event_extra_t *extra_of(const ref_event_t *from)
{
    static cm_event_extra_t extras[REF_KINDS][2];
    cm_event_extra_t *extra = &extras[from->kind][from->referrer];

    *extra = CM_EVENT_EXTRA_NONE;
    if (from->kind == REF_BUY)
        extra->text[CM_EXTRA_NAME] = CM_STR("buy");
    if (from->kind == REF_BUY)
        extra->text[CM_EXTRA_PROPS] = CM_STR("{\"sum\": 5}");
    if (from->kind == REF_ENGAGEMENT)
        extra->text[CM_EXTRA_NAME] = CM_STR("engagement");
    if (from->kind == REF_ENGAGEMENT)
        extra->engaged_ms = 5000;
    if (from->referrer)
        extra->text[CM_EXTRA_REFERRER] = CM_STR("https://r.example/");
    return from->kind == REF_VIEW && !from->referrer ? NULL : extra;
}

/* The event without user and row key. */
static cm_event_t event_of(const ref_event_t *from)
{
    cm_event_t event =
        test_event(NULL, from->time, urls[from->url], countries[from->country], NULL);
    cm_str_t *const cold[] = {&event.city, &event.browser, &event.os, &event.device};

    for (int i = 0; i < 4; i++)
        *cold[i] = cm_str(i >= from->cold ? "Unknown" : i > 0 ? "x" : cities[from->city]);
    event.extra = extra_of(from);
    return event;
}

void ref_add(cm_batch_t *batch, const ref_event_t *from)
{
    char user[20];
    int len = snprintf(user, sizeof user, "user%d", from->user);
    cm_event_t event = event_of(from);
    event.user_id = cm_arena_copy(&batch->arena, (cm_str_t){user, (size_t)len});
    if (!from->derived)
        event.row_key = cm_arena_copy(&batch->arena, cm_str(from->key));
    test_add(batch, event);
}

/* ---- which copy counts ---- */

static int stated(const ref_event_t *event)
{
    return event->cold + (strcmp(countries[event->country], "Unknown") != 0) + event->referrer +
           2 * (event->kind != REF_VIEW);
}

bool ref_better(const ref_event_t *a, const ref_event_t *b)
{
    if (stated(a) != stated(b))
        return stated(a) > stated(b);
    cm_event_t x = event_of(a), y = event_of(b);
    cm_buf_t text_x = CM_BUF_INIT, text_y = CM_BUF_INIT;
    x.user_id = y.user_id = CM_STR("u");
    cm_event_add_json(&text_x, &x);
    cm_event_add_json(&text_y, &y);
    bool better = strcmp(text_x.data, text_y.data) > 0;
    cm_buf_free(&text_x);
    cm_buf_free(&text_y);
    return better;
}

/* ---- the answers ---- */

static int by_timeline(const void *a, const void *b)
{
    const ref_event_t *x = a, *y = b;
    if (x->user != y->user)
        return x->user - y->user;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return strcmp(x->key, y->key);
}

/* Seconds from one event to the next of the same user; -1 when there is none. */
static int64_t gap_between(const ref_event_t *from, const ref_event_t *to, bool there)
{
    return there && from->user == to->user ? to->time / 1000 - from->time / 1000 : -1;
}

static void count_event(ref_cells_t *cells, const ref_event_t *event, int64_t gap, bool entrance,
                        bool exit)
{
    int64_t day = event->time / CM_DAY_MS - ref_day;
    int64_t hour = event->time / CM_HOUR_MS - ref_day * 24;
    const int64_t slots[] = {0, 1 + day, 1 + REF_DAYS + hour};

    for (int i = 0; i < 3 * 4; i++) {
        int url = i % 4 & 1 ? REF_URLS : event->url;
        int country = i % 4 & 2 ? REF_COUNTRIES : event->country;
        ref_cell_t *cell = &(*cells)[slots[i / 4]][url][country];
        cell->users |= UINT64_C(1) << event->user;
        cell->clicks++;
        cell->entrances += entrance;
        cell->exits += exit;
        cell->spent += gap >= 0 ? gap : 0;
        cell->spent_count += gap >= 0;
        cell->page += gap >= 0 && !exit ? gap : 0;
        cell->page_count += gap >= 0 && !exit;
    }
}

/* Only page views have answers. */
static size_t keep_views(ref_event_t *events, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == REF_VIEW)
            events[kept++] = events[i];
    }
    return kept;
}

ref_answers_t ref_compute(const ref_event_t *events, size_t count, int64_t timeout_ms)
{
    ref_answers_t answers = {calloc(1, sizeof(ref_cells_t)), 0};
    ref_event_t *sorted = malloc((count + 1) * sizeof *sorted);
    size_t kept = 0;

    if (count > 0)
        memcpy(sorted, events, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_timeline);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || by_timeline(&sorted[kept - 1], &sorted[i]) != 0)
            sorted[kept++] = sorted[i];
        else if (ref_better(&sorted[i], &sorted[kept - 1]))
            sorted[kept - 1] = sorted[i];
    }
    answers.events = (int64_t)kept;
    kept = keep_views(sorted, kept);
    for (size_t i = 0; i < kept; i++) {
        int64_t before = i > 0 ? gap_between(&sorted[i - 1], &sorted[i], true) : -1;
        int64_t after = gap_between(&sorted[i], &sorted[i + 1], i + 1 < kept);
        count_event(answers.cells, &sorted[i], after, before < 0 || before * 1000 > timeout_ms,
                    after < 0 || after * 1000 > timeout_ms);
    }
    free(sorted);
    return answers;
}

static void add_average(cm_buf_t *out, int64_t sum, int64_t count)
{
    cm_buf_add_char(out, ',');
    if (count > 0)
        cm_buf_add_double(out, (double)sum / (double)count);
}

static void add_row(cm_buf_t *out, const ref_cell_t *cell, int slot, int url, int country)
{
    char start[CM_TIME_TEXT];
    int hours = slot - 1 - REF_DAYS;

    if (slot > 0) {
        int64_t ms =
            hours >= 0 ? (ref_day * 24 + hours) * CM_HOUR_MS : (ref_day + slot - 1) * CM_DAY_MS;
        cm_buf_printf(out, "%s,", cm_time_format(ms, start));
    }
    cm_buf_add_csv(out, cm_str(url < REF_URLS ? urls[url] : ""));
    cm_buf_printf(out, ",%s,%lld,%d", country < REF_COUNTRIES ? countries[country] : "",
                  (long long)cell->clicks, __builtin_popcountll(cell->users));
    add_average(out, cell->spent, cell->spent_count);
    cm_buf_printf(out, ",%lld,%lld", (long long)cell->spent, (long long)cell->spent_count);
    add_average(out, cell->page, cell->page_count);
    cm_buf_printf(out, ",%lld,%lld\n", (long long)cell->entrances, (long long)cell->exits);
}

void ref_csv(const ref_answers_t *answers, cm_window_t window, cm_dimension_t dimension,
             cm_buf_t *out, int64_t *cells)
{
    bool all_urls = dimension == CM_PER_COUNTRY || dimension == CM_PER_NOTHING;
    bool all_countries = dimension == CM_PER_URL || dimension == CM_PER_NOTHING;
    int from = window == CM_WINDOW_ALL ? 0 : window == CM_WINDOW_DAY ? 1 : 1 + REF_DAYS;
    int to = window == CM_WINDOW_ALL   ? 1
             : window == CM_WINDOW_DAY ? 1 + REF_DAYS
                                       : 1 + REF_DAYS * 25;

    for (int url = all_urls ? REF_URLS : 0; url < REF_URLS + all_urls; url++) {
        for (int country = all_countries ? REF_COUNTRIES : 0;
             country < REF_COUNTRIES + all_countries; country++) {
            for (int slot = from; slot < to; slot++) {
                const ref_cell_t *cell = &(*answers->cells)[slot][url][country];
                if (cell->clicks == 0)
                    continue;
                add_row(out, cell, slot, url, country);
                *cells += 1;
            }
        }
    }
}

/* ---- the answers of the index ---- */

int ref_take_csv(void *context, const cm_answer_t *answer)
{
    cm_answer_add_csv(context, answer);
    return 0;
}

int64_t ref_assert_index(const char *directory, const ref_answers_t *answers, unsigned windows)
{
    cm_index_t *index;
    int64_t cells = 0, rollups = 0;
    cm_err_t err;

    assert_ok(cm_index_embedded_open(directory, &index, &err), err);
    for (int i = 0; i < CM_WINDOW_COUNT * CM_DIMENSION_COUNT; i++) {
        const cm_index_query_t query = {.window = (cm_window_t)(i / CM_DIMENSION_COUNT),
                                        .dimension = (cm_dimension_t)(i % CM_DIMENSION_COUNT),
                                        .sort = CM_SORT_URL};
        cm_buf_t got = CM_BUF_INIT, expected = CM_BUF_INIT;
        if (!cm_window_in(windows, query.window))
            continue;
        cm_buf_add(&got, NULL, 0);
        cm_buf_add(&expected, NULL, 0);
        assert_ok(cm_index_query(index, &query, ref_take_csv, &got, &err), err);
        ref_csv(answers, query.window, query.dimension, &expected,
                query.dimension == CM_PER_CELL ? &cells : &rollups);
        if (strcmp(got.data, expected.data) != 0)
            fail_msg("window %d, dimension %d\n--- expected\n%s--- got\n%s", (int)query.window,
                     (int)query.dimension, expected.data, got.data);
        cm_buf_free(&got);
        cm_buf_free(&expected);
    }
    cm_index_close(index);
    return cells;
}
