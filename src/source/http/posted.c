#include "source/http/posted.h"

#include "enrich/ua.h"
#include "source/http/page_clock.h"
#include "source/http/page_url.h"

#include <stdlib.h>
#include <sys/random.h>

/* An event of a page that is in the batch, and needs its time corrected when its body is read. */
typedef struct unsettled {
    size_t at;  /* in the batch */
    bool timed; /* the page has given a time */
    bool keyed; /* and a row key */
    bool named; /* and a user */
} unsettled_t;

typedef struct unsettled_list {
    unsettled_t *all;
    int64_t *times; /* of the events that have one */
    size_t count, cap;
} unsettled_list_t;

struct cm_poster {
    cm_posted_shared_t *shared;
    cm_event_json_t *json;
    cm_enricher_t *enricher;
    cm_visitor_t visitor;
    int64_t day;    /* of the key in `visitor`; -1: none yet */
    cm_buf_t known; /* site, address and agent of the last visitor, */
    cm_buf_t asked;
    char known_id[CM_VISITOR_TEXT]; /* and that visitor's id */
    unsettled_list_t unsettled;     /* of a body that is read without turns */
};

/* The state of reading one body. */
typedef struct cm_posting {
    cm_poster_t *poster;
    const cm_posted_sender_t *sender;
    cm_batch_t *batch;
    cm_posted_result_t *result;
    unsettled_list_t *unsettled;
    int64_t now; /* ms */
    uint64_t position;
    enum { ARRAY, OBJECT, LINES } form;
    const char *at, *end; /* the rest of the body */
    cm_str_t host;        /* the last host that was checked, */
    bool host_taken;      /* and whether its events are accepted */
} reading_t;

cm_poster_t *cm_poster_new(cm_posted_shared_t *shared)
{
    cm_poster_t *poster = cm_alloc_zero(1, sizeof *poster);

    poster->shared = shared;
    poster->json = cm_event_json_new();
    poster->enricher = cm_enricher_new(shared->enrichment);
    poster->day = -1;
    if (shared->visitor == CM_VISITOR_ADDRESS_HASH)
        cm_visitor_init(&poster->visitor, shared->address_key);
    return poster;
}

static void free_unsettled(unsettled_list_t *list)
{
    free(list->all);
    free(list->times);
}

void cm_poster_free(cm_poster_t *poster)
{
    if (poster == NULL)
        return;
    cm_event_json_free(poster->json);
    cm_enricher_free(poster->enricher);
    explicit_bzero(&poster->visitor, sizeof poster->visitor);
    cm_buf_free(&poster->known);
    cm_buf_free(&poster->asked);
    free_unsettled(&poster->unsettled);
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

/* Appends the site in lower case, and a NUL. */
static void add_site(cm_buf_t *buf, cm_str_t url)
{
    cm_str_t host = cm_posted_host(url);

    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        cm_buf_add_char(buf, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
    cm_buf_add_char(buf, '\0');
}

/* With the daily key the site is hashed too, so that a visitor has another id on each site. The
 * last result is kept, because the events of a body are nearly always of one visitor. */
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

static int fill_user(reading_t *reading, const cm_enrich_visit_t *visit, cm_event_t *event,
                     cm_err_t *err)
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

/* A page sends an event again when it got no answer; the fields that are added must be the same
 * then. */
static void fill_copy(reading_t *reading, bool named, cm_event_t *event)
{
    cm_resent_t *copies = reading->poster->shared->copies;
    char user[CM_RESENT_USER] = "";

    if (copies == NULL || !reading->sender->page || event->row_key.len == 0)
        return;
    if (!named && event->user_id.len == sizeof user)
        memcpy(user, event->user_id.data, sizeof user);
    if (cm_resent_find(copies, event->row_key, &event->timestamp, user) && !named &&
        user[0] != '\0')
        event->user_id = cm_arena_copy(&reading->batch->arena, (cm_str_t){user, sizeof user});
}

/* Two events of one visitor in one millisecond must get different row keys. */
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

/* Notes this about the event that is added to the batch next. */
static void add_unsettled(reading_t *reading, const unsettled_t *one)
{
    unsettled_list_t *list = reading->unsettled;

    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 16;
        list->all = cm_realloc(list->all, list->cap * sizeof *list->all);
        list->times = cm_realloc(list->times, list->cap * sizeof *list->times);
    }
    unsettled_t *unsettled = &list->all[list->count++];
    *unsettled = *one;
    unsettled->at = reading->batch->count;
}

/* Corrects the times of a page's events, when all events of the body are read. */
static void settle(reading_t *reading)
{
    unsettled_list_t *list = reading->unsettled;
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->all[i].timed)
            list->times[count++] = reading->batch->events[list->all[i].at].timestamp;
    }
    cm_page_clock_set(list->times, count, reading->now);
    count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const unsettled_t *one = &list->all[i];
        cm_event_t *event = &reading->batch->events[one->at];
        if (one->timed && list->times[count] != event->timestamp) {
            event->timestamp = list->times[count];
            fill_row_key(reading, event);
        }
        count += one->timed;
        if (one->keyed)
            fill_copy(reading, one->named, event);
    }
    list->count = 0;
}

/* ---- one event ---- */

/* The part of an agent that the enrichment uses; hashing more for each event would only take time.
 */
static cm_str_t cut(cm_str_t agent)
{
    return (cm_str_t){agent.data, agent.len < CM_UA_MAX ? agent.len : CM_UA_MAX};
}

/* Whether events of this host are accepted. The events of a body are nearly always of one host. */
static bool takes_host(reading_t *reading, cm_str_t host)
{
    const cm_posted_sender_t *sender = reading->sender;

    if (reading->host.len == 0 || !cm_str_equal(reading->host, host)) {
        reading->host_taken = sender->takes_host(sender->context, host);
        reading->host = cm_arena_copy(&reading->batch->arena, host);
    }
    return reading->host_taken;
}

/* Completes a URL without a host with the page's origin; refuses a URL whose host is none of the
 * sites. */
static int place_url(reading_t *reading, cm_event_t *event, cm_err_t *err)
{
    const cm_posted_sender_t *sender = reading->sender;

    if (sender->origin.len > 0)
        event->url = cm_page_url_complete(event->url, sender->origin, &reading->batch->arena);
    if (sender->takes_host == NULL)
        return 0;
    cm_str_t host = cm_page_url_host(event->url);
    if (host.len > 0 && !takes_host(reading, host))
        return cm_fail(err, CM_EREJECT, "url is of %.*s, which is none of collect.sites",
                       cm_utf8_head(host, 100), host.data);
    if (host.len == 0 && !cm_page_url_relative(event->url))
        return cm_fail(err, CM_EREJECT, "url has no host, and so is none of collect.sites");
    return 0;
}

/* Completes the event. 1: it goes into the batch; 0: a bot sent it, which is counted. */
static int take_event(reading_t *reading, const cm_event_json_visitor_t *said, cm_event_t *event,
                      cm_err_t *err)
{
    cm_posted_shared_t *shared = reading->poster->shared;
    const bool page = reading->sender->page;
    const cm_enrich_visit_t visit = {.address = page ? reading->sender->address : said->address,
                                     .agent = cut(page ? reading->sender->agent : said->agent),
                                     .page = page};
    cm_enrich_cut_t shortened = {0};

    if (event->url.len == 0)
        return cm_fail(err, CM_EREJECT, "url is missing or empty");
    int rc = place_url(reading, event, err);
    if (rc < 0)
        return rc;
    const unsettled_t one = {.timed = event->timestamp > 0,
                             .keyed = event->row_key.len > 0,
                             .named = event->user_id.len > 0};
    if (!one.timed) {
        event->timestamp = reading->now;
        fill_row_key(reading, event);
    }
    /* A name that is too long must not lose the page view. */
    if (page && event->user_id.len > CM_USER_ID_MAX)
        event->user_id.len = (size_t)cm_utf8_head(event->user_id, CM_USER_ID_MAX);
    rc = fill_user(reading, &visit, event, err);
    if (rc < 0)
        return rc;
    const cm_bot_kind_t bot = cm_enricher_visit(reading->poster->enricher, &visit,
                                                &reading->batch->arena, event, &shortened);
    if (bot != CM_BOT_NONE) {
        cm_batch_skip_bot(reading->batch, bot);
        reading->result->skipped++;
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
    reading->batch->account.cut_referrers += shortened.referrers;
    reading->batch->account.cut_campaigns += shortened.campaigns;
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
    } else if (taken > 0) {
        cm_batch_accept(reading->batch);
        reading->result->accepted++;
    }
}

static void read_event(reading_t *reading, cm_str_t text)
{
    cm_event_t *event = cm_batch_slot(reading->batch);
    cm_event_json_visitor_t said;
    cm_err_t err;

    int rc = cm_event_json_parse_partial(reading->poster->json, text, &reading->batch->arena, event,
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

/* Returns the position after the quote that ends a string; `at` is after the quote that begins it.
 */
static const char *skip_string(const char *at, const char *end)
{
    for (; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return at < end ? at + 1 : end;
}

/* Returns the end of the array's element at `at`: the comma or bracket after it, or the end. The
 * element need not be valid. */
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

/* Returns the position after the brace that closes the object at `at`; the end when none does. */
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

/* Reads the element after the bracket or comma at `at`. False: it was the last one. */
static bool read_element(reading_t *reading)
{
    const char *at = reading->at + 1, *end = reading->end;
    const uint64_t rejected = reading->result->rejected;

    const char *stop = skip_element(at, end);
    cm_str_t text = cm_str_trim((cm_str_t){at, (size_t)(stop - at)});
    reading->at = stop;
    if (text.len > 0) {
        reading->position++;
        read_event(reading, text);
    } else if (stop < end) {
        reject_rest(reading, "an event is missing");
    }
    if (stop == end && rejected == reading->result->rejected)
        reject_rest(reading, "the array is not closed");
    if (stop < end && *stop == ',')
        return true;
    if (stop < end && stop + 1 < end)
        reject_rest(reading, "there is something after the array");
    return false;
}

static bool read_line(reading_t *reading)
{
    const char *at = reading->at, *end = reading->end;
    const char *stop = memchr(at, '\n', (size_t)(end - at));

    if (stop == NULL)
        stop = end;
    cm_str_t line = cm_str_trim((cm_str_t){at, (size_t)(stop - at)});
    reading->position++;
    if (line.len > 0)
        read_event(reading, line);
    reading->at = stop + (stop < end);
    return reading->at < end;
}

/* Reads one more event. False: there are no more. */
static bool read_next(reading_t *reading)
{
    if (reading->at == reading->end)
        return false;
    if (reading->form == ARRAY)
        return read_element(reading);
    if (reading->form == LINES)
        return read_line(reading);
    reading->position = 1;
    read_event(reading, (cm_str_t){reading->at, (size_t)(reading->end - reading->at)});
    return false;
}

/* Finds out whether the body is an object, an array or lines. */
static void detect_body(reading_t *reading, cm_str_t body, bool lines)
{
    if (body.len >= 3 && memcmp(body.data, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark */
        body = (cm_str_t){body.data + 3, body.len - 3};
    body = cm_str_trim(body);
    const char *at = body.data, *end = at + body.len;
    reading->at = at;
    reading->end = end;
    reading->form = LINES;
    if (body.len > 0 && *at == '[' && !lines) {
        reading->form = ARRAY;
        if (skip_space(at + 1, end) == end - 1 && end[-1] == ']') /* it is empty */
            reading->at = end;
    } else if (body.len > 0 && *at == '{' && !lines && skip_object(at, end) == end) {
        reading->form = OBJECT;
    }
}

static int start(reading_t *reading, cm_err_t *err)
{
    reading->now = cm_clock_now_ms(reading->poster->shared->clock);
    *reading->result = (cm_posted_result_t){.errors = CM_BUF_INIT};
    return refresh_key(reading->poster, reading->now, err);
}

static int finish(reading_t *reading, cm_err_t *err)
{
    settle(reading);
    return reading->position > 0 ? 0 : cm_fail(err, CM_EREJECT, "the body holds no event");
}

int cm_posted_read(cm_poster_t *poster, cm_str_t body, bool lines, const cm_posted_sender_t *sender,
                   cm_batch_t *batch, cm_posted_result_t *result, cm_err_t *err)
{
    reading_t reading = {.poster = poster,
                         .sender = sender,
                         .batch = batch,
                         .result = result,
                         .unsettled = &poster->unsettled};

    int rc = start(&reading, err);
    if (rc < 0)
        return rc;
    detect_body(&reading, body, lines);
    while (read_next(&reading))
        ;
    return finish(&reading, err);
}

/* ---- the same in turns ---- */

int cm_posting_begin(cm_poster_t *poster, cm_str_t body, bool lines,
                     const cm_posted_sender_t *sender, cm_batch_t *batch,
                     cm_posted_result_t *result, cm_posting_t **out, cm_err_t *err)
{
    reading_t *reading = cm_alloc_zero(1, sizeof *reading);

    *reading = (reading_t){.poster = poster, .sender = sender, .batch = batch, .result = result};
    int rc = start(reading, err);
    if (rc < 0) {
        free(reading);
        return rc;
    }
    reading->unsettled = cm_alloc_zero(1, sizeof *reading->unsettled);
    detect_body(reading, body, lines);
    *out = reading;
    return 0;
}

int cm_posting_turn(cm_posting_t *reading, int64_t until_ns, cm_err_t *err)
{
    bool more;

    do {
        more = read_next(reading);
    } while (more && cm_clock_ticks_ns() < until_ns);
    return more ? 1 : finish(reading, err);
}

void cm_posting_free(cm_posting_t *reading)
{
    if (reading == NULL)
        return;
    free_unsettled(reading->unsettled);
    free(reading->unsettled);
    free(reading);
}

int cm_posted_pixel(cm_poster_t *poster, const cm_posted_image_t *image,
                    const cm_posted_sender_t *sender, cm_batch_t *batch, cm_posted_result_t *result,
                    cm_err_t *err)
{
    reading_t reading = {.poster = poster,
                         .sender = sender,
                         .batch = batch,
                         .result = result,
                         .unsettled = &poster->unsettled};
    const cm_event_json_visitor_t nothing = {{NULL, 0}, {NULL, 0}};
    cm_err_t why;

    int rc = start(&reading, err);
    if (rc < 0)
        return rc;
    cm_event_t *event = cm_batch_slot(batch);
    reading.position = 1;
    rc = cm_posted_image_read(image, &batch->arena, event, &why);
    count(&reading, rc < 0 ? rc : take_event(&reading, &nothing, event, &why), &why);
    settle(&reading);
    return 0;
}
