#include "ask_support.h"

cm_question_t test_question(const char *by, const char *where, const char *where_visit)
{
    const char *const wheres[] = {where, NULL}, *const visits[] = {where_visit, NULL};
    const cm_question_text_t text = {.by = by,
                                     .measures = "all",
                                     .where = where != NULL ? wheres : NULL,
                                     .where_visit = where_visit != NULL ? visits : NULL,
                                     .now = 1767571200000};
    cm_question_t made;
    cm_err_t err;

    assert_ok(cm_question_parse(&text, &made, &err), err);
    return made;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

cm_buf_t test_groups(const cm_groups_t *groups)
{
    const size_t count = cm_groups_count(groups);
    char **lines = malloc((count + 1) * sizeof *lines);
    cm_buf_t all = CM_BUF_INIT;
    cm_arena_t arena = CM_ARENA_INIT;

    for (size_t i = 0; i <= count; i++) {
        const cm_group_t group = i < count ? cm_groups_at(groups, i) : cm_groups_total(groups);
        cm_buf_t line = CM_BUF_INIT;
        for (size_t dim = 0; i < count && dim < cm_groups_dims(groups); dim++) {
            cm_buf_add_str(&line, cm_groups_string(groups, dim, group.key[dim], &arena));
            cm_buf_add_char(&line, '|');
        }
        for (int counter = 0; counter < CM_COUNTER_COUNT; counter++)
            cm_buf_printf(&line, "%lld ", (long long)group.counters[counter]);
        lines[i] = line.data;
    }
    qsort(lines, count, sizeof *lines, compare);
    for (size_t i = 0; i <= count; i++) {
        cm_buf_add_text(&all, lines[i]);
        cm_buf_add_char(&all, '\n');
        free(lines[i]);
    }
    free(lines);
    cm_arena_free(&arena);
    return all;
}
