#include "pipeline/windows.h"

#include "index/embedded/embedded.h"

#include <stdio.h>

const cm_option_t cm_windows_option[] = {
    {.name = "window",
     .type = CM_OPT_TEXT,
     .arg = "all|day|hour",
     .key = "process.window",
     .help = "answers over all time, per day or per hour (UTC); several with commas. The "
             "default: " CM_WINDOWS_HERE " and what is kept already; for events of Cassandra, and "
             "into Elasticsearch, " CM_WINDOWS_ELSEWHERE},
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
    const cm_database_t *database = cm_store_embedded_database(store);

    *foreign = false;
    int rc = cm_index_embedded_prepare(database, err);
    const bool damaged = rebuild && rc == CM_ECORRUPT;
    for (int window = 0; (rc == 0 || damaged) && window < CM_WINDOW_COUNT; window++) {
        cm_index_coverage_t covered;
        rc = cm_index_embedded_coverage(database, (cm_window_t)window, &covered, err);
        *foreign |= rc == 0 && covered.session_timeout < 0;
        if (rc == 0 && covered.session_timeout > 0)
            *windows |= cm_window_mask(window);
    }
    /* What can be read of damaged answers is enough: all are computed again. */
    return damaged || (rebuild && rc == CM_ECORRUPT) ? cm_index_embedded_forget(database, err) : rc;
}
