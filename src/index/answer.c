/* Names of windows and sort orders, and an answer as CSV and JSON. */
#include "index/json_members.h"

#include "base/clock.h"

const char *const cm_index_window_names[CM_WINDOW_COUNT] = {"all", "day", "hour"};

const char *const cm_sort_names[CM_SORT_COUNT] = {
    [CM_SORT_CLICKS] = "clicks",
    [CM_SORT_USERS] = "unique_user_count",
    [CM_SORT_AVERAGE_TIME_SPENT] = "average_time_spent",
    [CM_SORT_TIME_SPENT_SUM] = "time_spent_sum",
    [CM_SORT_TIME_SPENT_COUNT] = "time_spent_count",
    [CM_SORT_AVERAGE_TIME_ON_PAGE] = "average_time_on_page",
    [CM_SORT_ENTRANCES] = "entrances",
    [CM_SORT_EXITS] = "exits",
    [CM_SORT_URL] = "url",
    [CM_SORT_COUNTRY] = "country",
    [CM_SORT_WINDOW] = "window",
};

static bool find_name(const char *text, const char *const *names, int count, int *found)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *found = i;
            return true;
        }
    }
    return false;
}

bool cm_index_window_parse(const char *text, cm_window_t *window)
{
    int found;
    if (!find_name(text, cm_index_window_names, CM_WINDOW_COUNT, &found))
        return false;
    *window = (cm_window_t)found;
    return true;
}

bool cm_sort_parse(const char *text, cm_sort_t *sort)
{
    int found;
    if (!find_name(text, cm_sort_names, CM_SORT_COUNT, &found))
        return false;
    *sort = (cm_sort_t)found;
    return true;
}

bool cm_average_follows(const cm_stored_average_t *stored, int64_t sum, int64_t count)
{
    return count == 0 ? !stored->there : stored->there && stored->value == cm_average(sum, count);
}

bool cm_answer_exact(const cm_answer_t *answer)
{
    const cm_measures_t *n = &answer->measures;

    return answer->stored == NULL ||
           (cm_average_follows(&answer->stored[0], n->time_spent_sum, n->time_spent_count) &&
            cm_average_follows(&answer->stored[1], n->page_time_sum, n->page_time_count));
}

void cm_answer_add_csv_header(cm_buf_t *buf, cm_window_t window)
{
    if (window != CM_WINDOW_ALL)
        cm_buf_add_text(buf, "window,");
    cm_buf_add_text(buf, "url,country,clicks,unique_user_count,average_time_spent,time_spent_sum,"
                         "time_spent_count,average_time_on_page,entrances,exits\n");
}

static void csv_average(cm_buf_t *buf, int64_t sum, int64_t count)
{
    cm_buf_add_char(buf, ',');
    if (count != 0)
        cm_buf_add_double(buf, cm_average(sum, count));
}

static void csv_number(cm_buf_t *buf, int64_t value)
{
    cm_buf_add_char(buf, ',');
    cm_buf_add_i64(buf, value);
}

static void add_csv(cm_buf_t *buf, const cm_answer_t *answer, cm_buf_csv_fn add_text)
{
    const cm_measures_t *n = &answer->measures;
    char start[CM_TIME_TEXT];

    if (answer->window != CM_WINDOW_ALL) {
        cm_buf_add_text(buf, cm_time_format(answer->window_start, start));
        cm_buf_add_char(buf, ',');
    }
    add_text(buf, answer->url);
    cm_buf_add_char(buf, ',');
    add_text(buf, answer->country);
    csv_number(buf, n->clicks);
    csv_number(buf, n->users);
    csv_average(buf, n->time_spent_sum, n->time_spent_count);
    csv_number(buf, n->time_spent_sum);
    csv_number(buf, n->time_spent_count);
    csv_average(buf, n->page_time_sum, n->page_time_count);
    csv_number(buf, n->entrances);
    csv_number(buf, n->exits);
    cm_buf_add_char(buf, '\n');
}

void cm_answer_add_csv(cm_buf_t *buf, const cm_answer_t *answer)
{
    add_csv(buf, answer, cm_buf_add_csv);
}

void cm_answer_add_safe_csv(cm_buf_t *buf, const cm_answer_t *answer)
{
    add_csv(buf, answer, cm_buf_add_safe_csv);
}

/* ---- JSON ---- */

static void json_name(cm_buf_t *buf, const char *name)
{
    cm_buf_add_text(buf, buf->data[buf->len - 1] == '{' ? "\"" : ",\"");
    cm_buf_add_text(buf, name);
    cm_buf_add_text(buf, "\":");
}

void cm_index_json_text(cm_buf_t *buf, const char *name, cm_str_t text)
{
    json_name(buf, name);
    cm_buf_add_json(buf, text);
}

void cm_index_json_number(cm_buf_t *buf, const char *name, int64_t value)
{
    json_name(buf, name);
    cm_buf_add_i64(buf, value);
}

void cm_index_json_average(cm_buf_t *buf, const char *name, int64_t sum, int64_t count)
{
    json_name(buf, name);
    if (count != 0)
        cm_buf_add_double(buf, cm_average(sum, count));
    else
        cm_buf_add_text(buf, "null");
}

void cm_answer_add_json(cm_buf_t *buf, const cm_answer_t *answer)
{
    const cm_measures_t *n = &answer->measures;
    char start[CM_TIME_TEXT];

    cm_buf_add_char(buf, '{');
    if (answer->window != CM_WINDOW_ALL) {
        cm_index_json_text(buf, "window", cm_str(cm_index_window_names[answer->window]));
        cm_index_json_text(buf, "window_start",
                           cm_str(cm_time_format(answer->window_start, start)));
    }
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL)
        cm_index_json_text(buf, "url", answer->url);
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY)
        cm_index_json_text(buf, "country", answer->country);
    cm_index_json_number(buf, "clicks", n->clicks);
    cm_index_json_number(buf, "unique_user_count", n->users);
    cm_index_json_average(buf, "average_time_spent", n->time_spent_sum, n->time_spent_count);
    cm_index_json_number(buf, "time_spent_sum", n->time_spent_sum);
    cm_index_json_number(buf, "time_spent_count", n->time_spent_count);
    cm_index_json_average(buf, "average_time_on_page", n->page_time_sum, n->page_time_count);
    cm_index_json_number(buf, "entrances", n->entrances);
    cm_index_json_number(buf, "exits", n->exits);
    cm_buf_add_char(buf, '}');
}
