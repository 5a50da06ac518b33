#include "index/document.h"

#include <nettle/sha1.h>
#include <stdio.h>

#define SEPARATOR 0x1f

static const char *const dimension_names[CM_DIMENSION_COUNT] = {
    [CM_PER_URL] = "url", [CM_PER_COUNTRY] = "country", [CM_PER_NOTHING] = "site"};

/* The fields of the numbers, in the order of cm_numbers_t's members below. */
enum { NUMBERS = 8 };
static const char *const number_names[NUMBERS] = {
    "clicks",           "unique_user_count",  "time_spent_sum", "time_spent_count",
    "time_on_page_sum", "time_on_page_count", "entrances",      "exits"};

static void list_numbers(cm_numbers_t *numbers, int64_t *list[NUMBERS])
{
    int64_t *all[NUMBERS] = {&numbers->clicks,         &numbers->users,
                             &numbers->time_spent_sum, &numbers->time_spent_count,
                             &numbers->page_time_sum,  &numbers->page_time_count,
                             &numbers->entrances,      &numbers->exits};
    memcpy(list, all, sizeof all);
}

/* ---- writing ---- */

void cm_document_id(const cm_answer_t *answer, char id[CM_DOCUMENT_ID])
{
    static const char digits[] = "0123456789abcdef";
    static const uint8_t separator = SEPARATOR;
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx hash;
    char window[40];

    if (answer->window == CM_WINDOW_ALL)
        snprintf(window, sizeof window, "all");
    else
        snprintf(window, sizeof window, "%s:%lld", cm_window_names[answer->window],
                 (long long)answer->window_start);
    sha1_init(&hash);
    sha1_update(&hash, answer->url.len, (const uint8_t *)answer->url.data);
    sha1_update(&hash, 1, &separator);
    sha1_update(&hash, answer->country.len, (const uint8_t *)answer->country.data);
    sha1_update(&hash, 1, &separator);
    sha1_update(&hash, strlen(window), (const uint8_t *)window);
    sha1_digest(&hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        id[2 * i] = digits[digest[i] >> 4];
        id[2 * i + 1] = digits[digest[i] & 15];
    }
}

static void add_integer(cm_buf_t *buf, const char *name, int64_t value)
{
    cm_buf_add_text(buf, ",\"");
    cm_buf_add_text(buf, name);
    cm_buf_add_text(buf, "\":");
    cm_buf_add_i64(buf, value);
}

static void add_text(cm_buf_t *buf, const char *name, cm_str_t text)
{
    cm_buf_add_text(buf, ",\"");
    cm_buf_add_text(buf, name);
    cm_buf_add_text(buf, "\":");
    cm_buf_add_json(buf, text);
}

static void add_average(cm_buf_t *buf, const char *name, int64_t sum, int64_t count)
{
    if (count == 0)
        return;
    cm_buf_add_text(buf, ",\"");
    cm_buf_add_text(buf, name);
    cm_buf_add_text(buf, "\":");
    cm_buf_add_double(buf, (double)sum / (double)count);
}

void cm_document_add(cm_buf_t *buf, const cm_answer_t *answer)
{
    const cm_numbers_t *n = &answer->numbers;

    cm_buf_add_text(buf, "{\"window\":\"");
    cm_buf_add_text(buf, cm_window_names[answer->window]);
    cm_buf_add_char(buf, '"');
    if (answer->window != CM_WINDOW_ALL)
        add_integer(buf, "window_start", answer->window_start);
    if (answer->dimension != CM_PER_CELL)
        add_text(buf, "dimension", cm_str(dimension_names[answer->dimension]));
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL)
        add_text(buf, "url", answer->url);
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY)
        add_text(buf, "country", answer->country);
    add_integer(buf, "clicks", n->clicks);
    add_integer(buf, "unique_user_count", n->users);
    add_average(buf, "average_time_spent", n->time_spent_sum, n->time_spent_count);
    add_integer(buf, "time_spent_sum", n->time_spent_sum);
    add_integer(buf, "time_spent_count", n->time_spent_count);
    add_average(buf, "average_time_on_page", n->page_time_sum, n->page_time_count);
    add_integer(buf, "time_on_page_sum", n->page_time_sum);
    add_integer(buf, "time_on_page_count", n->page_time_count);
    add_integer(buf, "entrances", n->entrances);
    add_integer(buf, "exits", n->exits);
    add_integer(buf, "updated_at", answer->updated_at);
    cm_buf_add_char(buf, '}');
}

void cm_document_add_freshness(cm_buf_t *buf, cm_window_t window, const cm_freshness_t *freshness)
{
    cm_buf_add_text(buf, "{\"window\":\"");
    cm_buf_add_text(buf, cm_window_names[window]);
    cm_buf_add_text(buf, "\",\"dimension\":\"freshness\"");
    add_integer(buf, "accepted", freshness->accepted);
    add_integer(buf, "processed", freshness->processed);
    add_integer(buf, "events", freshness->events);
    add_integer(buf, "duplicates", freshness->duplicates);
    add_integer(buf, "cells", freshness->cells);
    add_integer(buf, "dead", freshness->dead);
    add_integer(buf, "updated_at", freshness->updated_at);
    if (freshness->session_timeout != 0)
        add_integer(buf, "session_timeout", freshness->session_timeout);
    cm_buf_add_char(buf, '}');
}

/* ---- reading ---- */

static bool get_i64(cm_json_t object, const char *name, int64_t *value)
{
    cm_json_t found;
    return cm_json_get(object, name, &found) && cm_json_i64(found, value);
}

static bool get_text(cm_json_t object, const char *name, cm_str_t *text)
{
    cm_json_t found;
    return cm_json_get(object, name, &found) && cm_json_text(found, text);
}

static bool same_text(cm_str_t text, const char *name)
{
    return cm_str_equal(text, cm_str(name));
}

static bool read_window(cm_json_t source, cm_answer_t *answer)
{
    cm_str_t name;

    if (!get_text(source, "window", &name))
        return false;
    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        if (!same_text(name, cm_window_names[w]))
            continue;
        answer->window = (cm_window_t)w;
        return w == CM_WINDOW_ALL || get_i64(source, "window_start", &answer->window_start);
    }
    return false;
}

static bool read_dimension(cm_json_t source, cm_answer_t *answer)
{
    cm_str_t name;

    if (!get_text(source, "dimension", &name)) {
        answer->dimension = CM_PER_CELL;
        return true;
    }
    for (int d = CM_PER_URL; d < CM_DIMENSION_COUNT; d++) {
        answer->dimension = (cm_dimension_t)d;
        if (same_text(name, dimension_names[d]))
            return true;
    }
    return false;
}

static void read_average(cm_json_t source, const char *name, cm_stored_average_t *average)
{
    cm_json_t found;

    average->there = cm_json_get(source, name, &found) && cm_json_double(found, &average->value);
}

static bool follows(const cm_stored_average_t *average, int64_t sum, int64_t count)
{
    return count == 0 ? !average->there
                      : average->there && average->value == (double)sum / (double)count;
}

static void read_source(cm_json_t source, cm_document_t *document)
{
    cm_answer_t *answer = &document->answer;
    int64_t *numbers[NUMBERS];

    read_average(source, "average_time_spent", &document->averages[0]);
    read_average(source, "average_time_on_page", &document->averages[1]);
    answer->stored = document->averages;
    document->whole = read_window(source, answer) && read_dimension(source, answer);
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL)
        document->whole &= get_text(source, "url", &answer->url);
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY)
        document->whole &= get_text(source, "country", &answer->country);
    list_numbers(&answer->numbers, numbers);
    for (int i = 0; i < NUMBERS; i++)
        document->whole &= get_i64(source, number_names[i], numbers[i]);
    document->whole &= get_i64(source, "updated_at", &answer->updated_at);
    const cm_numbers_t *n = &answer->numbers;
    document->exact = follows(&document->averages[0], n->time_spent_sum, n->time_spent_count) &&
                      follows(&document->averages[1], n->page_time_sum, n->page_time_count);
}

typedef struct walk {
    cm_document_fn take;
    void *context;
    size_t count;
} walk_t;

static int take_hit(void *context, cm_json_t hit)
{
    walk_t *walk = context;
    cm_document_t document = {.id = {"", 0}};
    cm_json_t source;

    walk->count++;
    get_text(hit, "_id", &document.id);
    if (cm_json_get(hit, "_source", &source))
        read_source(source, &document);
    return walk->take(walk->context, &document);
}

int cm_documents_each(cm_json_t root, cm_document_fn take, void *context, size_t *count,
                      int64_t *total, cm_err_t *err)
{
    walk_t walk = {.take = take, .context = context};
    cm_json_t hits, found;

    if (!cm_json_find(root, "hits/hits", &hits))
        return cm_fail(err, CM_EIO, "a search answers with something else than hits");
    *total = -1;
    if (cm_json_find(root, "hits/total/value", &found))
        cm_json_i64(found, total);
    int rc = cm_json_items(hits, take_hit, &walk);
    *count = walk.count;
    return rc;
}

bool cm_document_freshness(cm_json_t source, cm_freshness_t *freshness)
{
    *freshness = (cm_freshness_t){.present = true};
    get_i64(source, "session_timeout", &freshness->session_timeout); /* not all writers say it */
    return get_i64(source, "accepted", &freshness->accepted) &&
           get_i64(source, "processed", &freshness->processed) &&
           get_i64(source, "events", &freshness->events) &&
           get_i64(source, "duplicates", &freshness->duplicates) &&
           get_i64(source, "cells", &freshness->cells) &&
           get_i64(source, "dead", &freshness->dead) &&
           get_i64(source, "updated_at", &freshness->updated_at);
}
