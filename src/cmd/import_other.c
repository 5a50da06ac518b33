/* `import` into Kafka's topic, and into answers alone. */
#include "cmd/import.h"
#include "cmd/print.h"
#include "cmd/query_notes.h"
#include "index/store_query.h"
#include "pipeline/outlet.h"
#include "store/memory.h"
#include "store/open.h"

#include <sys/random.h>

int cm_import_to_topic(cm_import_t *import, cm_import_into_t into)
{
    cm_app_t *app = import->app;
    const cm_pipeline_env_t env = cm_app_env(app);
    cm_outlet_t outlet;

    /* The key of the data directory, so that visitors are the same users wherever events go. */
    int rc = cm_store_older_keys_of(app->global.data_dir, &into.older_keys, &app->err);
    if (rc == 0)
        rc = cm_store_secret_of(app->global.data_dir, into.visitor_key, &app->err);
    if (rc < 0)
        return rc;
    rc = cm_outlet_open(&outlet, &env, app->global.data_dir, &import->asked->sink, into.visitor_key,
                        &app->err);
    into.sink = outlet.sink;
    if (rc == 0) {
        rc = cm_import_files(import, &into);
        cm_outlet_print(&outlet, &import->account, app->global.json ? app->out : NULL);
        if (rc == 0 && atomic_load(app->stop))
            fprintf(app->messages, "stopped before the end\n");
    }
    cm_outlet_close(&outlet);
    return rc;
}

/* As `query` does: CSV itself does not say what users are. */
static int note_daily(cm_app_t *app, cm_store_t *store)
{
    cm_reader_t *reader;
    bool several;

    int rc = cm_store_reader(store, &reader, &app->err);
    if (rc < 0)
        return rc;
    rc = cm_reader_several_days(reader, &several, &app->err);
    if (rc == 0 && several)
        cm_query_note_daily(app);
    cm_reader_close(reader);
    return rc;
}

int cm_import_to_answers(cm_import_t *import, cm_import_into_t into)
{
    cm_app_t *app = import->app;
    const cm_import_options_t *asked = import->asked;
    const cm_index_store_query_t once = {.session_timeout = app->global.session_timeout,
                                         .memory = app->global.memory,
                                         .threads = (int)asked->threads};
    cm_printer_t printer;

    into.store = cm_memory_new();
    /* The hashes of visitors are valid for this run only. */
    int rc = getrandom(into.visitor_key, sizeof into.visitor_key, 0) == sizeof into.visitor_key
                 ? 0
                 : cm_fail(&app->err, CM_EINTERNAL, "the kernel gives no random bytes");
    if (rc == 0)
        rc = cm_import_files(import, &into);
    if (rc == 0 && atomic_load(app->stop))
        rc = cm_fail(
            &app->err, CM_EINPUT,
            "stopped before the end: no answers are printed, since they would be of a part of the "
            "events");
    if (rc == 0) {
        const cm_index_query_t all = {.dimension = CM_PER_CELL, .window = CM_WINDOW_ALL};
        cm_printer_start(&printer, app, CM_PRINT_CSV, &all, false);
        rc = cm_index_query_store(into.store, &once, cm_printer_row, &printer, &app->err);
        rc = cm_printer_end(&printer, rc);
    }
    if (rc == 0 && app->global.visitors == CM_VISITORS_DAILY)
        rc = note_daily(app, into.store);
    cm_app_print_account(app, &import->account, app->messages);
    cm_store_close(into.store);
    return rc;
}
