#include "serve/refused_requests.h"

#include "base/clock.h"
#include "base/progress.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct entry {
    char origin[CM_REFUSED_ORIGIN_MAX + 1];
    cm_refusal_t why;
    uint64_t requests; /* 0: the entry is free */
    int64_t last_ms;
} entry_t;

struct cm_refused_requests {
    char *sites;
    bool demo;
    pthread_mutex_t lock; /* guards: */
    entry_t entries[CM_REFUSED_ORIGINS];
    uint64_t others; /* of origins that were replaced */
};

cm_refused_requests_t *cm_refused_new(const char *sites, bool demo)
{
    cm_refused_requests_t *refused = cm_alloc_zero(1, sizeof *refused);

    /* A shell would read a list with a quote differently: then the suggested option leaves it out.
     */
    refused->sites = cm_strdup(sites != NULL && strchr(sites, '\'') == NULL ? sites : "");
    refused->demo = demo;
    pthread_mutex_init(&refused->lock, NULL);
    return refused;
}

void cm_refused_free(cm_refused_requests_t *refused)
{
    if (refused == NULL)
        return;
    pthread_mutex_destroy(&refused->lock);
    free(refused->sites);
    free(refused);
}

/* Keeps an origin: cut, and without bytes that a terminal or a page could interpret. Browsers send
 * origins in ASCII only. */
static void set_origin(entry_t *entry, cm_str_t origin)
{
    size_t len = origin.len < CM_REFUSED_ORIGIN_MAX ? origin.len : CM_REFUSED_ORIGIN_MAX;

    for (size_t i = 0; i < len; i++) {
        char c = origin.data[i];
        entry->origin[i] = '?';
        if (c > ' ' && c < 127)
            entry->origin[i] = c;
    }
    entry->origin[len] = '\0';
}

/* The place of an entry: its own, or a free one, or that of the origin with the fewest requests, of
 * equals the one that was refused longest ago. */
static entry_t *place_for(cm_refused_requests_t *refused, const entry_t *wanted)
{
    entry_t *place = &refused->entries[0];

    for (int i = 0; i < CM_REFUSED_ORIGINS; i++) {
        entry_t *entry = &refused->entries[i];
        if (entry->requests > 0 && entry->why == wanted->why &&
            strcmp(entry->origin, wanted->origin) == 0)
            return entry;
        if (entry->requests < place->requests ||
            (entry->requests == place->requests && entry->last_ms < place->last_ms))
            place = entry;
    }
    refused->others += place->requests;
    *place = *wanted;
    return place;
}

void cm_refused_note(cm_refused_requests_t *refused, cm_refusal_t why, cm_str_t origin,
                     int64_t now_ms)
{
    entry_t wanted = {.why = why};

    set_origin(&wanted, origin);
    pthread_mutex_lock(&refused->lock);
    entry_t *entry = place_for(refused, &wanted);
    entry->requests++;
    entry->last_ms = now_ms;
    pthread_mutex_unlock(&refused->lock);
}

static uint64_t count(const cm_refused_requests_t *refused)
{
    uint64_t sum = refused->others;

    for (int i = 0; i < CM_REFUSED_ORIGINS; i++)
        sum += refused->entries[i].requests;
    return sum;
}

uint64_t cm_refused_count(cm_refused_requests_t *refused)
{
    pthread_mutex_lock(&refused->lock);
    uint64_t sum = count(refused);
    pthread_mutex_unlock(&refused->lock);
    return sum;
}

static int later(const void *a, const void *b)
{
    const entry_t *one = a, *other = b;

    if (one->last_ms != other->last_ms)
        return one->last_ms < other->last_ms ? 1 : -1;
    return strcmp(one->origin, other->origin);
}

/* Copies the used entries, the latest first, and returns their number. */
static int copy_entries(cm_refused_requests_t *refused, entry_t entries[CM_REFUSED_ORIGINS],
                        uint64_t *others)
{
    int filled = 0;

    pthread_mutex_lock(&refused->lock);
    for (int i = 0; i < CM_REFUSED_ORIGINS; i++) {
        if (refused->entries[i].requests > 0)
            entries[filled++] = refused->entries[i];
    }
    *others = refused->others;
    pthread_mutex_unlock(&refused->lock);
    qsort(entries, (size_t)filled, sizeof *entries, later);
    return filled;
}

/* All requests that were refused. */
static uint64_t sum_of(const entry_t *entries, int filled, uint64_t others)
{
    uint64_t sum = others;

    for (int i = 0; i < filled; i++)
        sum += entries[i].requests;
    return sum;
}

/* ---- the option that allows them ---- */

/* The part of an origin that `--sites` takes; empty when it is not safe to copy into a shell. */
static cm_str_t site_of(const char *origin)
{
    const char *scheme = strstr(origin, "://");
    cm_str_t host = cm_str(scheme != NULL ? scheme + 3 : "");

    if (strncmp(origin, "http", 4) != 0 || strlen(origin) == CM_REFUSED_ORIGIN_MAX)
        return CM_STR("");
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && strchr(".:-", c) == NULL)
            return CM_STR("");
    }
    return host.len > 0 && host.data[0] != '-' && host.data[0] != '.' ? host : CM_STR("");
}

/* The option that allows the entry's requests; nothing when there is none. */
static void add_option(const cm_refused_requests_t *refused, const entry_t *entry, cm_buf_t *text)
{
    cm_str_t site = site_of(entry->origin);
    const bool page = entry->origin[0] != '\0';
    const char *demo = refused->demo ? "--no-demo " : "";

    if (strcmp(entry->origin, "null") == 0)
        site = CM_STR("*");
    if (entry->why == CM_REFUSED_RATE) {
        cm_buf_add_text(text, "--rate-limit N");
    } else if (!page) {
        cm_buf_add_text(text, entry->why == CM_REFUSED_DEMO ? "--no-demo"
                              : refused->demo               ? "--no-demo --token NAME=TOKEN"
                                                            : "--token NAME=TOKEN");
    } else if (site.len > 0 && (refused->sites[0] != '\0' || site.data[0] == '*')) {
        cm_buf_printf(text, "%s--sites '%s%s%.*s'", demo, refused->sites,
                      refused->sites[0] != '\0' ? "," : "", (int)site.len, site.data);
    } else if (site.len > 0) {
        cm_buf_printf(text, "%s--sites %.*s", demo, (int)site.len, site.data);
    }
}

static const char *reason_of(const entry_t *entry)
{
    static const char *const reasons[] = {
        [CM_REFUSED_SITE] = "site",
        [CM_REFUSED_TOKEN] = "token",
        [CM_REFUSED_RATE] = "rate",
        [CM_REFUSED_DEMO] = "demo",
    };
    return reasons[entry->why];
}

static void add_entry_json(const cm_refused_requests_t *refused, const entry_t *entry,
                           cm_buf_t *json)
{
    char when[CM_TIME_TEXT];
    cm_buf_t option = CM_BUF_INIT;

    add_option(refused, entry, &option);
    cm_buf_add_text(json, "{\"origin\":");
    if (entry->origin[0] != '\0')
        cm_buf_add_json(json, cm_str(entry->origin));
    else
        cm_buf_add_text(json, "null");
    cm_buf_printf(json, ",\"reason\":\"%s\",\"requests\":%llu,\"last_at\":\"%s\",\"option\":",
                  reason_of(entry), (unsigned long long)entry->requests,
                  cm_time_format(entry->last_ms, when));
    if (option.len > 0)
        cm_buf_add_json(json, (cm_str_t){option.data, option.len});
    else
        cm_buf_add_text(json, "null");
    cm_buf_add_char(json, '}');
    cm_buf_free(&option);
}

void cm_refused_add_json(cm_refused_requests_t *refused, cm_buf_t *json)
{
    entry_t entries[CM_REFUSED_ORIGINS];
    uint64_t others;

    int filled = copy_entries(refused, entries, &others);
    const uint64_t sum = sum_of(entries, filled, others);
    cm_buf_printf(json, "{\"requests\":%llu,\"origins\":[", (unsigned long long)sum);
    for (int i = 0; i < filled; i++) {
        if (i > 0)
            cm_buf_add_char(json, ',');
        add_entry_json(refused, &entries[i], json);
    }
    cm_buf_printf(json, "],\"others\":%llu}", (unsigned long long)others);
}

/* "from pages of http://localhost:3000; --sites localhost:3000 lets it in" */
static void add_origin(const cm_refused_requests_t *refused, const entry_t *entry, cm_buf_t *text)
{
    cm_buf_t option = CM_BUF_INIT;

    if (entry->origin[0] != '\0')
        cm_buf_printf(text, "from pages of %s", entry->origin);
    else
        cm_buf_add_text(text, "from a program");
    add_option(refused, entry, &option);
    if (option.len > 0)
        cm_buf_printf(text, "; %s lets %s in", option.data, entry->requests == 1 ? "it" : "them");
    cm_buf_free(&option);
}

static void add_requests(cm_buf_t *text, uint64_t requests)
{
    cm_buf_add_grouped(text, (int64_t)requests);
    cm_buf_add_text(text, requests == 1 ? " request" : " requests");
}

void cm_refused_add_status(cm_refused_requests_t *refused, cm_buf_t *line)
{
    entry_t entries[CM_REFUSED_ORIGINS];
    uint64_t others;

    int filled = copy_entries(refused, entries, &others);
    const uint64_t sum = sum_of(entries, filled, others);
    if (filled == 0)
        return;
    cm_buf_add_text(line, ", ");
    add_requests(line, sum);
    cm_buf_add_text(line, sum == 1 || filled == 1 ? " refused, " : " refused, the last ");
    add_origin(refused, &entries[0], line);
}

void cm_refused_add_lines(cm_refused_requests_t *refused, cm_buf_t *lines)
{
    entry_t entries[CM_REFUSED_ORIGINS];
    uint64_t others;

    int filled = copy_entries(refused, entries, &others);
    for (int i = 0; i < filled; i++) {
        cm_buf_add_text(lines, "refused ");
        add_requests(lines, entries[i].requests);
        cm_buf_add_char(lines, ' ');
        add_origin(refused, &entries[i], lines);
        cm_buf_add_char(lines, '\n');
    }
    if (others > 0) {
        cm_buf_add_text(lines, "refused ");
        add_requests(lines, others);
        cm_buf_add_text(lines, " from other origins\n");
    }
}
