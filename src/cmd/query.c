/* clickmill query: answers on the terminal. */
#include "base/progress.h"
#include "cmd/commands.h"
#include "cmd/elastic.h"
#include "cmd/print.h"

typedef struct query_options {
    int window, sort, format;
    const char *url, *country;
    int64_t limit;
    bool reverse;
    int index; /* cm_index_choice_t */
    cm_elastic_given_t elastic;
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
    {.name = "sort",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(query_options_t, sort),
     .arg = "FIELD",
     .def = "clicks",
     .choices = "clicks|unique_user_count|average_time_spent|time_spent_sum|time_spent_count|"
                "average_time_on_page|entrances|exits|url|country|window",
     .help = "numbers largest first, texts in order"},
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
     .help = "rows at most; 0, the default, means all"},
    {.name = "format",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(query_options_t, format),
     .arg = "FORMAT",
     .def = "table",
     .choices = "table|csv|json",
     .help = "how to print; --json is --format json"},
    CM_INDEX_ROW(query_options_t, index),
    CM_ELASTIC_ROWS(query_options_t, elastic),
    {.name = NULL},
};

static int print_answers(cm_app_t *app, cm_index_t *index, const cm_query_t *query,
                         cm_print_format_t format)
{
    cm_printer_t printer;

    cm_printer_start(&printer, app, format, query->window);
    int rc = cm_index_query(index, query, cm_printer_row, &printer, &app->err);
    return cm_printer_end(&printer, rc);
}

/* Says on stderr when the answers do not cover all events. */
static void note_freshness(cm_app_t *app, const query_options_t *asked,
                           const cm_freshness_t *freshness)
{
    const char *window = asked->window == CM_WINDOW_ALL   ? ""
                         : asked->window == CM_WINDOW_DAY ? " --window day"
                                                          : " --window hour";
    const char *index = asked->index == CM_INDEX_ELASTICSEARCH ? " --index elasticsearch" : "";

    if (!freshness->present)
        fprintf(app->messages, "no answers for this window yet: run `clickmill process%s%s`\n",
                window, index);
    else if (freshness->accepted > freshness->processed)
        fprintf(app->messages,
                "%lld events are newer than these answers: run `clickmill process%s%s`\n",
                (long long)(freshness->accepted - freshness->processed), window, index);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const query_options_t *asked = given;
    const cm_query_t query = {.dimension = CM_PER_CELL,
                              .window = (cm_window_t)asked->window,
                              .url = asked->url,
                              .country = asked->country,
                              .sort = (cm_sort_t)asked->sort,
                              .reverse = asked->reverse,
                              .limit = asked->limit};
    bool chosen = cm_options_given(options, app->values, offsetof(query_options_t, format));
    cm_print_format_t format =
        app->global.json && !chosen ? CM_PRINT_JSON : (cm_print_format_t)asked->format;
    const cm_elastic_settings_t elastic = cm_elastic_settings_of(app, &asked->elastic);
    cm_freshness_t freshness;
    cm_index_t *index = NULL;

    (void)argc;
    (void)argv;
    int rc = cm_index_open_chosen(app, asked->index, &elastic, &index, &app->err);
    if (rc < 0)
        return rc;
    rc = cm_index_freshness(index, query.window, &freshness, &app->err);
    if (rc == 0)
        rc = print_answers(app, index, &query, format);
    if (rc == 0)
        note_freshness(app, asked, &freshness);
    cm_index_close(index);
    return rc;
}

const cm_command_t cm_command_query = {
    .name = "query",
    .arguments = "",
    .summary = "show answers as a table, CSV or JSON",
    .details = "Prints what the last `clickmill process` has computed. The answers also stand in "
               "the SQL table `answer` of clickmill.db in the data directory; with --index "
               "elasticsearch they are read from there.",
    .options = options,
    .options_size = sizeof(query_options_t),
    .run = run,
};
