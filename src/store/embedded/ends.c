#include "store/embedded/ends.h"

int cm_ends_prepare(const cm_database_t *database, sqlite3_stmt **select, cm_err_t *err)
{
    cm_buf_t sql = CM_BUF_INIT;

    cm_buf_add_text(&sql, "SELECT (SELECT first + count FROM block ORDER BY first DESC LIMIT 1)");
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_buf_printf(&sql,
                      ", (SELECT first + count FROM dictionary WHERE field = %d ORDER BY first "
                      "DESC LIMIT 1)",
                      field);
    int rc = cm_database_prepare(database, sql.data, select, err);
    cm_buf_free(&sql);
    return rc;
}

int cm_ends_check(const cm_database_t *database, sqlite3_stmt *select, const cm_ends_t *expected,
                  cm_err_t *err)
{
    int rc = 0;

    if (sqlite3_step(select) != SQLITE_ROW) {
        rc = cm_database_fail(database, "reading the store", err);
    } else {
        bool same = sqlite3_column_int64(select, 0) == expected->events;
        for (int field = 0; field < CM_FIELD_COUNT; field++)
            same = same && sqlite3_column_int64(select, 1 + field) == expected->strings[field];
        if (!same)
            rc = cm_ends_fail(database, err);
    }
    sqlite3_reset(select);
    return rc;
}

int cm_ends_fail(const cm_database_t *database, cm_err_t *err)
{
    return cm_fail(err, CM_EBUSY,
                   "another process has written to %s though this one holds it; nothing more is "
                   "stored: stop the other one and start this one again",
                   database->path);
}
