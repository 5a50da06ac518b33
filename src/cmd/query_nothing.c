/* What `query` prints when it has found nothing. */
#include "cmd/query_nearest.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/terminal.h"
#include "cmd/next.h"

#include <stdlib.h>

enum {
    NAMES_MOST = 20000, /* that are compared, those with most clicks */
    SHOWN_BYTES = 200,
    LISTED = 3, /* countries that are said where none is near */
};

/* ---- what the answers have ---- */

typedef struct found {
    bool urls; /* else countries */
    cm_str_t *names;
    size_t count, cap;
    int64_t first; /* ms; start of the first window */
    cm_arena_t arena;
} found_t;

static int take(void *context, const cm_answer_t *answer)
{
    found_t *found = context;

    if (found->count == found->cap) {
        found->cap = found->cap > 0 ? found->cap * 2 : 256;
        found->names = cm_realloc(found->names, found->cap * sizeof *found->names);
    }
    if (found->count == 0)
        found->first = answer->window_start;
    found->names[found->count++] =
        cm_arena_copy(&found->arena, found->urls ? answer->url : answer->country);
    return 0;
}

static void found_free(found_t *found)
{
    free(found->names);
    cm_arena_free(&found->arena);
}

/* What there is of one kind, those with most clicks first. */
static int find_names(cm_app_t *app, cm_index_t *index, cm_window_t window, found_t *found)
{
    const cm_index_query_t all = {.dimension = found->urls ? CM_PER_URL : CM_PER_COUNTRY,
                                  .window = window,
                                  .sort = CM_SORT_CLICKS,
                                  .limit = NAMES_MOST};

    return cm_index_query(index, &all, take, found, &app->err);
}

/* Whether there is anything for one condition of the query alone. */
static int has_any(cm_app_t *app, cm_index_t *index, cm_window_t window, const char *url,
                   const char *country, bool *has)
{
    const cm_index_query_t one = {.dimension = url != NULL ? CM_PER_URL : CM_PER_COUNTRY,
                                  .window = window,
                                  .url = url,
                                  .country = country,
                                  .limit = 1};
    found_t found = {.urls = true};

    int rc = cm_index_query(index, &one, take, &found, &app->err);
    *has = found.count > 0;
    found_free(&found);
    return rc;
}

/* ---- what is said ---- */

static void add_shown(cm_buf_t *line, cm_str_t text)
{
    cm_terminal_add(line, (cm_str_t){text.data, (size_t)cm_utf8_head(text, SHOWN_BYTES)});
}

static int add_nearest(cm_app_t *app, cm_index_t *index, cm_window_t window, const char *asked,
                       bool urls, cm_buf_t *line)
{
    found_t found = {.urls = urls};

    int rc = find_names(app, index, window, &found);
    const cm_str_t *nearest =
        rc == 0 ? cm_query_nearest(asked, found.names, found.count, !urls) : NULL;
    cm_buf_add_text(line, urls ? "no page is \"" : "no click is from \"");
    add_shown(line, cm_str(asked));
    cm_buf_add_text(line, "\"; ");
    if (nearest != NULL) {
        cm_buf_add_text(line, urls ? "try --url " : "try --country ");
        cm_next_add_word(line, *nearest);
    } else {
        cm_buf_add_text(line, "most clicks are ");
        for (size_t i = 0; i < found.count && i < (urls ? 1 : LISTED); i++) {
            cm_buf_add_text(line, i > 0 ? ", " : urls ? "on " : "from ");
            add_shown(line, found.names[i]);
        }
    }
    found_free(&found);
    return rc;
}

/* A span in which there is nothing of what is asked for, which there is at another time. */
static int add_span(cm_app_t *app, cm_index_t *index, const cm_index_query_t *query, cm_buf_t *line)
{
    cm_index_query_t windows = {.dimension = CM_PER_NOTHING,
                                .window = query->window,
                                .from = query->from,
                                .to = query->to,
                                .sort = CM_SORT_WINDOW,
                                .limit = 1};
    char first[CM_TIME_TEXT], last[CM_TIME_TEXT];
    found_t inside = {0}, oldest = {0}, newest = {0};

    int rc = cm_index_query(index, &windows, take, &inside, &app->err);
    windows.from = windows.to = 0;
    if (rc == 0)
        rc = cm_index_query(index, &windows, take, &oldest, &app->err);
    windows.reverse = true;
    if (rc == 0)
        rc = cm_index_query(index, &windows, take, &newest, &app->err);
    if (inside.count > 0)
        cm_buf_add_text(line, "there are clicks in this span, and such ones at another time");
    else
        cm_buf_printf(line,
                      "no clicks are in this span; the first %s begins at %s, the last one at %s",
                      cm_index_window_names[query->window], cm_time_format(oldest.first, first),
                      cm_time_format(newest.first, last));
    found_free(&inside);
    found_free(&oldest);
    found_free(&newest);
    return rc;
}

static int add_reason(cm_app_t *app, cm_index_t *index, const cm_index_query_t *query,
                      cm_buf_t *line)
{
    cm_freshness_t all;
    bool url = true, country = true;

    int rc = cm_index_freshness(index, CM_WINDOW_ALL, &all, &app->err);
    const cm_window_t window = all.present ? CM_WINDOW_ALL : query->window;
    if (rc == 0 && query->country != NULL)
        rc = has_any(app, index, window, NULL, query->country, &country);
    if (rc == 0 && query->url != NULL)
        rc = has_any(app, index, window, query->url, NULL, &url);
    if (rc < 0)
        return rc;
    if (!country)
        return add_nearest(app, index, window, query->country, false, line);
    if (!url)
        return add_nearest(app, index, window, query->url, true, line);
    if (query->from > 0 || query->to > 0)
        return add_span(app, index, query, line);
    cm_buf_add_text(line, "there are such pages and clicks from this country, but not together");
    return 0;
}

int cm_query_say_nothing(cm_app_t *app, cm_index_t *index, const cm_index_query_t *query)
{
    cm_buf_t line = CM_BUF_INIT;

    int rc = add_reason(app, index, query, &line);
    if (rc == 0)
        fprintf(app->messages, "nothing found: %s\n", line.data);
    cm_buf_free(&line);
    return rc;
}
