/* Permanent decisions of a data directory: short texts by name, in the table `setting`. A directory
 * of an earlier edition has no such table until something is set. One thread, that of the
 * connection. */
#ifndef CM_STORE_EMBEDDED_SETTING_H
#define CM_STORE_EMBEDDED_SETTING_H

#include "base/str.h"
#include "store/embedded/database.h"

enum { CM_SETTING_TEXT = 32 };

/* How row keys of access logs are made: "site", or as the first edition did, "request". */
#define CM_SETTING_LOG_KEYS "log_row_key"
/* "1": the user was told that this directory keeps the older way. */
#define CM_SETTING_LOG_KEYS_SAID "log_row_key_said"

/* "daily": there are user ids that are valid for one UTC day (cm_store_set_daily()). */
#define CM_SETTING_VISITORS "visitors"
/* The same of the answers, as far as the configuration says it: "daily", or "users" where all
 * events are of one UTC day (index/embedded/embedded.h). */
#define CM_SETTING_ANSWERS_VISITORS "answers_visitors"

/* Before a host of the site, as in "site_shop.example": "1" (cm_store_add_site()). */
#define CM_SETTING_SITE "site_"

/* Not empty: a writer has crashed, and the answers were not checked since then. */
#define CM_SETTING_CRASHED "crashed"

/* Before a window's name: what is known about the copies that its answers cover, "equal" or
 * "differ" (index/embedded/embedded.h); answers of an earlier edition have none. */
#define CM_SETTING_COPIES "copies_"

/* "1": all events came before optional fields were read, and the user was not told that they are
 * read now. Recorded when a store of format 1 that has events is changed. */
#define CM_SETTING_WITHOUT_EXTRA "without_extra"

/* Made with the tables of a new directory. */
#define CM_SETTING_TABLE                                                                           \
    "CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT "     \
    "ROWID;\n"
#define CM_SETTING_NEW_STORE "INSERT INTO setting VALUES ('" CM_SETTING_LOG_KEYS "', 'site');\n"

/* The text, empty when it was not set. */
int cm_setting_get(const cm_database_t *database, const char *name, char value[CM_SETTING_TEXT],
                   cm_err_t *err);

/* Appends the names that begin with `prefix`, in the order of bytes, each with its NUL. */
int cm_setting_names(const cm_database_t *database, const char *prefix, cm_buf_t *names,
                     cm_err_t *err);

int cm_setting_set(const cm_database_t *database, const char *name, const char *value,
                   cm_err_t *err);

#endif
