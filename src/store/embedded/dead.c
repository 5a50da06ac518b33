#include "store/embedded/dead.h"

#include "store/embedded/key.h"
#include "store/embedded/seal.h"

static cm_str_t column(sqlite3_stmt *select, int at)
{
    const void *bytes = sqlite3_column_blob(select, at);
    return (cm_str_t){bytes ? bytes : "", (size_t)sqlite3_column_bytes(select, at)};
}

/* The payload in clear. A sealed payload is opened into `plain`, and the result is a slice of it.
 */
static int open_payload(const cm_database_t *database, cm_buf_t *plain, cm_str_t *payload,
                        cm_err_t *err)
{
    uint8_t secret[CM_KEY];
    bool found;

    if (!cm_seal_is_sealed(*payload))
        return 0;
    int rc = cm_key_read(database, secret, &found, err);
    cm_buf_clear(plain);
    if (rc == 0 && found && cm_seal_open(secret, *payload, plain))
        *payload = (cm_str_t){plain->data, plain->len};
    return rc;
}

int cm_store_embedded_each_letter(const cm_database_t *database, int64_t id, int64_t limit,
                                  cm_store_letter_fn take, void *context, cm_err_t *err)
{
    sqlite3_stmt *select;
    cm_buf_t plain = CM_BUF_INIT;
    int64_t found = 0;
    int step = SQLITE_DONE;

    int rc = cm_database_prepare(database,
                                 "SELECT id, time, origin, reason, payload FROM dead "
                                 "WHERE ?1 = 0 OR id = ?1 ORDER BY id LIMIT ?2",
                                 &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int64(select, 1, id);
    sqlite3_bind_int64(select, 2, limit > 0 ? limit : -1);
    while (rc == 0 && (step = sqlite3_step(select)) == SQLITE_ROW) {
        cm_store_letter_t letter = {.id = sqlite3_column_int64(select, 0),
                                    .time = sqlite3_column_int64(select, 1),
                                    .origin = column(select, 2),
                                    .reason = column(select, 3),
                                    .payload = column(select, 4)};
        found++;
        rc = open_payload(database, &plain, &letter.payload, err);
        if (rc == 0)
            rc = take(context, &letter);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the dead letters", err);
    if (rc == 0 && id != 0 && found == 0)
        rc = cm_fail(err, CM_EUSAGE,
                     "there is no dead letter %lld; `clickmill dead list` shows "
                     "which there are",
                     (long long)id);
    sqlite3_finalize(select);
    cm_buf_free(&plain);
    return rc;
}
