#include "cmd/query_read.h"

#include "base/nearest.h"

/* What answers can be sorted by without a question. */
static const cm_option_t sort_rows[] = {
    {.name = "sort",
     .type = CM_OPT_CHOICE,
     .arg = "FIELD",
     .def = "clicks",
     .choices = "clicks|unique_user_count|average_time_spent|time_spent_sum|time_spent_count|"
                "average_time_on_page|entrances|exits|url|country|window|users|daily visitors|"
                "time spent|on page|window_start"},
    {.name = NULL},
};

/* The choices behind those of cm_sort_t: what the table and JSON call them. */
static const cm_sort_t heading_sorts[] = {CM_SORT_USERS, CM_SORT_USERS, CM_SORT_AVERAGE_TIME_SPENT,
                                          CM_SORT_AVERAGE_TIME_ON_PAGE, CM_SORT_WINDOW};

int cm_query_read_listing(cm_app_t *app, int argc, char **argv, cm_listing_t *listing)
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

static int read_span(cm_app_t *app, const cm_query_options_t *asked, cm_index_query_t *query)
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

static int read_sort(cm_app_t *app, const char *text, int *sort)
{
    cm_option_values_t values;

    int rc = cm_options_defaults(sort_rows, sort, &values, &app->err);
    if (rc == 0 && text != NULL)
        rc = cm_options_set(sort_rows, sort_rows, &values, text, CM_FROM_COMMAND_LINE, "--sort",
                            &app->err);
    cm_options_free(&values);
    return rc;
}

int cm_query_read(cm_app_t *app, const cm_query_options_t *asked, int argc, char **argv,
                  cm_index_query_t *query)
{
    cm_listing_t listing;
    int sort;

    int rc = read_sort(app, asked->sort, &sort);
    if (rc < 0)
        return rc;
    *query = (cm_index_query_t){.window = (cm_window_t)asked->window,
                                .url = asked->url,
                                .country = asked->country,
                                .sort = sort < CM_SORT_COUNT ? (cm_sort_t)sort
                                                             : heading_sorts[sort - CM_SORT_COUNT],
                                .reverse = asked->reverse,
                                .limit = asked->limit};
    rc = cm_query_read_listing(app, argc, argv, &listing);
    if (rc == 0)
        rc = read_span(app, asked, query);
    if (rc < 0)
        return rc;
    query->dimension = cm_listing_dimension(listing, query);
    if (listing == CM_LIST_SUMMARY && query->window != CM_WINDOW_ALL &&
        !cm_options_given(app->values, offsetof(cm_query_options_t, sort)))
        query->sort = CM_SORT_WINDOW;
    return 0;
}
