#include "store/embedded/setting.h"

#include <stdio.h>

/* A directory of an earlier edition may have none. */
static int has_table(const cm_database_t *database, int64_t *tables, cm_err_t *err)
{
    return cm_database_int(database, "SELECT count(*) FROM sqlite_master WHERE name = 'setting'", 0,
                           tables, err);
}

int cm_setting_get(const cm_database_t *database, const char *name, char value[CM_SETTING_TEXT],
                   cm_err_t *err)
{
    sqlite3_stmt *select;
    int64_t tables;

    value[0] = '\0';
    int rc = has_table(database, &tables, err);
    if (rc < 0 || tables == 0)
        return rc;
    rc = cm_database_prepare(database, "SELECT value FROM setting WHERE name = ?", &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, name, -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    if (step == SQLITE_ROW)
        snprintf(value, CM_SETTING_TEXT, "%s", (const char *)sqlite3_column_text(select, 0));
    else if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading a setting", err);
    sqlite3_finalize(select);
    return rc;
}

int cm_setting_names(const cm_database_t *database, const char *prefix, cm_buf_t *names,
                     cm_err_t *err)
{
    sqlite3_stmt *select;
    int64_t tables;
    int step;

    int rc = has_table(database, &tables, err);
    if (rc < 0 || tables == 0)
        return rc;
    rc = cm_database_prepare(
        database, "SELECT name FROM setting WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, prefix, -1, SQLITE_STATIC);
    while ((step = sqlite3_step(select)) == SQLITE_ROW)
        cm_buf_add(names, sqlite3_column_text(select, 0),
                   (size_t)sqlite3_column_bytes(select, 0) + 1);
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading settings", err);
    sqlite3_finalize(select);
    return rc;
}

int cm_setting_set(const cm_database_t *database, const char *name, const char *value,
                   cm_err_t *err)
{
    sqlite3_stmt *insert;

    int rc = cm_database_exec(database, CM_SETTING_TABLE, "writing a setting", err);
    if (rc == 0)
        rc = cm_database_prepare(database, "INSERT OR REPLACE INTO setting VALUES (?, ?)", &insert,
                                 err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(insert, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, value, -1, SQLITE_STATIC);
    rc = cm_database_step(database, insert, "writing a setting", err);
    sqlite3_finalize(insert);
    return rc;
}
