#include "cmd/query_notes.h"

#include "cmd/next.h"

#include <unistd.h>

/* Appends where the demo's clicks are, when there are some: a user who has only tried the demo
 * looks for them. */
static void add_demo(cm_buf_t *line, const cm_app_t *app)
{
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%s/demo/clickmill.db", app->global.data_dir);
    if (access(path.data, F_OK) == 0) {
        cm_buf_clear(&path);
        cm_buf_printf(&path, "%s/demo", app->global.data_dir);
        cm_buf_add_text(line, "; `clickmill query --data ");
        cm_next_add_word(line, (cm_str_t){path.data, path.len});
        cm_buf_add_text(line, "` shows the demo's");
    }
    cm_buf_free(&path);
}

int cm_query_fail_empty(cm_app_t *app)
{
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_add_text(&line, app->err.text);
    add_demo(&line, app);
    int rc = cm_fail(&app->err, CM_EINPUT, "%s", line.data);
    cm_buf_free(&line);
    return rc;
}

/* Whether any window has answers. */
static int any_present(cm_index_t *index, bool *any, cm_err_t *err)
{
    cm_freshness_t freshness;
    int rc = 0;

    *any = false;
    for (int w = 0; rc == 0 && !*any && w < CM_WINDOW_COUNT; w++) {
        rc = cm_index_freshness(index, (cm_window_t)w, &freshness, err);
        *any = rc == 0 && freshness.present;
    }
    return rc;
}

/* "event is", "events are" */
static const char *are(long long count)
{
    return count == 1 ? "event is" : "events are";
}

int cm_query_note_freshness(cm_app_t *app, cm_window_t window, const cm_index_settings_t *settings,
                            cm_index_t *index, const cm_freshness_t *freshness)
{
    const long long accepted = (long long)freshness->accepted;
    const long long behind = accepted - (long long)freshness->processed;
    const bool here = cm_index_in_data_dir(settings);
    cm_buf_t next = CM_BUF_INIT;
    bool any = true;

    int rc = freshness->present ? 0 : any_present(index, &any, &app->err);
    cm_next_add(&next, app, here && accepted == 0 ? "import FILE..." : "process");
    if (any && window != CM_WINDOW_ALL)
        cm_buf_printf(&next, " --window %s", cm_index_window_names[window]);
    cm_buf_add_text(&next, cm_index_argument(settings));
    if (here && accepted == 0) {
        cm_buf_add_char(&next, '`');
        add_demo(&next, app);
        fprintf(app->messages, "no events are stored yet: run `%s\n", next.data);
    } else if (!any) {
        fprintf(app->messages, "%lld %s stored, none is processed yet: run `%s`\n", accepted,
                are(accepted), next.data);
    } else if (!freshness->present) {
        fprintf(app->messages, "there are no answers for window %s yet: run `%s`\n",
                cm_index_window_names[window], next.data);
    } else if (behind > 0) {
        fprintf(app->messages, "%lld %s newer than these answers: run `%s`\n", behind, are(behind),
                next.data);
    }
    cm_buf_free(&next);
    return rc;
}

void cm_query_note_daily(cm_app_t *app)
{
    fprintf(app->messages, "users are daily visitors: one who came on three days counts as three, "
                           "because ids of visitors live for one UTC day\n");
}
