#include "cmd/query_nearest.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/nearest.h"
#include "base/terminal.h"
#include "cmd/next.h"
#include "enrich/countries.h"

#include <fnmatch.h>
#include <stdlib.h>

enum {
    NAMES_MOST = 20000, /* that are compared, those with most clicks */
    SHOWN_BYTES = 200,
    LISTED = 3, /* countries that are said where none is near */
};

/* ---- words ---- */

/* Lower case for Latin letters of one and two bytes: what names of countries have. */
static char *fold(cm_arena_t *arena, cm_str_t text)
{
    char *folded = cm_arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool after_c3 = i > 0 && (unsigned char)text.data[i - 1] == 0xC3;
        bool upper = (c >= 'A' && c <= 'Z') || (after_c3 && c >= 0x80 && c <= 0x9E && c != 0x97);
        folded[i] = (char)(upper ? c + 0x20 : c);
    }
    folded[text.len] = '\0';
    return folded;
}

/* "uae" of "united arab emirates". */
static bool is_initials(const char *word, const char *name)
{
    size_t count = strlen(word), at = 0;
    bool begins = true;

    for (; *name != '\0'; name++) {
        if (begins && *name != ' ') {
            if (at >= count || word[at] != *name)
                return false;
            at++;
        }
        begins = *name == ' ';
    }
    return at == count && count > 1;
}

/* How a name answers to a word, the smaller the better; 0: not at all. */
typedef enum kinship {
    KIN_NONE,
    KIN_SAME,
    KIN_CODE,
    KIN_END,
    KIN_PART,
} kinship_t;

typedef struct wanted {
    char *word;     /* folded; where it is a pattern, the longest part without wildcards */
    char *pattern;  /* folded; NULL: it is none */
    char *by_code;  /* the folded name of the country that the word is the code of; NULL: none */
    bool countries; /* initials count */
} wanted_t;

static kinship_t kinship_of(const wanted_t *wanted, const char *name)
{
    const size_t len = strlen(wanted->word), name_len = strlen(name);

    if (strcmp(wanted->word, name) == 0 ||
        (wanted->pattern != NULL && fnmatch(wanted->pattern, name, FNM_NOESCAPE) == 0))
        return KIN_SAME;
    if (wanted->countries && ((wanted->by_code != NULL && strcmp(wanted->by_code, name) == 0) ||
                              is_initials(wanted->word, name)))
        return KIN_CODE;
    if (len < 3 || len > name_len)
        return KIN_NONE;
    if (strcmp(name + name_len - len, wanted->word) == 0)
        return KIN_END;
    return strstr(name, wanted->word) != NULL ? KIN_PART : KIN_NONE;
}

/* The longest run without wildcards. */
static char *literal_of(cm_arena_t *arena, const char *pattern)
{
    cm_str_t longest = {pattern, 0};

    for (const char *at = pattern; *at != '\0'; at += strspn(at, "*?")) {
        size_t len = strcspn(at, "*?");
        if (len > longest.len)
            longest = (cm_str_t){at, len};
        at += len;
    }
    return fold(arena, longest);
}

/* In the pattern of fnmatch() a bracket would begin a class. */
static char *pattern_of(cm_arena_t *arena, const char *word)
{
    cm_buf_t escaped = CM_BUF_INIT;

    for (; *word != '\0'; word++) {
        if (*word == '[')
            cm_buf_add_text(&escaped, "[[]");
        else
            cm_buf_add_char(&escaped, *word);
    }
    char *folded = fold(arena, (cm_str_t){escaped.data, escaped.len});
    cm_buf_free(&escaped);
    return folded;
}

static wanted_t want(cm_arena_t *arena, const char *word, bool countries)
{
    wanted_t wanted = {.countries = countries};
    cm_str_t code = strcasecmp(word, "usa") == 0 ? CM_STR("us") : cm_str(word);
    cm_str_t name = countries ? cm_country_name(code) : (cm_str_t){"", 0};

    if (name.len > 0)
        wanted.by_code = fold(arena, name);
    if (!countries && strpbrk(word, "*?") != NULL) {
        wanted.pattern = pattern_of(arena, word);
        wanted.word = literal_of(arena, word);
    } else {
        wanted.word = fold(arena, cm_str(word));
    }
    return wanted;
}

const cm_str_t *cm_query_nearest(const char *word, const cm_str_t *names, size_t count,
                                 bool countries)
{
    cm_arena_t arena = CM_ARENA_INIT;
    const wanted_t wanted = want(&arena, word, countries);
    const char **folded = cm_alloc((count + 1) * sizeof *folded);
    const cm_str_t *best = NULL;
    kinship_t best_kinship = KIN_NONE;

    for (size_t i = 0; i < count; i++) {
        folded[i] = fold(&arena, names[i]);
        kinship_t kinship = kinship_of(&wanted, folded[i]);
        if (kinship != KIN_NONE && (best == NULL || kinship < best_kinship)) {
            best = &names[i];
            best_kinship = kinship;
        }
    }
    folded[count] = NULL;
    const char *near = best == NULL ? cm_nearest(wanted.word, folded) : NULL;
    for (size_t i = 0; near != NULL && best == NULL; i++)
        best = folded[i] == near ? &names[i] : NULL;
    free(folded);
    cm_arena_free(&arena);
    return best;
}

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
