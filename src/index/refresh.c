#include "index/refresh.h"

#include "index/checks.h"
#include "store/embedded.h"

/* Damage does not hinder a rebuild. */
static int prepare(const cm_database_t *database, const cm_refresh_options_t *options,
                   cm_err_t *err)
{
    int rc = cm_embedded_index_prepare(database, err);
    return rc == CM_ECORRUPT && options->rebuild ? cm_embedded_index_forget(database, err) : rc;
}

/* Where answers are made anew because they are damaged, it may be that SQLite cannot write over
 * them, or that something of them stays: then they are forgotten, and written once more. */
static int apply(const cm_database_t *database, cm_reader_t *names, const cm_mill_result_t *result,
                 const cm_apply_options_t *given, bool rebuild, bool *changed, cm_err_t *err)
{
    cm_apply_options_t options = *given;
    bool emptied = false;

    options.emptied = &emptied;
    int rc = cm_embedded_index_apply(database, names, result, &options, changed, err);
    if (rc == 0 && rebuild && !emptied)
        rc = cm_check_all(database, err);
    if (rc != CM_ECORRUPT || !rebuild)
        return rc;
    rc = cm_embedded_index_forget(database, err);
    if (rc == 0)
        rc = cm_embedded_index_apply(database, names, result, &options, changed, err);
    if (rc == 0) /* gives back what is forgotten; where there is no room for it, another time */
        cm_database_exec(database, "VACUUM", "giving back damaged pages", NULL);
    return rc;
}

/* Mills and writes the windows of the mask, which all have the same coverage. */
static int refresh_windows(cm_store_t *store, const cm_refresh_options_t *options, unsigned windows,
                           int64_t since, bool replace, bool *changed, cm_err_t *err)
{
    const cm_mill_options_t mill = {.session_timeout = options->session_timeout,
                                    .windows = windows,
                                    .since = since,
                                    .memory = options->memory,
                                    .threads = options->threads,
                                    .stop = options->stop,
                                    .reader = cm_store_reader_of,
                                    .context = store,
                                    .progress = options->progress,
                                    .progress_context = options->progress_context};
    cm_mill_result_t result;
    cm_reader_t *names = NULL;
    bool differs = false;

    int rc = cm_mill(&mill, &result, err);
    if (rc == 0)
        rc = cm_store_reader(store, &names, err);
    if (rc == 0)
        rc = apply(cm_embedded_database(store), names, &result,
                   &(cm_apply_options_t){.windows = windows,
                                         .replace = replace,
                                         .session_timeout = options->session_timeout,
                                         .now = cm_clock_now_ms(options->clock),
                                         .stop = options->stop},
                   options->rebuild, &differs, err);
    *changed |= differs || !replace; /* events that are copies are something new, too */
    cm_reader_close(names);
    cm_mill_result_free(&result);
    return rc;
}

/* What is to be done for a window: from which event on; -1 when nothing. */
static int64_t since_of(const cm_covered_t *covered, const cm_refresh_options_t *options,
                        int64_t accepted, bool *replace)
{
    *replace = options->rebuild || covered->session_timeout != options->session_timeout ||
               covered->upto > accepted;
    if (*replace)
        return 0;
    return covered->upto == accepted ? -1 : covered->upto;
}

static int account(cm_store_t *store, const cm_refresh_options_t *options, cm_refreshed_t *out,
                   cm_err_t *err)
{
    int rc = 0;
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        cm_covered_t covered;
        if (!(options->windows & 1u << w))
            continue;
        rc = cm_embedded_index_covered(cm_embedded_database(store), (cm_window_t)w, &covered, err);
        out->events = covered.events;
        out->duplicates = covered.upto - covered.events;
        out->cells += covered.cells;
    }
    return rc;
}

int cm_refresh(cm_store_t *store, const cm_refresh_options_t *options, cm_refreshed_t *out,
               cm_err_t *err)
{
    const cm_database_t *database = cm_embedded_database(store);
    int64_t since[CM_WINDOW_COUNT];
    bool replace[CM_WINDOW_COUNT] = {false};

    *out = (cm_refreshed_t){.accepted = cm_embedded_events(store)};
    int rc = prepare(database, options, err);
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        cm_covered_t covered;
        since[w] = -1;
        if (!(options->windows & 1u << w))
            continue;
        covered = (cm_covered_t){0}; /* whatever there is, a rebuild does not look at it */
        if (!options->rebuild && (rc = cm_check_covered(database, (cm_window_t)w, err)) == 0)
            rc = cm_embedded_index_covered(database, (cm_window_t)w, &covered, err);
        if (rc == 0)
            since[w] = since_of(&covered, options, out->accepted, &replace[w]);
    }
    /* Windows that stand at the same event are milled in one go. */
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        unsigned windows = 0;
        int64_t from = since[w];
        bool fresh = replace[w];
        if (from < 0)
            continue;
        for (int other = w; other < CM_WINDOW_COUNT; other++) {
            if (since[other] == from && replace[other] == fresh) {
                windows |= 1u << other;
                since[other] = -1;
            }
        }
        rc = refresh_windows(store, options, windows, from, fresh, &out->changed, err);
    }
    return rc < 0 ? rc : account(store, options, out, err);
}

int cm_refresh_from(cm_store_t *other, cm_store_t *store, const cm_refresh_options_t *options,
                    cm_refreshed_t *out, cm_err_t *err)
{
    const cm_database_t *database = cm_embedded_database(store);
    const cm_mill_options_t mill = {.session_timeout = options->session_timeout,
                                    .windows = options->windows,
                                    .memory = options->memory,
                                    .threads = options->threads,
                                    .stop = options->stop,
                                    .reader = cm_store_reader_of,
                                    .context = other,
                                    .progress = options->progress,
                                    .progress_context = options->progress_context};
    cm_mill_result_t result;
    cm_reader_t *names = NULL;

    *out = (cm_refreshed_t){0};
    int rc = prepare(database, options, err);
    if (rc < 0)
        return rc;
    rc = cm_mill(&mill, &result, err);
    if (rc == 0)
        rc = cm_store_reader(other, &names, err);
    if (rc == 0)
        rc = apply(database, names, &result,
                   &(cm_apply_options_t){.windows = options->windows,
                                         .session_timeout = -options->session_timeout,
                                         .now = cm_clock_now_ms(options->clock),
                                         .stop = options->stop},
                   options->rebuild, &out->changed, err);
    out->accepted = result.upto;
    cm_reader_close(names);
    cm_mill_result_free(&result);
    return rc < 0 ? rc : account(store, options, out, err);
}
