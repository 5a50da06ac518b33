/* clickmill query: answers on the terminal. */
#include "cmd/commands.h"

#include "base/nearest.h"
#include "cmd/print.h"
#include "cmd/query_nearest.h"
#include "cmd/query_notes.h"
#include "index/listing.h"

typedef struct query_options {
    int window, sort, format;
    bool safe;
    const char *url, *country, *from, *to;
    int64_t limit;
    bool reverse;
    cm_index_options_t index;
} query_options_t;

static const cm_option_t options[] = {
    {.name = "window",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(query_options_t, window),
     .arg = "WINDOW",
     .def = "all",
     .choices = "all|day|hour",
     .help = "answers over all time, per day or per hour"},
    {.name = "url",
     .type = CM_OPT_TEXT,
     .offset = offsetof(query_options_t, url),
     .arg = "PATTERN",
     .help = "only URLs that match: * is any text, ? any character"},
    {.name = "country",
     .type = CM_OPT_TEXT,
     .offset = offsetof(query_options_t, country),
     .arg = "NAME",
     .help = "only this country"},
    {.name = "from",
     .type = CM_OPT_TEXT,
     .offset = offsetof(query_options_t, from),
     .arg = "TIME",
     .help = "only days or hours that begin at or after this time: RFC 3339, or a date (UTC)"},
    {.name = "to",
     .type = CM_OPT_TEXT,
     .offset = offsetof(query_options_t, to),
     .arg = "TIME",
     .help =
         "only days or hours that begin before this time; --to 2026-11-30 ends before the 30th"},
    {.name = "sort",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(query_options_t, sort),
     .arg = "FIELD",
     .def = "clicks",
     .choices = "clicks|unique_user_count|average_time_spent|time_spent_sum|time_spent_count|"
                "average_time_on_page|entrances|exits|url|country|window|users|daily visitors|"
                "time spent|on page|window_start",
     .help = "a heading of the output; numbers largest first, texts in order; days and hours of "
             "the summary come oldest first"},
    {.name = "reverse",
     .type = CM_OPT_FLAG,
     .offset = offsetof(query_options_t, reverse),
     .help = "sort the other way round"},
    {.name = "limit",
     .type = CM_OPT_INT,
     .offset = offsetof(query_options_t, limit),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "largest number of rows; 0, the default, means all"},
    {.name = "format",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(query_options_t, format),
     .arg = "FORMAT",
     .def = "table",
     .choices = "table|csv|json",
     .help = "how to print; --json is --format json"},
    {.name = "safe",
     .type = CM_OPT_FLAG,
     .offset = offsetof(query_options_t, safe),
     .help = "with --format csv: a ' before a text that a spreadsheet would take for a formula"},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(query_options_t, index),
     .rows = cm_index_option},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(query_options_t, index),
     .rows = cm_index_server_option_rows},
    {.name = NULL},
};

/* The choices behind those of cm_sort_t: what the table and JSON call them. */
static const cm_sort_t heading_sorts[] = {CM_SORT_USERS, CM_SORT_USERS, CM_SORT_AVERAGE_TIME_SPENT,
                                          CM_SORT_AVERAGE_TIME_ON_PAGE, CM_SORT_WINDOW};

static int read_listing(cm_app_t *app, int argc, char **argv, cm_listing_t *listing)
{
    *listing = CM_LIST_ANSWERS;
    if (argc > 1)
        return cm_fail(&app->err, CM_EUSAGE,
                       "query answers one question at a time: answers, pages, countries or "
                       "summary, not also \"%.*s\"",
                       cm_utf8_head(cm_str(argv[1]), 80), argv[1]);
    for (int i = 0; argc == 1 && i < CM_LISTING_COUNT; i++) {
        if (strcmp(argv[0], cm_listing_names[i]) == 0) {
            *listing = (cm_listing_t)i;
            return 0;
        }
    }
    if (argc == 0)
        return 0;
    cm_buf_t hint = CM_BUF_INIT;
    const char *near = cm_nearest(argv[0], cm_listing_names);
    if (near != NULL)
        cm_buf_printf(&hint, "did you mean %s?", near);
    else
        cm_buf_add_text(&hint, "see `clickmill help query`");
    int rc = cm_fail(&app->err, CM_EUSAGE,
                     "query knows answers, pages, countries and summary, not \"%.*s\"; %s",
                     cm_utf8_head(cm_str(argv[0]), 80), argv[0], hint.data);
    cm_buf_free(&hint);
    return rc;
}

static int read_span(cm_app_t *app, const query_options_t *asked, cm_index_query_t *query)
{
    static const cm_listing_span_words_t words = {"--from", "--to",
                                                  "--window day or --window hour"};
    int rc = 0;

    if (asked->from != NULL)
        rc = cm_listing_parse_time("--from", cm_str(asked->from), &query->from, &app->err);
    if (rc == 0 && asked->to != NULL)
        rc = cm_listing_parse_time("--to", cm_str(asked->to), &query->to, &app->err);
    return rc < 0 ? rc
                  : cm_listing_check_span(query, asked->from != NULL, asked->to != NULL, &words,
                                          &app->err);
}

static int read_question(cm_app_t *app, const query_options_t *asked, int argc, char **argv,
                         cm_index_query_t *query)
{
    cm_listing_t listing;

    *query = (cm_index_query_t){.window = (cm_window_t)asked->window,
                                .url = asked->url,
                                .country = asked->country,
                                .sort = asked->sort < CM_SORT_COUNT
                                            ? (cm_sort_t)asked->sort
                                            : heading_sorts[asked->sort - CM_SORT_COUNT],
                                .reverse = asked->reverse,
                                .limit = asked->limit};
    int rc = read_listing(app, argc, argv, &listing);
    if (rc == 0)
        rc = read_span(app, asked, query);
    if (rc < 0)
        return rc;
    query->dimension = cm_listing_dimension(listing, query);
    if (listing == CM_LIST_SUMMARY && query->window != CM_WINDOW_ALL &&
        !cm_options_given(app->values, offsetof(query_options_t, sort)))
        query->sort = CM_SORT_WINDOW;
    return 0;
}

static cm_print_format_t format_of(const cm_app_t *app, const query_options_t *asked)
{
    const bool chosen = cm_options_given(app->values, offsetof(query_options_t, format));

    if (app->global.json && !chosen)
        return CM_PRINT_JSON;
    return asked->safe ? CM_PRINT_SAFE_CSV : (cm_print_format_t)asked->format;
}

static int answer(cm_app_t *app, const query_options_t *asked, const cm_index_settings_t *settings,
                  cm_index_t *index, const cm_index_query_t *query)
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

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const query_options_t *asked = given;
    const cm_index_settings_t settings = cm_app_index_settings(app, &asked->index);
    cm_index_t *index = NULL;
    cm_index_query_t query;

    int rc = read_question(app, asked, argc, argv, &query);
    if (rc == 0 && asked->safe && asked->format != CM_PRINT_CSV)
        rc = cm_fail(&app->err, CM_EUSAGE, "--safe is of CSV: give --format csv with it");
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
        "The answers are also available in SQL views of clickmill.db in the data directory: "
        "pages, countries, answer and rollup; with --index elasticsearch they are read from "
        "there.",
    .options = options,
    .options_size = sizeof(query_options_t),
    .run = run,
};
