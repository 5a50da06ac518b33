#include "enrich/enricher.h"

#include "enrich/arrival.h"
#include "enrich/geo.h"
#include "enrich/ua.h"
#include "enrich/url.h"
#include "event/props.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct cm_enrichment {
    cm_enrich_options_t options;
    cm_ua_rules_t *rules;
    _Atomic(cm_geo_t *) geo; /* NULL: not opened, or not wanted */
    pthread_mutex_t lock;    /* guards opening, and the two members below */
    uint64_t failed;         /* look-ups that failed: the database is not open, or broken */
    cm_err_t failure;        /* the first failure */
};

struct cm_enricher {
    cm_enrichment_t *enrichment;
    cm_ua_parser_t *parser;
    cm_geo_reader_t *reader; /* NULL: not wanted, or not needed yet */
    char plain[CM_UA_MAX];   /* a user agent without its escapes */
};

cm_enrichment_t *cm_enrichment_new(const cm_enrich_options_t *options)
{
    cm_enrichment_t *enrichment = cm_alloc_zero(1, sizeof *enrichment);

    enrichment->options = *options;
    enrichment->rules = cm_ua_rules_new();
    pthread_mutex_init(&enrichment->lock, NULL);
    return enrichment;
}

void cm_enrichment_free(cm_enrichment_t *enrichment)
{
    if (enrichment == NULL)
        return;
    cm_geo_close(enrichment->geo);
    pthread_mutex_destroy(&enrichment->lock);
    cm_ua_rules_free(enrichment->rules);
    free(enrichment);
}

static bool wants_geo(const cm_enrichment_t *enrichment)
{
    const char *geoip = enrichment->options.geoip;

    return geoip == NULL || strcmp(geoip, "none") != 0;
}

int cm_enrichment_start(cm_enrichment_t *enrichment, cm_err_t *err)
{
    const cm_enrich_options_t *options = &enrichment->options;
    cm_geo_t *geo = NULL;
    int rc = 0;

    if (atomic_load(&enrichment->geo) != NULL || !wants_geo(enrichment))
        return 0;
    pthread_mutex_lock(&enrichment->lock);
    if (atomic_load(&enrichment->geo) == NULL) {
        rc = cm_geo_open(options->geoip, options->log, &geo, err);
        atomic_store(&enrichment->geo, geo);
    }
    pthread_mutex_unlock(&enrichment->lock);
    return rc;
}

cm_enricher_t *cm_enricher_new(cm_enrichment_t *enrichment)
{
    cm_enricher_t *enricher = cm_alloc_zero(1, sizeof *enricher);

    enricher->enrichment = enrichment;
    enricher->parser = cm_ua_parser_new(enrichment->rules);
    return enricher;
}

void cm_enricher_free(cm_enricher_t *enricher)
{
    if (enricher == NULL)
        return;
    cm_geo_reader_free(enricher->reader);
    cm_ua_parser_free(enricher->parser);
    free(enricher);
}

/* The user agent without the escapes of access logs, which are \" \\ \xHH; other backslashes stay.
 * Cut to CM_UA_MAX bytes. */
static cm_str_t unescape(cm_enricher_t *enricher, cm_str_t agent)
{
    size_t len = 0;

    if (agent.len == 0 || memchr(agent.data, '\\', agent.len) == NULL)
        return agent;
    for (size_t i = 0; i < agent.len && len < CM_UA_MAX; i++) {
        const char *at = agent.data + i;
        size_t left = agent.len - i;
        char c = *at;
        if (c == '\\' && left >= 2 && (at[1] == '"' || at[1] == '\\')) {
            c = at[1];
            i++;
        } else if (c == '\\' && left >= 4 && at[1] == 'x' && cm_hex_digit(at[2]) >= 0 &&
                   cm_hex_digit(at[3]) >= 0) {
            c = (char)(cm_hex_digit(at[2]) << 4 | cm_hex_digit(at[3]));
            i += 3;
        }
        enricher->plain[len++] = c;
    }
    return (cm_str_t){enricher->plain, len};
}

static void fill(cm_str_t *field, cm_str_t text, cm_arena_t *arena)
{
    if (field->len == 0 && text.len > 0)
        *field = cm_arena_copy(arena, text);
}

/* Counts a failed look-up. */
static void note_failure(cm_enrichment_t *enrichment, const cm_err_t *err)
{
    pthread_mutex_lock(&enrichment->lock);
    if (enrichment->failed++ == 0)
        enrichment->failure = *err;
    pthread_mutex_unlock(&enrichment->lock);
}

/* A region is filled only if it is that of the event's country and city. */
static void fill_place(cm_enricher_t *enricher, cm_str_t address, cm_arena_t *arena,
                       cm_event_t *event, cm_event_extra_t *extra)
{
    cm_geo_t *geo = atomic_load_explicit(&enricher->enrichment->geo, memory_order_acquire);
    cm_str_t *region = &extra->text[CM_EXTRA_REGION];
    cm_geo_place_t place;
    cm_err_t err;

    if (geo == NULL || (event->country.len > 0 && event->city.len > 0 && region->len > 0))
        return;
    if (enricher->reader == NULL)
        enricher->reader = cm_geo_reader_new(geo);
    if (cm_geo_find(enricher->reader, address, &place, &err) < 0)
        note_failure(enricher->enrichment, &err);
    fill(&event->country, place.country, arena);
    fill(&event->city, place.city, arena);
    if (cm_str_equal(event->country, place.country) && cm_str_equal(event->city, place.city))
        fill(region, place.region, arena);
}

/* A version is filled only if it is that of the event's browser or system. */
static void fill_agent(const cm_ua_t *ua, cm_arena_t *arena, cm_event_t *event,
                       cm_event_extra_t *extra)
{
    fill(&event->browser, ua->browser.family, arena);
    fill(&event->os, ua->os.family, arena);
    fill(&event->device, ua->device.family, arena);
    if (cm_str_equal(event->browser, ua->browser.family))
        fill(&extra->text[CM_EXTRA_BROWSER_VERSION], ua->browser.version, arena);
    if (cm_str_equal(event->os, ua->os.family))
        fill(&extra->text[CM_EXTRA_OS_VERSION], ua->os.version, arena);
}

/* Notes which bot made the event. */
static void fill_bot(const cm_ua_t *ua, cm_arena_t *arena, cm_event_extra_t *extra)
{
    const cm_prop_t ours[CM_PROPS_OURS] = {
        {CM_STR(CM_PROP_BOT), ua->bot.name, true},
        {CM_STR(CM_PROP_BOT_KIND), cm_str(cm_bot_kind_name(ua->bot.kind)), true},
    };

    extra->text[CM_EXTRA_PROPS] =
        cm_props_add(extra->text[CM_EXTRA_PROPS], ours, CM_PROPS_OURS, arena);
}

/* Takes what the user agent says, if there is one. `judge`: bots are left out or get properties.
 * The kind of a bot whose event is left out. */
static cm_bot_kind_t take_agent(cm_enricher_t *enricher, cm_str_t agent, bool judge,
                                cm_arena_t *arena, cm_event_t *event, cm_event_extra_t *extra)
{
    if (agent.len == 0)
        return CM_BOT_NONE;
    const cm_ua_t *ua = cm_ua_find(enricher->parser, unescape(enricher, agent));
    const bool bot = judge && ua->bot.kind != CM_BOT_NONE;
    if (bot && !enricher->enrichment->options.keep_bots)
        return ua->bot.kind;
    fill_agent(ua, arena, event, extra);
    if (bot)
        fill_bot(ua, arena, extra);
    return CM_BOT_NONE;
}

cm_bot_kind_t cm_enricher_visit(void *context, const cm_enrich_visit_t *visit, cm_arena_t *arena,
                                cm_event_t *event, cm_enrich_cut_t *cut)
{
    cm_enricher_t *enricher = context;
    const cm_enrich_options_t *options = &enricher->enrichment->options;
    const cm_arrival_rules_t rules = {.clean = !options->keep_urls || options->drop_query,
                                      .drop_query = options->drop_query};
    cm_event_extra_t extra = cm_event_extra_of(event);

    const cm_bot_kind_t bot = take_agent(enricher, visit->agent, true, arena, event, &extra);
    if (bot != CM_BOT_NONE)
        return bot;
    fill_place(enricher, visit->address, arena, event, &extra);
    cm_arrival_fill(&rules, visit, event->url, arena, &extra, cut);
    if (rules.clean)
        event->url = cm_url_clean(event->url, rules.drop_query, arena);
    event->extra = cm_event_extra_keep(&extra, arena);
    return CM_BOT_NONE;
}

cm_bot_kind_t cm_enricher_fill(void *context, cm_str_t address, cm_str_t agent, cm_arena_t *arena,
                               cm_event_t *event)
{
    cm_enricher_t *enricher = context;
    cm_event_extra_t extra = cm_event_extra_of(event);
    cm_err_t err;

    const cm_bot_kind_t bot = take_agent(
        enricher, agent, enricher->enrichment->options.judge_messages, arena, event, &extra);
    if (bot != CM_BOT_NONE)
        return bot;
    if (address.len > 0) {
        if (cm_enrichment_start(enricher->enrichment, &err) < 0)
            note_failure(enricher->enrichment, &err);
        fill_place(enricher, address, arena, event, &extra);
    }
    event->extra = cm_event_extra_keep(&extra, arena);
    return CM_BOT_NONE;
}

int cm_enrichment_check(cm_enrichment_t *enrichment, cm_err_t *err)
{
    int rc = 0;

    pthread_mutex_lock(&enrichment->lock);
    if (enrichment->failed > 0)
        rc = cm_fail(err, enrichment->failure.code,
                     "%s; failed look-ups: %llu, their countries are not known",
                     enrichment->failure.text, (unsigned long long)enrichment->failed);
    pthread_mutex_unlock(&enrichment->lock);
    return rc;
}

const char *cm_enrich_variant(const cm_enrich_options_t *options)
{
    if (options->drop_query)
        return options->keep_bots ? "bots,no query" : "people,no query";
    if (options->keep_urls)
        return options->keep_bots ? "bots,whole urls" : "people,whole urls";
    return options->keep_bots ? "bots" : "people";
}

const char *cm_enrich_message_variant(const cm_enrich_options_t *options)
{
    if (!options->judge_messages)
        return NULL;
    return options->keep_bots ? "bots" : "people";
}
