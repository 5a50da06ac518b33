#include "source/posted.h"

#include "enrich/ua.h"
#include "source/page_clock.h"

#include <stdlib.h>
#include <sys/random.h>

/* An event of a page that is in the batch, until the times of its body are set right. */
typedef struct unsettled {
    size_t at;  /* in the batch */
    bool timed; /* the page has said a time */
    bool keyed; /* and a row key */
    bool named; /* and a user */
} unsettled_t;

struct cm_poster {
    cm_posted_shared_t *shared;
    cm_json_t *json;
    cm_enricher_t *enricher;
    cm_visitor_t visitor;
    int64_t day;    /* of the key in `visitor`; -1: none yet */
    cm_buf_t known; /* site, address and agent of the visitor who was looked at last, */
    cm_buf_t asked;
    char known_id[CM_VISITOR_TEXT]; /* and his id */
    unsettled_t *unsettled;         /* of the body at hand */
    int64_t *times;                 /* of those of them that say one */
    size_t unsettled_count, unsettled_cap;
};

/* One body's reading. */
typedef struct reading {
    cm_poster_t *poster;
    const cm_posted_sender_t *sender;
    cm_batch_t *batch;
    cm_posted_result_t *result;
    int64_t now; /* ms */
    uint64_t position;
} reading_t;

cm_poster_t *cm_poster_new(cm_posted_shared_t *shared)
{
    cm_poster_t *poster = cm_alloc_zero(1, sizeof *poster);

    poster->shared = shared;
    poster->json = cm_json_new();
    poster->enricher = cm_enricher_new(shared->enrichment);
    poster->day = -1;
    if (shared->visitor == CM_VISITOR_ADDRESS_HASH)
        cm_visitor_init(&poster->visitor, shared->address_key);
    return poster;
}

void cm_poster_free(cm_poster_t *poster)
{
    if (poster == NULL)
        return;
    cm_json_free(poster->json);
    cm_enricher_free(poster->enricher);
    explicit_bzero(&poster->visitor, sizeof poster->visitor);
    cm_buf_free(&poster->known);
    cm_buf_free(&poster->asked);
    free(poster->unsettled);
    free(poster->times);
    free(poster);
}

/* ---- what an event does not say ---- */

cm_str_t cm_posted_host(cm_str_t url)
{
    const char *mark = url.len > 0 ? memmem(url.data, url.len, "://", 3) : NULL;
    size_t len = 0;

    if (mark == NULL)
        return (cm_str_t){"", 0};
    const char *host = mark + 3;
    size_t left = url.len - (size_t)(host - url.data);
    while (len < left && host[len] != '/' && host[len] != '?' && host[len] != '#')
        len++;
    return (cm_str_t){host, len};
}

static int refresh_key(cm_poster_t *poster, int64_t now, cm_err_t *err)
{
    int64_t day = now / CM_DAY_MS;
    uint8_t key[CM_VISITOR_KEY];

    if (poster->shared->visitor != CM_VISITOR_DAILY || poster->day == day)
        return 0;
    int rc = cm_daily_key_get(poster->shared->daily, day, key, &poster->day, err);
    if (rc == 0)
        cm_visitor_init(&poster->visitor, key);
    cm_buf_clear(&poster->known);
    explicit_bzero(key, sizeof key);
    return rc;
}

/* The site in lower case and a NUL. */
static void add_site(cm_buf_t *buf, cm_str_t url)
{
    cm_str_t host = cm_posted_host(url);

    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        cm_buf_add_char(buf, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
    cm_buf_add_char(buf, '\0');
}

/* With the daily key the site is hashed too, so that nobody is followed from one to another. The
 * events of a body are nearly always one visitor's. */
static cm_str_t visitor_of(reading_t *reading, cm_str_t address, cm_str_t agent, cm_str_t url)
{
    cm_poster_t *poster = reading->poster;
    cm_buf_t *asked = &poster->asked, *known = &poster->known;

    cm_buf_clear(asked);
    if (poster->shared->visitor == CM_VISITOR_DAILY)
        add_site(asked, url);
    cm_buf_add_str(asked, address);
    const size_t len = asked->len;
    cm_buf_add_char(asked, '\0');
    cm_buf_add_str(asked, agent);
    if (!cm_str_equal((cm_str_t){asked->data, asked->len}, (cm_str_t){known->data, known->len})) {
        cm_visitor_id(&poster->visitor, (cm_str_t){asked->data, len}, agent, poster->known_id);
        cm_buf_clear(known);
        cm_buf_add(known, asked->data, asked->len);
    }
    return cm_arena_copy(&reading->batch->arena,
                         (cm_str_t){poster->known_id, sizeof poster->known_id});
}

static int fill_user(reading_t *reading, const cm_visit_t *visit, cm_event_t *event, cm_err_t *err)
{
    if (event->user_id.len > 0)
        return 0;
    if (reading->sender->page && reading->poster->shared->visitor == CM_VISITOR_COOKIE)
        event->user_id = reading->sender->cookie;
    else if (visit->address.len > 0 && reading->poster->shared->visitor != CM_VISITOR_COOKIE)
        event->user_id = visitor_of(reading, visit->address, visit->agent, event->url);
    else
        return cm_fail(err, CM_EREJECT, "%s",
                       visit->address.len == 0
                           ? "user_id is missing, and so is ip, which could stand for it"
                           : "user_id is missing, and visitors are known by a cookie, which no "
                             "server has");
    return 0;
}

/* A page sends an event again when it has seen no answer; what we add to it must be the same. */
static void fill_copy(reading_t *reading, bool named, cm_event_t *event)
{
    cm_copies_t *copies = reading->poster->shared->copies;
    char user[CM_COPIES_USER] = "";

    if (copies == NULL || !reading->sender->page || event->row_key.len == 0)
        return;
    if (!named && event->user_id.len == sizeof user)
        memcpy(user, event->user_id.data, sizeof user);
    if (cm_copies_find(copies, event->row_key, &event->timestamp, user) && !named &&
        user[0] != '\0')
        event->user_id = cm_arena_copy(&reading->batch->arena, (cm_str_t){user, sizeof user});
}

/* Two events of a visitor that arrive in one millisecond are two. */
static void fill_row_key(reading_t *reading, cm_event_t *event)
{
    uint8_t random[16];
    char text[CM_UUID_TEXT];

    if (event->row_key.len > 0 || getrandom(random, sizeof random, 0) != sizeof random)
        return;
    random[6] = (uint8_t)((random[6] & 0x0F) | 0x40); /* version 4, RFC 9562 section 5.4 */
    random[8] = (uint8_t)((random[8] & 0x3F) | 0x80);
    cm_uuid_format(random, text);
    event->row_key = cm_arena_copy(&reading->batch->arena, (cm_str_t){text, sizeof text});
}

/* Of the event that comes into the batch next. */
static void add_unsettled(reading_t *reading, const unsettled_t *one)
{
    cm_poster_t *poster = reading->poster;

    if (poster->unsettled_count == poster->unsettled_cap) {
        poster->unsettled_cap = poster->unsettled_cap ? 2 * poster->unsettled_cap : 16;
        poster->unsettled =
            cm_realloc(poster->unsettled, poster->unsettled_cap * sizeof *poster->unsettled);
        poster->times = cm_realloc(poster->times, poster->unsettled_cap * sizeof *poster->times);
    }
    unsettled_t *unsettled = &poster->unsettled[poster->unsettled_count++];
    *unsettled = *one;
    unsettled->at = reading->batch->count;
}

/* The times of a page's events, now that all of its body are read. */
static void settle(reading_t *reading)
{
    cm_poster_t *poster = reading->poster;
    size_t count = 0;

    for (size_t i = 0; i < poster->unsettled_count; i++) {
        if (poster->unsettled[i].timed)
            poster->times[count++] = reading->batch->events[poster->unsettled[i].at].timestamp;
    }
    cm_page_clock_set(poster->times, count, reading->now);
    count = 0;
    for (size_t i = 0; i < poster->unsettled_count; i++) {
        const unsettled_t *one = &poster->unsettled[i];
        cm_event_t *event = &reading->batch->events[one->at];
        if (one->timed && poster->times[count] != event->timestamp) {
            event->timestamp = poster->times[count];
            fill_row_key(reading, event);
        }
        count += one->timed;
        if (one->keyed)
            fill_copy(reading, one->named, event);
    }
    poster->unsettled_count = 0;
}

/* ---- one event ---- */

/* As much of an agent as the enrichment looks at; hashing more for each event would only take time.
 */
static cm_str_t cut(cm_str_t agent)
{
    return (cm_str_t){agent.data, agent.len < CM_UA_MAX ? agent.len : CM_UA_MAX};
}

/* Completes it. 1: it belongs into the batch, 0: it is left out. */
static int take_event(reading_t *reading, const cm_json_visitor_t *said, cm_event_t *event,
                      cm_err_t *err)
{
    cm_posted_shared_t *shared = reading->poster->shared;
    const bool page = reading->sender->page;
    const cm_visit_t visit = {.address = page ? reading->sender->address : said->address,
                              .agent = cut(page ? reading->sender->agent : said->agent)};

    if (event->url.len == 0)
        return cm_fail(err, CM_EREJECT, "url is missing or empty");
    const unsettled_t one = {.timed = event->timestamp > 0,
                             .keyed = event->row_key.len > 0,
                             .named = event->user_id.len > 0};
    if (!one.timed) {
        event->timestamp = reading->now;
        fill_row_key(reading, event);
    }
    /* A name that is too long shall not cost the page view. */
    if (page && event->user_id.len > CM_USER_ID_MAX)
        event->user_id.len = (size_t)cm_utf8_head(event->user_id, CM_USER_ID_MAX);
    int rc = fill_user(reading, &visit, event, err);
    if (rc < 0)
        return rc;
    if (!cm_enricher_visit(reading->poster->enricher, &visit, &reading->batch->arena, event)) {
        return 0;
    }
    cm_event_complete(event);
    rc = cm_event_check(event, false, err);
    if (rc < 0)
        return rc;
    if (!one.named && shared->visitor == CM_VISITOR_DAILY &&
        !atomic_load_explicit(&shared->daily_given, memory_order_relaxed))
        atomic_store(&shared->daily_given, true);
    if (page)
        add_unsettled(reading, &one);
    return 1;
}

static void reject(reading_t *reading, const cm_err_t *why)
{
    cm_buf_t *errors = &reading->result->errors;

    reading->batch->account.read++;
    reading->batch->account.rejected++;
    if (reading->result->rejected++ >= CM_POSTED_ERRORS)
        return;
    cm_buf_printf(errors, "%s{\"position\":%llu,\"reason\":", errors->len > 0 ? "," : "",
                  (unsigned long long)reading->position);
    cm_buf_add_json(errors, (cm_str_t){why->text, (size_t)cm_utf8_head(cm_str(why->text), 300)});
    cm_buf_add_char(errors, '}');
}

static void count(reading_t *reading, int taken, const cm_err_t *err)
{
    if (taken < 0) {
        reject(reading, err);
    } else if (taken == 0) {
        cm_batch_skip(reading->batch);
        reading->batch->account.bots++;
        reading->result->skipped++;
    } else {
        cm_batch_accept(reading->batch);
        reading->result->accepted++;
    }
}

static void read_event(reading_t *reading, cm_str_t text)
{
    cm_event_t *event = cm_batch_slot(reading->batch);
    cm_json_visitor_t said;
    cm_err_t err;

    int rc = cm_json_parse_partial(reading->poster->json, text, &reading->batch->arena, event,
                                   &said, &reading->batch->account.unknown_fields, &err);
    if (rc == 0)
        rc = take_event(reading, &said, event, &err);
    count(reading, rc, &err);
}

/* ---- the body ---- */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at;
}

/* Behind the quote that ends a string; `at` is behind the one that begins it. */
static const char *skip_string(const char *at, const char *end)
{
    for (; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return at < end ? at + 1 : end;
}

/* The end of the array's element at `at`: the comma or bracket behind it, or the end. What stands
 * between need not be valid. */
static const char *skip_element(const char *at, const char *end)
{
    int depth = 0;

    while (at < end && (depth > 0 || (*at != ',' && *at != ']'))) {
        if (*at == '"') {
            at = skip_string(at + 1, end);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (depth > 0 && (*at == '}' || *at == ']'))
            depth--;
        at++;
    }
    return at;
}

/* Behind the brace that closes the object at `at`; the end when none does. */
static const char *skip_object(const char *at, const char *end)
{
    int depth = 0;

    while (at < end) {
        if (*at == '"') {
            at = skip_string(at + 1, end);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
        if (depth == 0)
            return at;
    }
    return end;
}

static void reject_rest(reading_t *reading, const char *reason)
{
    cm_err_t err;

    reading->position++;
    cm_fail(&err, CM_EREJECT, "%s", reason);
    reject(reading, &err);
}

static void read_array(reading_t *reading, const char *at, const char *end)
{
    const char *stop = at;

    if (skip_space(at + 1, end) == end - 1 && end[-1] == ']')
        return;
    do {
        at = stop + 1;
        stop = skip_element(at, end);
        cm_str_t text = cm_str_trim((cm_str_t){at, (size_t)(stop - at)});
        uint64_t rejected = reading->result->rejected;
        if (text.len > 0) {
            reading->position++;
            read_event(reading, text);
        } else if (stop < end) {
            reject_rest(reading, "an event is missing");
        }
        if (stop == end && rejected == reading->result->rejected)
            reject_rest(reading, "the array is not closed");
    } while (stop < end && *stop == ',');
    if (stop < end && stop + 1 < end)
        reject_rest(reading, "something stands behind the array");
}

static void read_lines(reading_t *reading, const char *at, const char *end)
{
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        cm_str_t line = cm_str_trim((cm_str_t){at, (size_t)(stop - at)});
        reading->position++;
        if (line.len > 0)
            read_event(reading, line);
        at = stop + (stop < end);
    }
}

static int start(reading_t *reading, cm_err_t *err)
{
    reading->now = cm_clock_now_ms(reading->poster->shared->clock);
    *reading->result = (cm_posted_result_t){.errors = CM_BUF_INIT};
    return refresh_key(reading->poster, reading->now, err);
}

int cm_posted_read(cm_poster_t *poster, cm_str_t body, bool lines, const cm_posted_sender_t *sender,
                   cm_batch_t *batch, cm_posted_result_t *result, cm_err_t *err)
{
    reading_t reading = {.poster = poster, .sender = sender, .batch = batch, .result = result};

    int rc = start(&reading, err);
    if (rc < 0)
        return rc;
    if (body.len >= 3 && memcmp(body.data, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark */
        body = (cm_str_t){body.data + 3, body.len - 3};
    body = cm_str_trim(body);
    const char *at = body.data, *end = at + body.len;
    if (body.len > 0 && *at == '[' && !lines) {
        read_array(&reading, at, end);
    } else if (body.len > 0 && *at == '{' && !lines && skip_object(at, end) == end) {
        reading.position = 1;
        read_event(&reading, body);
    } else {
        read_lines(&reading, at, end);
    }
    settle(&reading);
    return reading.position > 0 ? 0 : cm_fail(err, CM_EREJECT, "the body holds no event");
}

int cm_posted_pixel(cm_poster_t *poster, cm_str_t url, cm_str_t user_id,
                    const cm_posted_sender_t *sender, cm_batch_t *batch, cm_posted_result_t *result,
                    cm_err_t *err)
{
    reading_t reading = {.poster = poster, .sender = sender, .batch = batch, .result = result};
    const cm_json_visitor_t nothing = {{NULL, 0}, {NULL, 0}};
    cm_err_t why;

    int rc = start(&reading, err);
    if (rc < 0)
        return rc;
    cm_event_t *event = cm_batch_slot(batch);
    *event = (cm_event_t){.url = url, .user_id = user_id};
    reading.position = 1;
    count(&reading, take_event(&reading, &nothing, event, &why), &why);
    settle(&reading);
    return 0;
}
