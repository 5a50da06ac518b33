#include "enrich/options.h"

const cm_option_t cm_enrich_geoip_option[] = {
    {.name = "geoip",
     .type = CM_OPT_TEXT,
     .arg = "FILE",
     .key = "enrich.geoip",
     .help = "MaxMind database (.mmdb) for country and city, or none; default: the built-in "
             "one, countries only"},
    {.name = NULL},
};

const cm_option_t cm_enrich_message_option_rows[] = {
    {.name = "geoip",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_enrich_settings_t, geoip),
     .rows = cm_enrich_geoip_option},
    {.name = "bots",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_enrich_settings_t, bots),
     .arg = "WHAT",
     .def = "auto",
     .choices = "auto|keep|drop",
     .key = "enrich.bots",
     .help = "events of bots; auto drops the visits of logs and browsers, except with --all, and "
             "leaves JSON as it is; keep gives them props.bot and props.bot_kind"},
    {.name = NULL},
};

const cm_option_t cm_enrich_option_rows[] = {
    {.name = "messages", .type = CM_OPT_ROWS, .rows = cm_enrich_message_option_rows},
    {.name = "clean-urls",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_enrich_settings_t, clean_urls),
     .def = "true",
     .key = "enrich.clean_urls",
     .help = "remove fragments and campaign parameters (utm_source, gclid, ...) from URLs"},
    {.name = "url-query",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_enrich_settings_t, url_query),
     .arg = "WHAT",
     .def = "keep",
     .choices = "keep|drop",
     .key = "enrich.url_query",
     .help = "the part of URLs after the question mark"},
    {.name = NULL},
};

const cm_option_t cm_attribution_option_rows[] = {
    {.name = "own-sites",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_attribution_settings_t, sites),
     .arg = "HOST,...",
     .key = "sites",
     .help = "further hosts of the own site (shop.example, *.shop.example): as referrers they are "
             "internal, as the host of the page is"},
    {.name = "ignore-referrers",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_attribution_settings_t, ignored),
     .arg = "HOST,...",
     .def = "paypal.com, *.paypal.com, *.stripe.com, *.klarna.com, mollie.com, *.mollie.com, "
            "*.adyen.com, accounts.google.com, login.microsoftonline.com, login.live.com, "
            "appleid.apple.com, auth0.com, *.auth0.com, okta.com, *.okta.com",
     .key = "ignore_referrers",
     .help = "hosts that are no source and no channel, because a visit goes through them: payment "
             "and log-in"},
    {.name = NULL},
};

void cm_enrich_thread_open(cm_enrich_thread_t *enriching, const cm_enrich_settings_t *given,
                           bool all, const cm_log_t *log)
{
    const cm_enrich_options_t wanted = {
        .geoip = given->geoip,
        .keep_bots = given->bots == CM_BOTS_KEEP || (given->bots == CM_BOTS_AUTO && all),
        .judge_messages = given->bots != CM_BOTS_AUTO,
        .keep_urls = !given->clean_urls,
        .drop_query = given->url_query == 1,
        .log = log,
    };

    enriching->enrichment = cm_enrichment_new(&wanted);
    enriching->enricher = cm_enricher_new(enriching->enrichment);
    enriching->variant = cm_enrich_variant(&wanted);
    enriching->message_variant = cm_enrich_message_variant(&wanted);
}

int cm_enrich_thread_open_messages(cm_enrich_thread_t *enriching, const cm_enrich_settings_t *given,
                                   const cm_log_t *log, cm_err_t *err)
{
    cm_enrich_thread_open(enriching, given, false, log);
    return given->geoip != NULL ? cm_enrichment_start(enriching->enrichment, err) : 0;
}

void cm_enrich_thread_close(cm_enrich_thread_t *enriching)
{
    cm_enricher_free(enriching->enricher);
    cm_enrichment_free(enriching->enrichment);
}
