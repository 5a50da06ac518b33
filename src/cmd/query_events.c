#include "cmd/query_events.h"

#include "base/progress.h"
#include "cmd/query_notes.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define TEMPORARY "question-" /* and the number of the process that uses it */

enum {
    COMMIT_EVENTS = 1 << 18,
    OPEN_FOLDERS = 8,
};

/* ---- the temporary store ---- */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_store(const char *path)
{
    nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
}

/* Removes the stores of processes that have ended without doing so. */
static void remove_left(const char *data_dir)
{
    DIR *folder = opendir(data_dir);
    const struct dirent *entry;
    cm_buf_t path = CM_BUF_INIT;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        const size_t before = strlen(TEMPORARY);
        int64_t process;
        if (strncmp(entry->d_name, TEMPORARY, before) != 0 ||
            !cm_str_to_i64(cm_str(entry->d_name + before), &process) || process <= 0 ||
            process > INT32_MAX || kill((pid_t)process, 0) == 0 || errno != ESRCH)
            continue;
        cm_buf_clear(&path);
        cm_buf_printf(&path, "%s/%s", data_dir, entry->d_name);
        remove_store(path.data);
    }
    if (folder != NULL)
        closedir(folder);
    cm_buf_free(&path);
}

typedef struct filling {
    cm_store_t *store;
    cm_progress_t progress;
    uint64_t count, committed;
} filling_t;

static int fill_page(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    filling_t *filling = context;

    int rc = cm_sink_put(&filling->store->sink, batch, err);
    filling->count += batch->count;
    if (rc == 0 && filling->count - filling->committed >= COMMIT_EVENTS) {
        rc = cm_sink_commit(&filling->store->sink, err);
        filling->committed = filling->count;
    }
    cm_progress_show(&filling->progress, -1, filling->count);
    return rc;
}

static int fill(cm_app_t *app, cm_store_t *server, cm_store_t *store)
{
    filling_t filling = {.store = store};
    cm_account_t account = {0};

    cm_progress_start(&filling.progress, app->terminal ? app->messages : NULL, app->terminal,
                      "reading", "events");
    int rc = cm_store_scan(server, fill_page, &filling, &account, &app->err);
    if (rc == 0)
        rc = cm_sink_commit(&store->sink, &app->err);
    cm_progress_end(&filling.progress);
    if (rc == 0)
        cm_app_print_left_out(app, account.rejected);
    return rc;
}

static int open_copied(cm_app_t *app, const cm_store_settings_t *settings,
                       cm_query_events_t *events)
{
    cm_buf_t path = CM_BUF_INIT;
    cm_store_t *server;

    int rc = cm_store_open_read(settings, &server, &app->err);
    if (rc < 0)
        return rc;
    remove_left(settings->data_dir);
    cm_buf_printf(&path, "%s/" TEMPORARY "%ld", settings->data_dir, (long)getpid());
    events->temporary = path.data;
    rc = cm_store_open_directory(events->temporary, app->clock, &events->store, &app->err);
    if (rc == 0)
        rc = fill(app, server, events->store);
    cm_store_close(server);
    return rc;
}

/* ---- opening ---- */

int cm_query_events_open(cm_app_t *app, const cm_store_options_t *options,
                         cm_query_events_t *events)
{
    const cm_store_settings_t settings = cm_app_store_settings(app, options);
    const bool here = cm_store_in_data_dir(&settings);

    *events = (cm_query_events_t){.daily = app->global.visitors == CM_VISITORS_DAILY};
    int rc = cm_store_open_directory_read(settings.data_dir, &events->directory, &app->err);
    if (rc < 0) {
        events->directory = NULL;
        if (rc != CM_EINPUT || here)
            return rc == CM_EINPUT ? cm_query_fail_empty(app) : rc;
    }
    bool daily = false;
    rc = events->directory != NULL ? cm_store_daily(events->directory, &daily, &app->err) : 0;
    events->daily |= daily;
    if (rc == 0 && here)
        events->store = events->directory;
    else if (rc == 0)
        rc = open_copied(app, &settings, events);
    return rc;
}

int cm_query_events_sites(const cm_query_events_t *events, cm_buf_t *hosts, cm_err_t *err)
{
    return events->directory != NULL ? cm_store_sites(events->directory, hosts, err) : 0;
}

void cm_query_events_close(cm_query_events_t *events)
{
    if (events->store != events->directory)
        cm_store_close(events->store);
    cm_store_close(events->directory);
    if (events->temporary != NULL)
        remove_store(events->temporary);
    free(events->temporary);
    *events = (cm_query_events_t){.store = NULL};
}
