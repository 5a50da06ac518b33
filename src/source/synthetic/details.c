#include "source/synthetic/details.h"

#include <stdio.h>

enum {
    /* Of 100 visits. */
    FROM_REFERRERS = 45,
    FROM_CAMPAIGNS = 20,
    /* Of 20 events after the first of a visit; the others are page views. */
    EVENTS = 20,
    ENGAGEMENTS = 6,
    ADDED = 2,
    BOUGHT = 1, /* if there is something in the cart */
    PRICE_MIN = 500,
    PRICE_MAX = 20000, /* cents */
    HOMES_OF_A_REGION = 4,
};

typedef struct campaign {
    const char *source, *medium, *name, *term, *content;
} campaign_t;

/* Zipf's law makes the first one the most frequent. */
static const char *const referrers[] = {
    "https://www.google.com/",
    "https://www.bing.com/",
    "https://duckduckgo.com/",
    "https://l.facebook.com/",
    "https://www.reddit.com/r/homeoffice/",
    "https://news.example/lamps-compared",
    "https://chatgpt.com/",
    "https://www.youtube.com/",
    "https://www.linkedin.com/",
    "android-app://com.slack/",
    "https://blog.example/what-we-use",
    "https://www.ecosia.org/",
};

static const campaign_t campaigns[] = {
    {"google", "cpc", "brand", "lamp", ""},
    {"newsletter", "email", "spring", "", "header"},
    {"facebook", "paid-social", "spring", "", "video"},
    {"newsletter", "email", "autumn", "", "footer"},
    {"bing", "cpc", "brand", "desk-lamp", ""},
    {"partner", "affiliate", "partners", "", ""},
};

static const char *const regions[] = {"Central Region", "Northern Region", "Eastern Region",
                                      "Southern Region", "Western Region"};

static const char *const languages[] = {"en-US", "en-GB", "de-DE", "fr-FR", "es-ES",
                                        "pt-BR", "ja-JP", "it-IT", "nl-NL", "pl-PL"};

#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof(list)[0]))

/* Each page has one price. */
static uint32_t price_of(uint32_t page)
{
    uint64_t mix = page;

    return PRICE_MIN + (uint32_t)(cm_random_mix(&mix) % (PRICE_MAX - PRICE_MIN));
}

static cm_detail_t draw_entry(cm_random_t *random)
{
    const uint32_t ticket = cm_random_below(random, 100);
    cm_detail_t detail = {.kind = CM_DETAIL_VIEW};

    if (ticket < FROM_REFERRERS)
        detail.referrer = (uint8_t)(cm_random_zipf(random, COUNT(referrers)) + 1);
    else if (ticket < FROM_REFERRERS + FROM_CAMPAIGNS)
        detail.campaign = (uint8_t)(cm_random_zipf(random, COUNT(campaigns)) + 1);
    return detail;
}

static cm_detail_kind_t draw_kind(cm_random_t *random, const cm_detail_visit_t *visit)
{
    const uint32_t ticket = cm_random_below(random, EVENTS);

    if (ticket < ENGAGEMENTS)
        return CM_DETAIL_ENGAGEMENT;
    if (ticket < ENGAGEMENTS + ADDED)
        return CM_DETAIL_ADD_TO_CART;
    if (ticket < ENGAGEMENTS + ADDED + BOUGHT && visit->items > 0)
        return CM_DETAIL_PURCHASE;
    return CM_DETAIL_VIEW;
}

/* The page was in use for half to all of the time since it was opened. */
static uint32_t draw_engaged(cm_random_t *random, int64_t shown_ms)
{
    if (shown_ms > CM_ENGAGED_MAX)
        shown_ms = CM_ENGAGED_MAX;
    return (uint32_t)(shown_ms * (128 + cm_random_below(random, 129)) / 256);
}

cm_detail_t cm_detail_draw(cm_random_t *random, cm_detail_visit_t *visit, bool entry,
                           bool views_only, int64_t ms, uint32_t *page)
{
    cm_detail_t detail = {.kind = CM_DETAIL_VIEW};

    if (entry)
        detail = draw_entry(random);
    else if (!views_only)
        detail.kind = (uint8_t)draw_kind(random, visit);
    if (detail.kind == CM_DETAIL_VIEW) {
        detail.inside = !entry;
        detail.previous = visit->page;
        visit->view_ms = ms;
        visit->page = *page;
        if (entry)
            visit->cart = visit->items = 0;
        return detail;
    }
    *page = visit->page;
    if (detail.kind == CM_DETAIL_ENGAGEMENT) {
        detail.amount = draw_engaged(random, ms - visit->view_ms);
    } else if (detail.kind == CM_DETAIL_ADD_TO_CART) {
        detail.amount = price_of(*page);
        visit->cart += detail.amount;
        visit->items++;
    } else {
        detail.amount = visit->cart;
        detail.items = visit->items;
        visit->cart = visit->items = 0;
    }
    return detail;
}

static void fill_campaign(const campaign_t *campaign, cm_event_extra_t *extra)
{
    extra->text[CM_EXTRA_UTM_SOURCE] = cm_str(campaign->source);
    extra->text[CM_EXTRA_UTM_MEDIUM] = cm_str(campaign->medium);
    extra->text[CM_EXTRA_UTM_CAMPAIGN] = cm_str(campaign->name);
    extra->text[CM_EXTRA_UTM_TERM] = cm_str(campaign->term);
    extra->text[CM_EXTRA_UTM_CONTENT] = cm_str(campaign->content);
}

/* The canonical form of props. */
static cm_str_t make_props(const cm_detail_t *detail, cm_arena_t *arena)
{
    char text[64];
    int len = 0;

    if (detail->kind == CM_DETAIL_PURCHASE)
        len = snprintf(text, sizeof text, "{\"items\": %u, \"value\": %u.%02u}", detail->items,
                       detail->amount / 100, detail->amount % 100);
    else
        len = snprintf(text, sizeof text, "{\"value\": %u.%02u}", detail->amount / 100,
                       detail->amount % 100);
    return cm_arena_copy(arena, (cm_str_t){text, (size_t)len});
}

void cm_detail_fill(const cm_detail_t *detail, cm_str_t previous, cm_arena_t *arena,
                    cm_event_extra_t *extra)
{
    switch ((cm_detail_kind_t)detail->kind) {
    case CM_DETAIL_VIEW:
        if (detail->inside)
            extra->text[CM_EXTRA_REFERRER] = previous;
        else if (detail->referrer > 0)
            extra->text[CM_EXTRA_REFERRER] = cm_str(referrers[detail->referrer - 1]);
        if (detail->campaign > 0)
            fill_campaign(&campaigns[detail->campaign - 1], extra);
        break;
    case CM_DETAIL_ENGAGEMENT:
        extra->text[CM_EXTRA_NAME] = CM_STR("engagement");
        extra->engaged_ms = (int32_t)detail->amount;
        break;
    case CM_DETAIL_ADD_TO_CART:
        extra->text[CM_EXTRA_NAME] = CM_STR("add_to_cart");
        extra->text[CM_EXTRA_PROPS] = make_props(detail, arena);
        break;
    case CM_DETAIL_PURCHASE:
        extra->text[CM_EXTRA_NAME] = CM_STR("purchase");
        extra->text[CM_EXTRA_PROPS] = make_props(detail, arena);
        break;
    }
}

cm_str_t cm_detail_region(uint32_t home)
{
    return cm_str(regions[home / HOMES_OF_A_REGION % COUNT(regions)]);
}

cm_str_t cm_detail_language(uint32_t home)
{
    return cm_str(languages[home % COUNT(languages)]);
}
