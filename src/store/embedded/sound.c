#include "store/embedded/sound.h"

#include "store/embedded/database.h"

#include <stdio.h>
#include <string.h>

enum {
    CHECK_STEPS = 100000 /* steps of SQLite's virtual machine */
};

const char *const cm_sound_names[CM_SOUND_TABLES] = {"block", "dictionary", "source", "dead",
                                                     "setting"};

static int check_stop(void *context)
{
    const atomic_bool *stop = context;

    return atomic_load(stop);
}

static bool says_ok(const cm_database_t *database, const char *sql)
{
    sqlite3_stmt *select;

    if (sqlite3_prepare_v2(database->db, sql, -1, &select, NULL) != SQLITE_OK)
        return false;
    const char *text =
        sqlite3_step(select) == SQLITE_ROW ? (const char *)sqlite3_column_text(select, 0) : NULL;
    const bool ok = text != NULL && strcmp(text, "ok") == 0;
    sqlite3_finalize(select);
    return ok;
}

static bool is_sound(const cm_database_t *database, const char *table)
{
    char sql[60];
    bool there;

    if (cm_database_has(database, table, &there, NULL) < 0)
        return false;
    if (!there) /* the first editions had no settings */
        return strcmp(table, "setting") == 0;
    snprintf(sql, sizeof sql, "PRAGMA quick_check(%s)", table);
    return says_ok(database, sql);
}

unsigned cm_sound_check(const char *data_dir, const atomic_bool *stop)
{
    cm_database_t database;
    unsigned unsound = 0;

    const bool opens = cm_database_open_aside(data_dir, &database, NULL) == 0;
    if (opens && stop != NULL)
        sqlite3_progress_handler(database.db, CHECK_STEPS, check_stop, (void *)(uintptr_t)stop);
    for (unsigned i = 0; i < CM_SOUND_TABLES; i++) {
        if (!opens || !is_sound(&database, cm_sound_names[i]))
            unsound |= 1u << i;
    }
    if (opens)
        cm_database_close(&database);
    return unsound;
}
