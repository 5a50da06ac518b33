/* clickmill query: answers on the terminal. */
#include "cmd/commands.h"

#include "cmd/print.h"
#include "cmd/query_nearest.h"
#include "cmd/query_notes.h"
#include "cmd/query_read.h"

static const cm_option_t options[] = {
    {.name = "window",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_query_options_t, window),
     .arg = "WINDOW",
     .def = "all",
     .choices = "all|day|hour",
     .help = "answers over all time, per day or per hour"},
    {.name = "url",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_query_options_t, url),
     .arg = "PATTERN",
     .help = "only URLs that match: * is any text, ? any character"},
    {.name = "country",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_query_options_t, country),
     .arg = "NAME",
     .help = "only this country"},
    {.name = "from",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_query_options_t, from),
     .arg = "TIME",
     .help = "only days or hours that begin at or after this time: RFC 3339, or a date (UTC)"},
    {.name = "to",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_query_options_t, to),
     .arg = "TIME",
     .help =
         "only days or hours that begin before this time; --to 2026-11-30 ends before the 30th"},
    {.name = "sort",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_query_options_t, sort),
     .arg = "FIELD",
     .help = "a heading of the output, default clicks; numbers largest first, texts in order; days "
             "and hours of the summary come oldest first; with --by: a dimension or a measure, "
             "default the first measure"},
    {.name = "reverse",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_query_options_t, reverse),
     .help = "sort the other way round"},
    {.name = "limit",
     .type = CM_OPT_INT,
     .offset = offsetof(cm_query_options_t, limit),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "largest number of rows; 0, the default, means all"},
    {.name = "format",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_query_options_t, format),
     .arg = "FORMAT",
     .def = "table",
     .choices = "table|csv|json",
     .help = "how to print; --json is --format json"},
    {.name = "safe",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_query_options_t, safe),
     .help = "with --format csv: a ' before a text that a spreadsheet would take for a formula"},
    {.name = "by",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_query_options_t, question),
     .rows = cm_query_by_option_rows},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_query_options_t, index),
     .rows = cm_index_option},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_query_options_t, index),
     .rows = cm_index_server_option_rows},
    {.name = NULL},
};

static cm_print_format_t format_of(const cm_app_t *app, const cm_query_options_t *asked)
{
    const bool chosen = cm_options_given(app->values, offsetof(cm_query_options_t, format));

    if (app->global.json && !chosen)
        return CM_PRINT_JSON;
    return asked->safe ? CM_PRINT_SAFE_CSV : (cm_print_format_t)asked->format;
}

static int answer(cm_app_t *app, const cm_query_options_t *asked,
                  const cm_index_settings_t *settings, cm_index_t *index,
                  const cm_index_query_t *query)
{
    cm_freshness_t freshness;
    cm_printer_t printer;

    int rc = cm_index_freshness(index, query->window, &freshness, &app->err);
    if (rc < 0)
        return rc;
    cm_printer_start(&printer, app, format_of(app, asked), query, freshness.daily_visitors);
    rc = cm_index_query(index, query, cm_printer_row, &printer, &app->err);
    const int64_t rows = printer.rows;
    rc = cm_printer_end(&printer, rc);
    if (rc < 0)
        return rc;
    if (rows > 0 && freshness.daily_visitors)
        cm_query_note_daily(app);
    if (rows == 0 && freshness.cells > 0)
        rc = cm_query_say_nothing(app, index, query);
    return rc < 0 ? rc : cm_query_note_freshness(app, query->window, settings, index, &freshness);
}

/* A question to the raw events, which one of its options makes of the command. */
static int ask(cm_app_t *app, const cm_query_options_t *asked, const char *given, int argc,
               char **argv)
{
    static const struct {
        size_t offset;
        const char *name, *instead;
    } others[] = {
        {offsetof(cm_query_options_t, window), "window", "--step day"},
        {offsetof(cm_query_options_t, url), "url", "--where 'url ~ PATTERN'"},
        {offsetof(cm_query_options_t, country), "country", "--where 'country = NAME'"},
    };
    cm_listing_t listing;
    int rc = cm_query_read_listing(app, argc, argv, &listing);

    for (size_t o = 0; rc == 0 && o < sizeof others / sizeof others[0]; o++) {
        if (cm_options_given(app->values, others[o].offset))
            rc = cm_fail(&app->err, CM_EUSAGE, "--%s cannot be given with --%s: write %s",
                         others[o].name, given, others[o].instead);
    }
    const cm_query_common_t common = {.listing = argc > 0 ? argv[0] : NULL,
                                      .from = asked->from,
                                      .to = asked->to,
                                      .sort = asked->sort,
                                      .reverse = asked->reverse,
                                      .limit = asked->limit,
                                      .format = format_of(app, asked)};
    return rc < 0 ? rc : cm_query_by(app, &asked->question, &common, given);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const cm_query_options_t *asked = given;
    const cm_index_settings_t settings = cm_app_index_settings(app, &asked->index);
    cm_index_t *index = NULL;
    const char *by = cm_query_by_given(app, offsetof(cm_query_options_t, question));
    cm_index_query_t query;
    int rc = 0;

    if (by == NULL)
        rc = cm_query_read(app, asked, argc, argv, &query);
    if (rc == 0 && asked->safe && asked->format != CM_PRINT_CSV)
        rc = cm_fail(&app->err, CM_EUSAGE, "--safe is of CSV: give --format csv with it");
    if (rc == 0 && by != NULL)
        return ask(app, asked, by, argc, argv);
    if (rc == 0)
        rc = cm_index_open(&settings, &index, &app->err);
    if (rc == CM_EINPUT && cm_index_in_data_dir(&settings))
        return cm_query_fail_empty(app);
    if (rc < 0)
        return rc;
    rc = answer(app, asked, &settings, index, &query);
    cm_index_close(index);
    return rc;
}

const cm_command_t cm_cmd_query = {
    .name = "query",
    .arguments = "[answers|pages|countries|summary]",
    .summary = "show answers as a table, CSV or JSON",
    .details =
        "Prints what the last `clickmill process` has computed: one row per URL and country "
        "(answers, the default), per page, per country, or one row for the whole site (summary). "
        "A user can be counted in several rows, so unique users cannot be added up; each row has "
        "its own exact numbers. A filter selects the visits that are counted: `query pages "
        "--country Peru` has the numbers of visitors from Peru only.\n"
        "With --window day or hour there is a row for each day or hour; --from and --to select a "
        "time range by the beginning of the day or hour.\n"
        "With --by it asks the raw events instead, also those that were not processed yet: "
        "groups, conditions, measures, a span and steps of it, exactly (docs/questions.md). "
        "`pages`, `countries` and `summary` with one of the options of such a question are "
        "--by url, --by country and --by ''. What the data lack is said on stderr.\n"
        "The answers are also available in SQL views of clickmill.db in the data directory: "
        "pages, countries, answer and rollup; with --index elasticsearch they are read from "
        "there.",
    .options = options,
    .options_size = sizeof(cm_query_options_t),
    .run = run,
};
