#include "store/embedded/internal.h"

#include "store/embedded/dead.h"
#include "store/embedded/setting.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- positions, the secret ---- */

static int get_position(cm_store_t *store, const char *source, int64_t *position, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;
    sqlite3_stmt *select;

    int rc = cm_database_prepare(&self->database, "SELECT position FROM source WHERE name = ?",
                                 &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, source, -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    *position = step == SQLITE_ROW ? sqlite3_column_int64(select, 0) : 0;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = cm_database_fail(&self->database, "reading a source's position", err);
    sqlite3_finalize(select);
    return rc;
}

static int get_secret(cm_store_t *store, uint8_t secret[CM_KEY], cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;

    int rc =
        self->has_secret ? 0 : cm_key_read(&self->database, self->secret, &self->has_secret, err);
    if (rc == 0 && !self->has_secret) {
        rc = cm_key_make(&self->database, self->secret, err);
        self->has_secret = rc == 0;
    }
    if (rc == 0)
        memcpy(secret, self->secret, CM_KEY);
    return rc;
}

int cm_store_embedded_secret_of(const char *data_dir, uint8_t secret[CM_KEY], cm_err_t *err)
{
    cm_database_t database;
    cm_store_t *store;
    bool found = false;

    if (cm_database_open_read(data_dir, &database, err) == 0) {
        int rc = cm_key_read(&database, secret, &found, err);
        cm_database_close(&database);
        if (rc < 0 || found)
            return rc;
    }
    int rc = cm_store_embedded_open(data_dir, NULL, &store, err);
    if (rc < 0)
        return rc;
    rc = get_secret(store, secret, err);
    cm_sink_close(&store->sink);
    return rc;
}

/* ---- ids of visitors that live for one day ---- */

static int set_daily(cm_store_t *store, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;

    int rc = cm_store_embedded_begin(self, err);
    if (rc == 0)
        rc = cm_setting_set(&self->database, CM_SETTING_VISITORS, "daily", err);
    return rc < 0 ? cm_store_embedded_give_up(self, rc, err) : 0;
}

int cm_store_embedded_daily(const cm_database_t *database, bool *daily, cm_err_t *err)
{
    char value[CM_SETTING_TEXT];

    int rc = cm_setting_get(database, CM_SETTING_VISITORS, value, err);
    *daily = strcmp(value, "daily") == 0;
    return rc;
}

static int get_daily(cm_store_t *store, bool *daily, cm_err_t *err)
{
    return cm_store_embedded_daily(cm_store_embedded_database(store), daily, err);
}

int cm_store_embedded_several_days(const cm_database_t *database, bool *several, cm_err_t *err)
{
    int64_t value = 0;

    int rc = cm_database_int(
        database, "SELECT max(time_max) / 86400000 > min(time_min) / 86400000 FROM block", 0,
        &value, err);
    *several = value != 0;
    return rc;
}

/* ---- row keys of access logs ---- */

/* Reads whether the directory has recorded how row keys are made, or has a key of its visitors
 * instead. */
static int read_log_keys(const cm_database_t *database, bool *recorded, bool *older, cm_err_t *err)
{
    char value[CM_SETTING_TEXT];
    uint8_t secret[CM_KEY];

    int rc = cm_setting_get(database, CM_SETTING_LOG_KEYS, value, err);
    *recorded = value[0] != '\0';
    *older = strcmp(value, "request") == 0;
    return rc < 0 || *recorded ? rc : cm_key_read(database, secret, older, err);
}

static int older_keys(cm_store_t *store, bool *older, cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(store);
    bool recorded;

    int rc = read_log_keys(database, &recorded, older, err);
    if (rc < 0 || recorded)
        return rc;
    return cm_setting_set(database, CM_SETTING_LOG_KEYS, *older ? "request" : "site", err);
}

static int older_keys_told(cm_store_t *store, bool *told, cm_err_t *err)
{
    char value[CM_SETTING_TEXT];

    int rc =
        cm_setting_get(cm_store_embedded_database(store), CM_SETTING_LOG_KEYS_SAID, value, err);
    *told = value[0] != '\0';
    return rc;
}

static int tell_older_keys(cm_store_t *store, cm_err_t *err)
{
    return cm_setting_set(cm_store_embedded_database(store), CM_SETTING_LOG_KEYS_SAID, "1", err);
}

static int add_site(cm_store_t *store, const char *host, cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(store);
    char value[CM_SETTING_TEXT];
    cm_buf_t name = CM_BUF_INIT;

    cm_buf_printf(&name, CM_SETTING_SITE "%s", host);
    int rc = cm_setting_get(database, name.data, value, err);
    if (rc == 0 && value[0] == '\0')
        rc = cm_setting_set(database, name.data, "1", err);
    cm_buf_free(&name);
    return rc;
}

static int sites(const cm_database_t *database, cm_buf_t *hosts, cm_err_t *err)
{
    const size_t before = strlen(CM_SETTING_SITE);
    cm_buf_t names = CM_BUF_INIT;

    int rc = cm_setting_names(database, CM_SETTING_SITE, &names, err);
    for (const char *name = names.data; rc == 0 && name != NULL && name < names.data + names.len;
         name += strlen(name) + 1) {
        cm_buf_add_text(hosts, hosts->len > 0 ? "," : "");
        cm_buf_add_text(hosts, name + before);
    }
    cm_buf_free(&names);
    return rc;
}

static int get_sites(cm_store_t *store, cm_buf_t *hosts, cm_err_t *err)
{
    return sites(cm_store_embedded_database(store), hosts, err);
}

int cm_store_embedded_older_keys_of(const char *data_dir, bool *older, cm_err_t *err)
{
    cm_database_t database;
    cm_store_t *store;
    bool recorded = false;

    if (cm_database_open_read(data_dir, &database, err) == 0) {
        int rc = read_log_keys(&database, &recorded, older, err);
        cm_database_close(&database);
        if (rc < 0 || recorded || *older)
            return rc;
    }
    int rc = cm_store_embedded_open(data_dir, NULL, &store, err);
    if (rc < 0)
        return rc;
    rc = older_keys(store, older, err);
    cm_sink_close(&store->sink);
    return rc;
}

/* ---- other processes ---- */

static int put_for(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    return cm_store_embedded_put(context, batch, err);
}

static int position_for(void *context, const char *source, int64_t *position, cm_err_t *err)
{
    return get_position(context, source, position, err);
}

static int keys_for(void *context, cm_holder_keys_t *keys, cm_err_t *err)
{
    int rc = older_keys(context, &keys->older, err);
    if (rc == 0)
        rc = older_keys_told(context, &keys->older_told, err);
    return rc == 0 ? get_secret(context, keys->secret, err) : rc;
}

static int tell_older_for(void *context, cm_err_t *err)
{
    return tell_older_keys(context, err);
}

static int add_site_for(void *context, const char *host, cm_err_t *err)
{
    return add_site(context, host, err);
}

static void share(cm_store_t *store, bool answers, const cm_log_t *log)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;
    const cm_holder_store_t of_ours = {self,     put_for,        position_for,
                                       keys_for, tell_older_for, add_site_for};
    cm_err_t err;

    if (cm_holder_open(self->data_dir, &of_ours, answers, &self->holder, &err) < 0)
        cm_log(log, CM_LOG_INFO, "no import while this runs", "reason=\"%s\"", err.text);
}

static int forget_letter(cm_store_t *store, int64_t id, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;
    sqlite3_stmt *remove;

    int rc = cm_store_embedded_begin(self, err);
    if (rc < 0 || (rc = cm_database_prepare(&self->database, "DELETE FROM dead WHERE id = ?",
                                            &remove, err)) < 0)
        return rc;
    sqlite3_bind_int64(remove, 1, id);
    rc = cm_database_step(&self->database, remove, "removing a dead letter", err);
    sqlite3_finalize(remove);
    return rc;
}

static int each_letter(cm_store_t *store, int64_t id, int64_t limit, cm_store_letter_fn take,
                       void *context, cm_err_t *err)
{
    return cm_store_embedded_each_letter(cm_store_embedded_database(store), id, limit, take,
                                         context, err);
}

static int64_t get_size(const cm_store_t *store)
{
    return cm_database_size(&((const cm_store_embedded_t *)store)->database);
}

const cm_store_directory_ops_t cm_store_embedded_directory = {.position = get_position,
                                                              .secret = get_secret,
                                                              .older_keys = older_keys,
                                                              .older_keys_told = older_keys_told,
                                                              .tell_older_keys = tell_older_keys,
                                                              .add_site = add_site,
                                                              .sites = get_sites,
                                                              .set_daily = set_daily,
                                                              .daily = get_daily,
                                                              .share = share,
                                                              .size = get_size,
                                                              .each_letter = each_letter,
                                                              .forget_letter = forget_letter};

/* ---- for reading only ---- */

/* A data directory that is open only for reading. Its connection is used for dead letters; each
 * reader has its own connection. */
typedef struct read_store {
    cm_store_t store; /* first */
    char *data_dir;
    cm_database_t database;
    cm_buf_t identity;
} read_store_t;

static int read_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    return cm_store_embedded_open_reader(((read_store_t *)store)->data_dir, reader, err);
}

static int read_letters(cm_store_t *store, int64_t id, int64_t limit, cm_store_letter_fn take,
                        void *context, cm_err_t *err)
{
    return cm_store_embedded_each_letter(&((read_store_t *)store)->database, id, limit, take,
                                         context, err);
}

static int read_daily(cm_store_t *store, bool *daily, cm_err_t *err)
{
    return cm_store_embedded_daily(&((read_store_t *)store)->database, daily, err);
}

static int read_sites(cm_store_t *store, cm_buf_t *hosts, cm_err_t *err)
{
    return sites(&((read_store_t *)store)->database, hosts, err);
}

static void read_identity(const cm_store_t *store, cm_buf_t *text)
{
    const cm_buf_t *identity = &((const read_store_t *)store)->identity;

    cm_buf_add(text, identity->data, identity->len);
}

/* The file, and when it was made: the number of a deleted file is used again. */
static void find_identity(const char *data_dir, cm_buf_t *identity)
{
    struct statx info;
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%s/clickmill.db", data_dir);
    if (statx(AT_FDCWD, path.data, 0, STATX_INO | STATX_BTIME, &info) == 0) {
        const bool born = (info.stx_mask & STATX_BTIME) != 0; /* not all file systems know it */
        cm_buf_printf(identity, "%u %u %llu %lld %u", info.stx_dev_major, info.stx_dev_minor,
                      (unsigned long long)info.stx_ino, born ? (long long)info.stx_btime.tv_sec : 0,
                      born ? info.stx_btime.tv_nsec : 0);
    }
    cm_buf_free(&path);
}

static void read_close(cm_sink_t *sink)
{
    read_store_t *self = (read_store_t *)sink;

    cm_database_close(&self->database);
    cm_buf_free(&self->identity);
    free(self->data_dir);
    free(self);
}

int cm_store_embedded_open_read(const char *data_dir, cm_store_t **store, cm_err_t *err)
{
    static const cm_sink_ops_t sink_ops = {.close = read_close};
    static const cm_store_directory_ops_t directory = {.sites = read_sites,
                                                       .daily = read_daily,
                                                       .each_letter = read_letters,
                                                       .identity = read_identity};
    static const cm_store_ops_t store_ops = {.reader = read_reader, .directory = &directory};
    cm_database_t database;
    cm_buf_t identity = CM_BUF_INIT;

    find_identity(data_dir, &identity); /* first: a file that comes later has another one */
    int rc = cm_database_open_read(data_dir, &database, err);
    if (rc < 0) {
        cm_buf_free(&identity);
        return rc;
    }
    read_store_t *self = cm_alloc_zero(1, sizeof *self);
    *self = (read_store_t){.store = {.sink = {&sink_ops}, .ops = &store_ops},
                           .data_dir = cm_strdup(data_dir),
                           .database = database,
                           .identity = identity};
    *store = &self->store;
    return 0;
}
