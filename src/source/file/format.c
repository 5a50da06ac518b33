#include "source/file/format.h"

#include "source/file/accesslog.h"
#include "source/file/csv.h"
#include "source/file/format_unsupported.h"
#include "source/file/values.h"
#include "source/lines.h"

enum { LINES_MAX = 256 };

/* Takes the next line. False at the end, and before a line that may be cut. */
static bool next_line(cm_str_t *text, bool ended, unsigned lines, cm_str_t *line)
{
    const char *newline;

    while (text->len > 0 && text->data[0] == '\0') {
        text->data++;
        text->len--;
    }
    if (text->len == 0)
        return false;
    newline = memchr(text->data, '\n', text->len);
    if (newline == NULL && !ended && lines > 0)
        return false;
    size_t len = newline != NULL ? (size_t)(newline - text->data) + 1 : text->len;
    *line = cm_line_trim_end((cm_str_t){text->data, len});
    text->data += len;
    text->len -= len;
    return true;
}

static bool is_header(cm_str_t line, const cm_event_map_t *map)
{
    cm_csv_columns_t columns;
    cm_csv_record_t record = {0};
    size_t used;

    return cm_csv_split(line, true, &record, &used, NULL) == 1 &&
           cm_csv_header(&record, map, &columns, NULL) == 0;
}

/* The number of lines of each kind. The kind with most lines wins; between equal numbers, the kind
 * that came first. */
typedef struct votes {
    unsigned json, access, foreign;
    int first; /* 1, 2 or 3 in the order above; 0: none yet */
} votes_t;

static void vote(votes_t *votes, unsigned *count, int kind)
{
    (*count)++;
    if (votes->first == 0)
        votes->first = kind;
}

static void look_at(cm_str_t line, votes_t *votes, cm_format_found_t *found)
{
    cm_access_t access;
    const char *foreign = cm_format_unsupported_name(line);
    cm_err_t *why = found->lines == 0 ? &found->why : NULL;

    if (foreign != NULL) {
        if (found->foreign == NULL)
            found->foreign = foreign;
        vote(votes, &votes->foreign, 3);
    } else if (cm_str_trim(line).data[0] == '{') {
        vote(votes, &votes->json, 1);
    } else if (cm_accesslog_parse(line, false, &access, why) == 0) {
        found->hosts = found->hosts || access.host.len > 0;
        vote(votes, &votes->access, 2);
    }
    found->lines++;
}

/* Whether the file is JSON that is not one event a line. `line` is its first line, `text` the text
 * after it. */
static bool find_json(cm_str_t line, cm_str_t text, cm_format_found_t *found)
{
    cm_access_t access;

    /* An address in brackets is not an array. */
    if (!cm_values_recognise(line, text) || cm_accesslog_parse(line, false, &access, NULL) == 0)
        return false;
    cm_str_t all = {line.data, (size_t)(text.data + text.len - line.data)};
    const char *object = memchr(all.data, '{', all.len);
    if (object != NULL)
        found->foreign =
            cm_format_unsupported_name((cm_str_t){object, all.len - (size_t)(object - all.data)});
    found->format = found->foreign != NULL ? CM_FILE_AUTO : CM_FILE_JSON;
    found->json = found->foreign == NULL;
    return true;
}

/* Whether more must be read to distinguish an event that is cut from one that spans lines. */
static bool needs_more(cm_str_t line, cm_str_t text)
{
    return cm_str_trim(text).len == 0 && cm_str_trim(line).data[0] == '{' &&
           cm_values_recognise(line, CM_STR("\""));
}

static void decide(const votes_t *votes, cm_format_found_t *found)
{
    const unsigned counts[] = {0, votes->json, votes->access, votes->foreign};
    static const cm_file_format_t formats[] = {CM_FILE_AUTO, CM_FILE_JSONL, CM_FILE_COMBINED,
                                               CM_FILE_AUTO};
    int best = votes->first;

    for (int kind = 1; kind <= 3; kind++) {
        if (counts[kind] > counts[best])
            best = kind;
    }
    found->json = votes->json;
    found->access = votes->access;
    found->format = formats[best];
    if (best != 3)
        found->foreign = NULL;
}

void cm_format_find(cm_str_t text, bool ended, const cm_event_map_t *map, cm_format_found_t *found)
{
    votes_t votes = {0};
    cm_str_t line;

    *found = (cm_format_found_t){.format = CM_FILE_AUTO};
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        text.data += 3;
        text.len -= 3;
    }
    while (found->lines < LINES_MAX && next_line(&text, ended, found->lines, &line)) {
        if (cm_line_blank(line))
            continue;
        if (found->lines == 0 &&
            (find_json(line, text, found) || (!ended && needs_more(line, text)))) {
            found->lines = 1;
            return;
        }
        if (found->lines == 0 && cm_str_trim(line).data[0] != '{' && is_header(line, map)) {
            found->format = CM_FILE_CSV;
            found->lines = 1;
            return;
        }
        look_at(line, &votes, found);
    }
    decide(&votes, found);
    if (found->lines == 0)
        found->format = CM_FILE_JSONL;
}
