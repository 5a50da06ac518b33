#include "index/embedded/checked.h"

#include "base/clock.h"

#include <stdlib.h>

#define VALID_NS (INT64_C(60) * 1000000000)

enum { FEW = 8 }; /* groups that are checked separately */

/* Starts whose groups changed since they were checked. */
typedef struct changed {
    int64_t starts[FEW];
    size_t count; /* more than FEW: too many */
} changed_t;

static void add_changed(changed_t *changed, int64_t start)
{
    if (changed->count < FEW)
        changed->starts[changed->count] = start;
    changed->count++;
}

/* Compares the next checked groups with a group that the table has now. */
static void compare_group(const cm_checked_t *checked, size_t *at, const cm_check_group_t *group,
                          int64_t now, changed_t *changed)
{
    while (*at < checked->count && checked->groups[*at].group.start < group->start)
        add_changed(changed, checked->groups[(*at)++].group.start); /* gone */
    const cm_checked_group_t *known = *at < checked->count ? &checked->groups[*at] : NULL;
    if (known == NULL || known->group.start != group->start) {
        add_changed(changed, group->start);
        return;
    }
    ++*at;
    if (known->group.rows != group->rows || known->group.sum != group->sum ||
        now - known->checked_ns > VALID_NS)
        add_changed(changed, group->start);
}

static int find_changed(const cm_checked_t *checked, const cm_database_t *database,
                        cm_window_t window, cm_dimension_t dimension, int64_t from, int64_t to,
                        changed_t *changed, cm_err_t *err)
{
    const int64_t now = cm_clock_ticks_ns();
    sqlite3_stmt *select;
    size_t at = 0;
    int step = SQLITE_DONE;

    int rc = cm_database_prepare(database,
                                 "SELECT start, rows, sum FROM checksum WHERE window = ?1 AND "
                                 "dimension = ?2 AND start BETWEEN ?3 AND ?4 ORDER BY start",
                                 &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int(select, 1, (int)window);
    sqlite3_bind_int(select, 2, (int)dimension);
    sqlite3_bind_int64(select, 3, from);
    sqlite3_bind_int64(select, 4, to);
    while (at < checked->count && checked->groups[at].group.start < from)
        at++;
    while (changed->count <= FEW && (step = sqlite3_step(select)) == SQLITE_ROW) {
        const cm_check_group_t group = {.start = sqlite3_column_int64(select, 0),
                                        .rows = sqlite3_column_int64(select, 1),
                                        .sum = (uint64_t)sqlite3_column_int64(select, 2)};
        compare_group(checked, &at, &group, now, changed);
    }
    for (; at < checked->count && checked->groups[at].group.start <= to; at++)
        add_changed(changed, checked->groups[at].group.start);
    if (changed->count <= FEW && step != SQLITE_DONE)
        rc = cm_check_fail_sqlite(database, "reading the answers", err);
    sqlite3_finalize(select);
    return rc;
}

int cm_checked_fresh(cm_checked_t *checked, const cm_database_t *database, cm_window_t window,
                     cm_dimension_t dimension, int64_t from, int64_t to, bool *fresh, cm_err_t *err)
{
    changed_t changed = {.count = 0};

    *fresh = false;
    if (checked->count == 0)
        return 0;
    int rc = find_changed(checked, database, window, dimension, from, to, &changed, err);
    /* This number is only small in comparison with many groups. */
    if (rc < 0 || changed.count > FEW || changed.count * 4 > checked->count)
        return rc;
    for (size_t i = 0; rc == 0 && i < changed.count; i++) {
        cm_check_scan_t scan = {0};
        const int64_t start = changed.starts[i];
        rc = cm_check_start(database, &scan, window, dimension, start, err);
        if (rc == 0)
            cm_checked_note(checked, &scan, start, start);
        cm_check_scan_free(&scan);
    }
    *fresh = rc == 0;
    return rc;
}

void cm_checked_note(cm_checked_t *checked, const cm_check_scan_t *scan, int64_t from, int64_t to)
{
    const cm_checked_t old = *checked;
    const int64_t now = cm_clock_ticks_ns();
    size_t at = 0, count = 0;

    cm_checked_group_t *groups = cm_alloc((old.count + scan->count + 1) * sizeof *groups);
    for (; at < old.count && old.groups[at].group.start < from; at++)
        groups[count++] = old.groups[at];
    for (size_t i = 0; i < scan->count; i++)
        groups[count++] = (cm_checked_group_t){scan->groups[i], now};
    for (; at < old.count; at++) {
        if (old.groups[at].group.start > to)
            groups[count++] = old.groups[at];
    }
    free(old.groups);
    *checked = (cm_checked_t){groups, count};
}

void cm_checked_free(cm_checked_t *checked)
{
    free(checked->groups);
    *checked = (cm_checked_t){0};
}
