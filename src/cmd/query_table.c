#include "cmd/query_table.h"

#include "base/clock.h"
#include "base/progress.h"
#include "base/terminal.h"

enum {
    URL_LEAST = 16, /* columns, before others are left out */
    COUNTRY_LEAST = 8,
};

static bool has_url(cm_dimension_t dimension)
{
    return dimension == CM_PER_CELL || dimension == CM_PER_URL;
}

static bool has_country(cm_dimension_t dimension)
{
    return dimension == CM_PER_CELL || dimension == CM_PER_COUNTRY;
}

void cm_query_table_start(cm_query_table_t *table, const cm_index_query_t *query, bool daily,
                          size_t width)
{
    const char *const numbers[] = {"clicks",     daily ? "daily visitors" : "users",
                                   "time spent", "on page",
                                   "entrances",  "exits"};

    *table = (cm_query_table_t){
        .window = query->window, .dimension = query->dimension, .table = {.width = width}};
    if (query->window != CM_WINDOW_ALL)
        cm_text_table_add_column(&table->table, (cm_text_column_t){CM_STR("window"), false, 0});
    if (has_url(query->dimension))
        cm_text_table_add_column(&table->table,
                                 (cm_text_column_t){CM_STR("url"), false, URL_LEAST});
    if (has_country(query->dimension))
        cm_text_table_add_column(&table->table,
                                 (cm_text_column_t){CM_STR("country"), false, COUNTRY_LEAST});
    table->table.kept = table->table.column_count + 2; /* clicks and users */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        cm_text_table_add_column(&table->table, (cm_text_column_t){cm_str(numbers[i]), true, 0});
}

void cm_query_table_add_seconds(cm_buf_t *text, bool there, double seconds)
{
    if (there)
        cm_buf_printf(text, "%.1f s", seconds);
    else
        cm_buf_add_text(text, "-");
}

static void add_number(cm_text_table_t *table, cm_buf_t *text, int64_t number)
{
    cm_buf_add_grouped(text, number);
    cm_text_table_add(table, text);
}

static void add_average(cm_text_table_t *table, cm_buf_t *text, int64_t sum, int64_t count)
{
    cm_query_table_add_seconds(text, count > 0, count > 0 ? (double)sum / (double)count : 0);
    cm_text_table_add(table, text);
}

void cm_query_table_add(cm_query_table_t *table, const cm_answer_t *answer)
{
    const cm_measures_t *n = &answer->measures;
    cm_text_table_t *to = &table->table;
    char start[CM_TIME_TEXT];
    cm_buf_t text = CM_BUF_INIT;

    if (table->window != CM_WINDOW_ALL) {
        cm_buf_add_text(&text, cm_time_format(answer->window_start, start));
        cm_text_table_add(to, &text);
    }
    if (has_url(table->dimension)) {
        cm_terminal_add(&text, answer->url);
        cm_text_table_add(to, &text);
    }
    if (has_country(table->dimension)) {
        cm_terminal_add(&text, answer->country);
        cm_text_table_add(to, &text);
    }
    add_number(to, &text, n->clicks);
    add_number(to, &text, n->users);
    add_average(to, &text, n->time_spent_sum, n->time_spent_count);
    add_average(to, &text, n->page_time_sum, n->page_time_count);
    add_number(to, &text, n->entrances);
    add_number(to, &text, n->exits);
    cm_buf_free(&text);
}

void cm_query_table_free(cm_query_table_t *table)
{
    cm_text_table_free(&table->table);
}
