/* `import` into the data directory's store. */
#include "cmd/import.h"
#include "cmd/next.h"
#include "pipeline/upkeep.h"
#include "pipeline/windows.h"
#include "store/open.h"

/* The result of processing at the end. */
typedef struct processed {
    bool done;
    cm_index_refreshed_t answers;
    double seconds;
} processed_t;

/* The events are stored already: a failure here loses none. */
static int process_imported(cm_app_t *app, const cm_import_options_t *asked, cm_store_t *store,
                            processed_t *processed, cm_err_t *err)
{
    bool foreign = false;
    unsigned windows, kept = 0;

    int rc =
        cm_windows_parse(asked->windows != NULL ? asked->windows : CM_WINDOWS_HERE, &windows, err);
    if (rc == 0)
        rc = cm_windows_add_kept(store, false, &kept, &foreign, err);
    if (rc == 0 && foreign) {
        fprintf(app->messages, "not processed: the answers here are of another store's events; "
                               "`clickmill process` replaces them\n");
        return 0;
    }
    if (rc == 0) {
        const cm_index_refresh_options_t refresh =
            cm_app_refresh_options(app, asked->windows != NULL ? windows : windows | kept);
        const cm_pipeline_env_t env = cm_app_env(app);
        rc = cm_upkeep_once(&env, store, NULL, &refresh, &processed->answers, &processed->seconds,
                            err);
    }
    processed->done = rc == 0;
    return rc;
}

/* Prints the next command to type. */
static void print_next(cm_app_t *app, const cm_account_t *account, const processed_t *processed)
{
    cm_buf_t next = CM_BUF_INIT;

    if (account->accepted == 0 && account->rejected > 0)
        cm_next_add(&next, app, "dead list");
    else
        cm_next_add(&next, app, processed->done ? "query pages" : "process");
    fprintf(app->messages, "next: %s\n", next.data);
    cm_buf_free(&next);
}

static void print_json(cm_app_t *app, const cm_account_t *account, const processed_t *processed)
{
    cm_buf_t json = CM_BUF_INIT;

    cm_buf_add_char(&json, '{');
    cm_accounts_add_json(&json, account);
    if (processed->done) {
        cm_buf_add_text(&json, ",\"answers\":");
        cm_accounts_add_answers_json(&json, &processed->answers, processed->seconds);
    }
    fprintf(app->out, "%s}\n", json.data);
    cm_buf_free(&json);
}

/* Processing has failed, with the reason in `err`; `rc` is the result of reading. */
static int fail_processing(cm_app_t *app, int rc, const cm_err_t *err)
{
    static const char stored[] = "the events are stored, but not processed";

    if (err->code == CM_ESTOP) {
        fprintf(app->messages, "stopped; %s: run `clickmill process`\n", stored);
        return rc < 0 ? rc : CM_ESTOP;
    }
    if (rc == 0)
        return cm_fail(&app->err, err->code, "%s: %s; `clickmill process` tries again", stored,
                       err->text);
    fprintf(app->messages, "%s: %s\n", stored, err->text);
    return rc;
}

/* Processes once, after all files. An import that was stopped is not processed: the run that
 * imports the rest does it. Returns `rc`, the result of reading, or a failure of its own. */
static int finish_import(cm_app_t *app, const cm_import_options_t *asked, cm_store_t *store,
                         const cm_account_t *account, int rc)
{
    const bool stopped = atomic_load(app->stop), whole = rc == 0 || rc == CM_EINPUT;
    processed_t processed = {0};
    cm_err_t err = {0};
    int failed = 0;

    if (!app->global.json && (rc == 0 || account->read > 0)) /* else the failure is enough */
        cm_app_print_account(app, account, app->out);
    if (asked->process && whole && !stopped && (rc == 0 || account->accepted > 0))
        failed = process_imported(app, asked, store, &processed, &err);
    if (app->global.json)
        print_json(app, account, &processed);
    else if (processed.done && (processed.answers.changed || account->accepted > 0))
        cm_app_print_answers(app, &processed.answers, processed.seconds);
    if (failed < 0)
        return fail_processing(app, rc, &err);
    if (stopped && (rc == 0 || rc == CM_ESTOP))
        fprintf(app->messages, "stopped before the end; run it again to go on from there\n");
    else if (!app->global.json && account->read > 0)
        print_next(app, account, &processed);
    return rc;
}

/* Opens the store of the data directory, or where another process holds it and shares it, a way to
 * that process; with the key that visitors are hashed with. CM_EBUSY when it is not shared. */
static int open_store(cm_app_t *app, cm_import_into_t *into)
{
    int rc = cm_store_open_shared(app->global.data_dir, app->clock, app->stop, app->messages,
                                  &into->store, &app->err);
    if (rc == 0) {
        into->store->log = &app->log;
        rc = cm_store_older_keys(into->store, &into->older_keys, &app->err);
    }
    return rc == 0 ? cm_store_secret(into->store, into->visitor_key, &app->err) : rc;
}

int cm_import_to_store(cm_import_t *import, cm_import_into_t into)
{
    cm_app_t *app = import->app;
    const cm_import_options_t *asked = import->asked;
    int rc = open_store(app, &into);
    if (rc == 0) {
        rc = cm_import_files(import, &into);
        rc = cm_store_holder(into.store) != 0
                 ? cm_import_end_held(app, &into, &import->account, asked->process, rc)
                 : finish_import(app, asked, into.store, &import->account, rc);
    }
    cm_store_close(into.store);
    return rc;
}
