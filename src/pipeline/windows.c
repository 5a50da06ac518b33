#include "pipeline/windows.h"

#include "index/open.h"

#include <stdio.h>

const cm_option_t cm_windows_option[] = {
    {.name = "window",
     .type = CM_OPT_TEXT,
     .arg = "all|day|hour",
     .key = "process.window",
     .help =
         "answers over all time, per day or per hour (UTC); several with commas. The "
         "default: " CM_WINDOWS_HERE " and what is kept already; where events or answers are on "
         "a server, " CM_WINDOWS_ELSEWHERE},
    {.name = NULL},
};

int cm_windows_parse(const char *text, unsigned *windows, cm_err_t *err)
{
    char name[16];

    *windows = 0;
    while (true) {
        size_t len = strcspn(text, ",");
        cm_window_t window;
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), text);
        if (!cm_index_window_parse(name, &window))
            return cm_fail(err, CM_EUSAGE, "--window takes all, day or hour, not \"%.40s\"", text);
        *windows |= cm_window_mask(window);
        if (text[len] == '\0')
            return 0;
        text += len + 1;
    }
}

int cm_windows_add_kept(cm_store_t *store, bool rebuild, unsigned *windows, bool *foreign,
                        cm_err_t *err)
{
    /* It is written through the store, which knows its directory. */
    const cm_index_settings_t here = cm_index_settings_of_data_dir(NULL, false);
    unsigned own = 0, others = 0;
    cm_index_facts_t facts;
    cm_index_t *index;

    int rc = cm_index_open_writer(&here, store, &index, err);
    if (rc < 0)
        return rc;
    rc = cm_index_probe(index, true, &facts, err);
    bool damaged = rc == CM_ECORRUPT;
    if (rc == 0 || (rebuild && damaged))
        rc = cm_index_kept(index, &own, &others, err);
    damaged |= rc == CM_ECORRUPT;
    /* What can be read of damaged answers is enough: all are computed again. */
    if (rebuild && damaged)
        rc = cm_index_forget(index, err);
    cm_index_close(index);
    *windows |= own;
    *foreign = others != 0;
    return rc;
}
