#include "index/embedded/refresh.h"

#include "index/embedded/checks.h"
#include "store/embedded/store.h"

#include <stdlib.h>
#include <unistd.h>

/* A rebuild also works on damaged answers. */
static int prepare(const cm_database_t *database, const cm_index_refresh_options_t *options,
                   cm_err_t *err)
{
    int rc = cm_index_embedded_prepare(database, err);
    return rc == CM_ECORRUPT && options->rebuild ? cm_index_embedded_forget(database, err) : rc;
}

/* When a rebuild repairs damaged answers, SQLite may be unable to overwrite them, or a part of them
 * may stay: then they are forgotten, and written once more. */
static int apply(const cm_database_t *database, cm_reader_t *names, const cm_mill_result_t *result,
                 const cm_index_embedded_apply_t *given, bool rebuild, bool *changed, cm_err_t *err)
{
    cm_index_embedded_apply_t options = *given;
    bool emptied = false;

    options.emptied = &emptied;
    int rc = cm_index_embedded_apply(database, names, result, &options, changed, err);
    /* Only rows that differ were written: the others are checked, and indexes are built again. */
    if (rc == 0 && rebuild && !emptied)
        rc = cm_database_exec(database, "REINDEX total; REINDEX cell", "writing answers", err);
    if (rc == 0 && rebuild && !emptied)
        rc = cm_check_all(database, err);
    if (rc != CM_ECORRUPT || !rebuild)
        return rc;
    rc = cm_index_embedded_forget(database, err);
    if (rc == 0)
        rc = cm_index_embedded_apply(database, names, result, &options, changed, err);
    if (rc == 0) /* frees the pages; where there is no room for it, a later run does */
        cm_database_exec(database, "VACUUM", "giving back damaged pages", NULL);
    return rc;
}

/* Windows whose answers end at the same event are milled together. */
typedef struct part {
    unsigned windows;
    int64_t since;
    bool replace;
    bool differ;           /* copies before `since` do */
    cm_reader_t **readers; /* of one moment: for the mill's threads; the last is for strings */
    int reader_count, taken;
    cm_mill_result_t result;
} part_t;

struct cm_index_refreshing {
    cm_store_t *store;
    cm_index_refresh_options_t options;
    int64_t accepted;
    int64_t until; /* what is added ends before this event; 0: no limit */
    part_t parts[CM_WINDOW_COUNT];
    int count;
};

/* The event from which on a window has to be milled; -1: it is up to date. */
static int64_t since_of(const cm_index_coverage_t *covered, cm_index_copies_t copies,
                        const cm_index_refresh_options_t *options, int64_t accepted, bool *replace)
{
    *replace = options->rebuild || covered->session_timeout != options->session_timeout ||
               covered->end_ordinal > accepted || copies == CM_COPIES_UNKNOWN;
    if (*replace)
        return 0;
    return covered->end_ordinal == accepted ? -1 : covered->end_ordinal;
}

/* Also where no answer has changed: the configuration may have. */
static int note_visitors(cm_store_t *store, const cm_index_refresh_options_t *options,
                         cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(store);
    bool several = false;

    int rc = options->daily ? cm_store_embedded_several_days(database, &several, err) : 0;
    return rc < 0 ? rc : cm_index_embedded_note_visitors(database, options->daily, several, err);
}

static int account(cm_store_t *store, const cm_index_refresh_options_t *options,
                   cm_index_refreshed_t *out, cm_err_t *err)
{
    int rc = 0;
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        cm_index_coverage_t covered;
        if (!cm_window_in(options->windows, w))
            continue;
        rc = cm_index_embedded_coverage(cm_store_embedded_database(store), (cm_window_t)w, &covered,
                                        err);
        out->events = covered.events;
        out->duplicates = covered.end_ordinal - covered.events;
        out->cells += covered.cells;
    }
    return rc;
}

/* Readers that see the same blocks: readers that are opened later would see more. */
static int open_readers(cm_index_refreshing_t *self, part_t *part, cm_err_t *err)
{
    int rc = 0;

    part->readers = cm_alloc_zero((size_t)self->options.threads + 1, sizeof *part->readers);
    while (rc == 0 && part->reader_count <= self->options.threads) {
        rc = cm_store_reader(self->store, &part->readers[part->reader_count], err);
        part->reader_count += rc == 0;
    }
    return rc;
}

static int take_reader(void *context, cm_reader_t **reader, cm_err_t *err)
{
    part_t *part = context;

    if (part->taken + 1 >= part->reader_count)
        return cm_fail(err, CM_EINTERNAL, "the mill wants more readers than it has threads");
    *reader = part->readers[part->taken++];
    return 0;
}

static int threads_of(const cm_index_refresh_options_t *options)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const long threads = options->threads > 0 ? options->threads : processors;

    return threads < 1 ? 1 : threads > CM_MILL_THREADS_MAX ? CM_MILL_THREADS_MAX : (int)threads;
}

static int find_parts(cm_index_refreshing_t *self, cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(self->store);
    int rc = 0;

    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        cm_index_coverage_t covered = {0}; /* a rebuild ignores what is there */
        cm_index_copies_t copies = CM_COPIES_UNKNOWN;
        bool replace;
        int at = 0;
        if (!cm_window_in(self->options.windows, w))
            continue;
        if (!self->options.rebuild && (rc = cm_check_coverage(database, (cm_window_t)w, err)) == 0)
            rc = cm_index_embedded_coverage(database, (cm_window_t)w, &covered, err);
        if (rc == 0 && !self->options.rebuild)
            rc = cm_index_embedded_copies(database, (cm_window_t)w, &copies, err);
        if (rc < 0)
            break;
        const int64_t since = since_of(&covered, copies, &self->options, self->accepted, &replace);
        cm_debug(self->options.log, CM_DEBUG_INDEX,
                 since < 0 ? "nothing new" : "window is computed",
                 "window=%s have=%lld events=%lld replace=%s", cm_index_window_names[w],
                 (long long)covered.end_ordinal, (long long)self->accepted, replace ? "yes" : "no");
        if (since < 0)
            continue;
        while (at < self->count &&
               (self->parts[at].since != since || self->parts[at].replace != replace))
            at++;
        self->count += at == self->count;
        self->parts[at].since = since;
        self->parts[at].replace = replace;
        self->parts[at].differ |= copies == CM_COPIES_DIFFER;
        self->parts[at].windows |= cm_window_mask(w);
    }
    return rc;
}

/* Applies `most`: of several windows the one that is furthest behind comes first. */
static void limit_parts(cm_index_refreshing_t *self)
{
    const int64_t most = self->options.most;
    int64_t least = INT64_MAX;
    int count = 0;

    for (int i = 0; i < self->count; i++) {
        if (!self->parts[i].replace && self->parts[i].since < least)
            least = self->parts[i].since;
    }
    if (most <= 0 || least == INT64_MAX || self->accepted - least <= most)
        return;
    self->until = least + most;
    for (int i = 0; i < self->count; i++) {
        if (self->parts[i].replace || self->parts[i].since < self->until)
            self->parts[count++] = self->parts[i];
    }
    self->count = count;
}

int cm_index_refresh_begin(cm_store_t *store, const cm_index_refresh_options_t *options,
                           cm_index_refreshing_t **out, cm_err_t *err)
{
    cm_index_refreshing_t *self = cm_alloc_zero(1, sizeof *self);

    self->store = store;
    self->options = *options;
    self->options.threads = threads_of(options);
    self->accepted = cm_store_embedded_events(store);
    int rc = prepare(cm_store_embedded_database(store), options, err);
    if (rc == 0)
        rc = find_parts(self, err);
    limit_parts(self);
    for (int i = 0; rc == 0 && i < self->count; i++)
        rc = open_readers(self, &self->parts[i], err);
    if (rc < 0)
        cm_index_refresh_free(self);
    else
        *out = self;
    return rc;
}

bool cm_index_refresh_leaves(const cm_index_refreshing_t *self)
{
    return self->until > 0;
}

int cm_index_refresh_mill(cm_index_refreshing_t *self, cm_err_t *err)
{
    const cm_index_refresh_options_t *options = &self->options;
    int rc = 0;

    for (int i = 0; rc == 0 && i < self->count; i++) {
        part_t *part = &self->parts[i];
        const cm_mill_options_t mill = {.session_timeout = options->session_timeout,
                                        .windows = part->windows,
                                        .since = part->since,
                                        .differ = part->differ,
                                        .until = part->replace ? 0 : self->until,
                                        .memory = options->memory,
                                        .threads = options->threads,
                                        .stop = options->stop,
                                        .log = options->log,
                                        .reader = take_reader,
                                        .context = part,
                                        .progress = options->progress,
                                        .progress_context = options->progress_context};
        rc = cm_mill(&mill, &part->result, err);
    }
    return rc;
}

int cm_index_refresh_end(cm_index_refreshing_t *self, cm_index_refreshed_t *out, cm_err_t *err)
{
    const cm_index_refresh_options_t *options = &self->options;
    int rc = 0;

    *out = (cm_index_refreshed_t){.accepted = self->accepted};
    for (int i = 0; rc == 0 && i < self->count; i++) {
        const part_t *part = &self->parts[i];
        bool differs = false;
        rc = apply(cm_store_embedded_database(self->store), part->readers[part->reader_count - 1],
                   &part->result,
                   &(cm_index_embedded_apply_t){.windows = part->windows,
                                                .replace = part->replace,
                                                .differ = part->differ,
                                                .session_timeout = options->session_timeout,
                                                .now = cm_clock_now_ms(options->clock),
                                                .stop = options->stop},
                   options->rebuild, &differs, err);
        cm_debug(options->log, CM_DEBUG_INDEX, "answers are written",
                 "windows=%#x changes=%zu to=%lld rc=%d", part->windows, part->result.count,
                 (long long)part->result.end_ordinal, rc);
        /* New events that are copies count as a change, too. */
        out->changed |= differs || !part->replace;
    }
    if (rc == 0 && cm_window_in(options->windows, CM_WINDOW_ALL))
        rc = note_visitors(self->store, options, err);
    return rc < 0 ? rc : account(self->store, options, out, err);
}

void cm_index_refresh_free(cm_index_refreshing_t *self)
{
    if (self == NULL)
        return;
    for (int i = 0; i < self->count; i++) {
        part_t *part = &self->parts[i];
        for (int at = part->taken; at < part->reader_count; at++)
            cm_reader_close(part->readers[at]);
        free(part->readers);
        cm_mill_result_free(&part->result);
    }
    free(self);
}

int cm_index_refresh(cm_store_t *store, const cm_index_refresh_options_t *options,
                     cm_index_refreshed_t *out, cm_err_t *err)
{
    cm_index_refreshing_t *refreshing = NULL;

    *out = (cm_index_refreshed_t){.accepted = cm_store_embedded_events(store)};
    int rc = cm_index_refresh_begin(store, options, &refreshing, err);
    if (rc == 0)
        rc = cm_index_refresh_mill(refreshing, err);
    if (rc == 0)
        rc = cm_index_refresh_end(refreshing, out, err);
    cm_index_refresh_free(refreshing);
    return rc;
}

int cm_index_refresh_from(cm_store_t *other, cm_store_t *store,
                          const cm_index_refresh_options_t *options, cm_index_refreshed_t *out,
                          cm_err_t *err)
{
    const cm_database_t *database = cm_store_embedded_database(store);
    const cm_mill_options_t mill = {.session_timeout = options->session_timeout,
                                    .windows = options->windows,
                                    .memory = options->memory,
                                    .threads = options->threads,
                                    .stop = options->stop,
                                    .log = options->log,
                                    .reader = cm_store_reader_of,
                                    .context = other,
                                    .progress = options->progress,
                                    .progress_context = options->progress_context};
    cm_mill_result_t result;
    cm_reader_t *names = NULL;
    bool several = false;

    *out = (cm_index_refreshed_t){0};
    int rc = prepare(database, options, err);
    if (rc < 0)
        return rc;
    rc = cm_mill(&mill, &result, err);
    if (rc == 0)
        rc = cm_store_reader(other, &names, err);
    if (rc == 0)
        rc = cm_reader_several_days(names, &several, err);
    if (rc == 0)
        rc = apply(database, names, &result,
                   &(cm_index_embedded_apply_t){.windows = options->windows,
                                                .session_timeout = -options->session_timeout,
                                                .daily = options->daily,
                                                .several = several,
                                                .now = cm_clock_now_ms(options->clock),
                                                .stop = options->stop},
                   options->rebuild, &out->changed, err);
    out->accepted = result.end_ordinal;
    cm_reader_close(names);
    cm_mill_result_free(&result);
    return rc < 0 ? rc : account(store, options, out, err);
}
