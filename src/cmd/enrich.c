/* clickmill enrich: shows what the enrichment finds for each line. */
#include "enrich/options.h"

#include "base/host.h"
#include "cmd/commands.h"
#include "enrich/arrival.h"
#include "enrich/geo.h"
#include "enrich/ua.h"
#include "enrich/url_parts.h"
#include "source/lines.h"

#include <unistd.h>

typedef struct enrich_command_options {
    const char *geoip;
    cm_attribution_settings_t attribution;
} enrich_command_options_t;

enum { FLUSH_BYTES = 1 << 16 };

static const cm_option_t options[] = {
    {.name = "geoip",
     .type = CM_OPT_ROWS,
     .offset = offsetof(enrich_command_options_t, geoip),
     .rows = cm_enrich_geoip_option},
    {.name = "referrers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(enrich_command_options_t, attribution),
     .rows = cm_attribution_option_rows},
    {.name = NULL},
};

/* What finds the answers for the lines. */
typedef struct finder {
    cm_ua_rules_t *rules;
    cm_ua_parser_t *parser;              /* of agents; or: */
    cm_attribution_rules_t *attribution; /* of referrers; or: */
    cm_geo_t *geo;                       /* of addresses; NULL: not wanted */
    cm_geo_reader_t *reader;
    cm_buf_t scratch, out;
    cm_arena_t arena; /* of a referrer */
} finder_t;

static void add_text(cm_buf_t *buf, const char *before, const char *name, cm_str_t text)
{
    cm_buf_printf(buf, "%s\"%s\":", before, name);
    if (text.len > 0)
        cm_buf_add_json(buf, text);
    else
        cm_buf_add_text(buf, "null");
}

static void add_agent(finder_t *finder, cm_str_t agent)
{
    const cm_ua_t *ua = cm_ua_find(finder->parser, agent);
    cm_buf_t *buf = &finder->out;

    add_text(buf, "{\"browser\":{", "family", ua->browser.family);
    add_text(buf, ",", "major", ua->browser.major);
    add_text(buf, ",", "minor", ua->browser.minor);
    add_text(buf, ",", "patch", ua->browser.patch);
    add_text(buf, ",", "version", ua->browser.version);
    add_text(buf, "},\"os\":{", "family", ua->os.family);
    add_text(buf, ",", "major", ua->os.major);
    add_text(buf, ",", "minor", ua->os.minor);
    add_text(buf, ",", "patch", ua->os.patch);
    add_text(buf, ",", "patch_minor", ua->os.patch_minor);
    add_text(buf, ",", "version", ua->os.version);
    add_text(buf, "},\"device\":{", "family", ua->device.family);
    add_text(buf, ",", "brand", ua->device.brand);
    add_text(buf, ",", "model", ua->device.model);
    cm_buf_add_text(buf, ua->bot.kind != CM_BOT_NONE ? "},\"bot\":true" : "},\"bot\":false");
    add_text(buf, ",", "bot_name", ua->bot.name);
    add_text(buf, ",", "bot_kind", cm_str(cm_bot_kind_name(ua->bot.kind)));
    cm_buf_add_text(buf, "}\n");
}

static int add_address(finder_t *finder, cm_str_t address, cm_err_t *err)
{
    cm_geo_place_t place = CM_GEO_PLACE_NONE;

    int rc =
        finder->reader != NULL ? cm_geo_find(finder->reader, cm_str_trim(address), &place, err) : 0;
    if (rc < 0)
        return rc;
    add_text(&finder->out, "{", "country", place.country);
    add_text(&finder->out, ",", "region", place.region);
    add_text(&finder->out, ",", "city", place.city);
    add_text(&finder->out, ",", "iso_code", place.iso_code);
    cm_buf_add_text(&finder->out, "}\n");
    return 0;
}

static void add_referrer(finder_t *finder, cm_str_t line)
{
    cm_enrich_cut_t cut = {0};
    cm_arena_reset(&finder->arena);
    const cm_attribution_input_t input = {
        .referrer = cm_arrival_shorten(cm_str_trim(line), &finder->arena, &cut)};
    cm_attribution_t found = cm_attribution_find(finder->attribution, &input, &finder->scratch);
    cm_buf_t host = CM_BUF_INIT;

    cm_host_add(&host, cm_url_host(input.referrer));
    add_text(&finder->out, "{", "host", (cm_str_t){host.data, host.len});
    add_text(&finder->out, ",", "source", found.source);
    add_text(&finder->out, ",", "medium", cm_referrer_medium_name(found.medium));
    add_text(&finder->out, ",", "channel", found.channel);
    cm_buf_add_text(&finder->out, "}\n");
    cm_buf_free(&host);
}

static int answer_line(cm_app_t *app, finder_t *finder, const cm_line_t *line)
{
    int rc = 0;

    if (finder->parser != NULL)
        add_agent(finder, line->text);
    else if (finder->attribution != NULL)
        add_referrer(finder, line->text);
    else
        rc = add_address(finder, line->text, &app->err);
    if (rc == 0 && finder->out.len >= FLUSH_BYTES)
        rc = cm_app_write(app, &finder->out);
    return rc;
}

static int answer_lines(cm_app_t *app, finder_t *finder, const char *path)
{
    cm_input_t *input;
    cm_lines_t lines;
    cm_line_t line;

    int rc = cm_input_open(path, &input, &app->err);
    if (rc < 0)
        return rc;
    cm_lines_init(&lines, input);
    for (;;) {
        while (rc >= 0 && cm_lines_next(&lines, &line))
            rc = answer_line(app, finder, &line);
        if (rc < 0 || lines.ended || atomic_load(app->stop))
            break;
        /* A process that asks line by line waits for the answer. */
        rc = cm_app_write(app, &finder->out);
        if (rc == 0)
            rc = cm_lines_fill(&lines, &app->err);
    }
    /* What was found before a failure is written too. */
    cm_err_t failure = app->err;
    int written = cm_app_write(app, &finder->out);
    if (rc < 0)
        app->err = failure;
    else
        rc = written;
    cm_lines_free(&lines);
    cm_input_close(input);
    return rc < 0 ? rc : 0;
}

static int open_finder(cm_app_t *app, const enrich_command_options_t *asked, const char *what,
                       finder_t *finder)
{
    if (strcmp(what, "agent") == 0) {
        finder->rules = cm_ua_rules_new();
        finder->parser = cm_ua_parser_new(finder->rules);
        return 0;
    }
    if (strcmp(what, "referrer") == 0)
        return cm_attribution_rules_new(asked->attribution.sites, asked->attribution.ignored,
                                        &finder->attribution, &app->err);
    if (strcmp(what, "address") != 0)
        return cm_fail(&app->err, CM_EUSAGE,
                       "enrich takes agent, address or referrer, not \"%.40s\"", what);
    if (asked->geoip != NULL && strcmp(asked->geoip, "none") == 0)
        return 0;
    int rc = cm_geo_open(asked->geoip, &app->log, &finder->geo, &app->err);
    if (rc == 0)
        finder->reader = cm_geo_reader_new(finder->geo);
    return rc;
}

/* An argument is the name of a file whose lines are read, or "-", or the text itself. A text that
 * is also the name of a file is unlikely. */
static int answer_argument(cm_app_t *app, finder_t *finder, const char *argument)
{
    if (strcmp(argument, "-") == 0 || access(argument, F_OK) == 0)
        return answer_lines(app, finder, argument);
    /* A misspelt name of a file would be taken for a user agent without a warning. */
    const char *dot = strstr(argument, "//") == NULL ? strrchr(argument, '.') : NULL;
    if (dot != NULL && (strcmp(dot, ".txt") == 0 || strcmp(dot, ".log") == 0))
        return answer_lines(app, finder, argument);
    int rc = answer_line(app, finder, &(cm_line_t){.text = cm_str(argument)});
    return rc == 0 ? cm_app_write(app, &finder->out) : rc;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    finder_t finder = {.out = CM_BUF_INIT, .arena = CM_ARENA_INIT};

    if (argc < 1)
        return cm_fail(&app->err, CM_EUSAGE,
                       "nothing to enrich is given: `clickmill enrich agent`, `clickmill enrich "
                       "address` and `clickmill enrich referrer` take texts, files, or standard "
                       "input; see `clickmill help enrich`");
    int rc = open_finder(app, given, argv[0], &finder);
    if (rc == 0 && argc == 1)
        rc = answer_lines(app, &finder, "-");
    for (int i = 1; rc == 0 && i < argc; i++)
        rc = answer_argument(app, &finder, argv[i]);
    cm_geo_reader_free(finder.reader);
    cm_geo_close(finder.geo);
    cm_attribution_rules_free(finder.attribution);
    cm_ua_parser_free(finder.parser);
    cm_ua_rules_free(finder.rules);
    cm_buf_free(&finder.scratch);
    cm_arena_free(&finder.arena);
    cm_buf_free(&finder.out);
    return rc;
}

const cm_command_t cm_cmd_enrich = {
    .name = "enrich",
    .arguments = "agent|address|referrer [TEXT|FILE|-]...",
    .summary = "show what the program finds for user agents, addresses or referrers",
    .details =
        "Writes one JSON object for each user agent, address or referrer, in the same order; an "
        "unknown value is null. If an argument is the name of a file, the file is read line by "
        "line; any "
        "other argument is the text itself. Without arguments, standard input is read. A name "
        "that ends in .txt or .log is always a file.\n"
        " clickmill enrich address 8.8.8.8\n"
        " clickmill enrich agent agents.txt\n"
        " echo 192.0.2.7 | clickmill enrich address --geoip GeoLite2-City.mmdb\n"
        " clickmill enrich referrer https://www.google.de/\n"
        "User agents are read by the rules of uap-core. \"bot\" is true for what they call a "
        "spider, and for programs that fetch pages automatically; \"bot_name\" and \"bot_kind\" "
        "say which. Source and channel of a referrer are those of a visit that it brings without "
        "campaign parameters; \"medium\" is what the table of referrers says of it "
        "(docs/enrichment.md).",
    .options = options,
    .options_size = sizeof(enrich_command_options_t),
    .run = run,
};
