/* `import` into a data directory that another process holds. */
#include "cmd/import.h"

#include "cmd/next.h"
#include "index/open.h"
#include "pipeline/pipeline.h"
#include "store/open.h"

enum {
    ANSWERS_MS = 20000, /* how long the answers are waited for */
    LOOK_MS = 100,
};

/* Events that are stored, and those that the answers cover. */
static bool freshness(const char *data_dir, cm_freshness_t *fresh)
{
    const cm_index_settings_t here = cm_index_settings_of_data_dir(data_dir, false);
    cm_index_t *index;
    cm_err_t err;

    if (cm_index_open(&here, &index, &err) < 0)
        return false;
    int rc = cm_index_freshness(index, CM_WINDOW_ALL, fresh, &err);
    cm_index_close(index);
    return rc == 0;
}

static bool answers_follow(const cm_app_t *app)
{
    const int64_t until = cm_clock_ticks_ns() + ANSWERS_MS * INT64_C(1000000);
    cm_freshness_t fresh;
    int64_t wanted = -1;

    while (!atomic_load(app->stop) && cm_clock_ticks_ns() < until) {
        if (freshness(app->global.data_dir, &fresh)) {
            if (wanted < 0)
                wanted = fresh.accepted;
            if (fresh.processed >= wanted)
                return true;
        }
        cm_sleep_ms(LOOK_MS);
    }
    return false;
}

static void print_holder(cm_app_t *app, const cm_import_into_t *into, bool process)
{
    const bool keeps = cm_store_holder_answers(into->store);
    const bool done = keeps && process && answers_follow(app);
    cm_buf_t next = CM_BUF_INIT;

    if (app->global.json)
        return;
    fprintf(app->messages, "stored by process %ld, which holds %s and %s\n",
            cm_store_holder(into->store), app->global.data_dir,
            done    ? "has brought the answers up to date"
            : keeps ? "keeps the answers up to date"
                    : "makes no answers: `clickmill process` does when it has ended");
    if (done) {
        cm_next_add(&next, app, "query pages");
        fprintf(app->messages, "next: %s\n", next.data);
        cm_buf_free(&next);
    }
}

int cm_import_end_held(cm_app_t *app, const cm_import_into_t *into, const cm_account_t *account,
                       bool process, int rc)
{
    if (app->global.json || rc == 0 || account->read > 0)
        cm_app_print_account(app, account, app->out);
    if (atomic_load(app->stop) && (rc == 0 || rc == CM_ESTOP))
        fprintf(app->messages, "stopped before the end; run it again to go on from there\n");
    else if (rc == 0 || (rc == CM_EINPUT && account->accepted > 0))
        print_holder(app, into, process);
    return rc;
}
