#include "index/verify_events.h"

#include "base/clock.h"
#include "index/computed.h"

enum { NOT_KNOWN = -1 /* events that answers cover */ };

/* ---- the windows ---- */

enum { SEEN = 1 };

static int take_any(void *context, const cm_answer_t *answer)
{
    (void)answer;
    *(bool *)context = true;
    return SEEN;
}

static int skip_foreign(void *context, const char *alias, cm_str_t id)
{
    (void)context;
    (void)alias;
    (void)id;
    return 0;
}

/* An index that other programs write may have answers without a freshness: then they are taken to
 * cover all events. */
static int read_window(cm_index_verify_events_t *self, cm_window_t window, cm_err_t *err)
{
    const cm_index_query_t query = {.window = window, .unsorted = true, .foreign = skip_foreign};
    cm_freshness_t *fresh = &self->fresh[window];

    int rc = cm_index_freshness(self->settings.index, window, fresh, err);
    if (rc < 0 || fresh->present)
        return rc;
    fresh->processed = NOT_KNOWN;
    rc = cm_index_query(self->settings.index, &query, take_any, &fresh->present, err);
    return rc == SEEN ? 0 : rc;
}

static const char *argument_of(cm_window_t window)
{
    static const char *const arguments[CM_WINDOW_COUNT] = {"", " --window day", " --window hour"};
    return arguments[window];
}

int cm_index_verify_events_choose(cm_index_verify_events_t *self, unsigned asked, cm_err_t *err)
{
    int rc = 0;

    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        rc = read_window(self, (cm_window_t)w, err);
        if (rc == 0 && cm_window_in(asked, w) && !self->fresh[w].present)
            rc = cm_fail(err, CM_EINPUT,
                         "there are no answers for the window %s yet: run `clickmill process%s`",
                         cm_index_window_names[w], argument_of((cm_window_t)w));
        self->windows |= self->fresh[w].present ? cm_window_mask(w) : 0;
    }
    if (rc == 0 && self->windows == 0)
        rc = cm_fail(err, CM_EINPUT, "there are no answers yet: run `clickmill process`");
    if (asked != 0)
        self->windows &= asked;
    return rc;
}

/* ---- the session timeout ---- */

static void add_duration(cm_buf_t *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{CM_DAY_MS, "d"}, {CM_HOUR_MS, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t u = 0;

    while (ms % units[u].ms != 0)
        u++;
    cm_buf_printf(out, "%lld%s", (long long)(ms / units[u].ms), units[u].unit);
}

/* The answers' own session timeout; prints where it is not the configured one. */
static int64_t timeout_of(const cm_index_verify_events_t *self, cm_window_t window)
{
    const int64_t asked = self->settings.session_timeout;
    const int64_t own = self->fresh[window].session_timeout;
    const int64_t made_with = own < 0 ? -own : own;
    cm_buf_t line = CM_BUF_INIT;

    if (own == 0 || made_with == asked)
        return asked;
    cm_buf_printf(&line, "the answers of the window %s were made with --session-timeout ",
                  cm_index_window_names[window]);
    add_duration(&line, made_with);
    cm_buf_add_text(&line, ", not ");
    add_duration(&line, asked);
    cm_buf_add_text(&line, ": they are verified with theirs");
    fprintf(self->settings.messages, "%s\n", line.data);
    cm_buf_free(&line);
    return made_with;
}

/* ---- computing and comparing ---- */

static int64_t events_of(cm_reader_t *reader)
{
    const cm_block_ref_t *blocks;
    size_t count;

    if (cm_reader_blocks(reader, &blocks, &count, NULL) < 0)
        return 0;
    return cm_blocks_end(blocks, count);
}

static void start_progress(cm_index_verify_events_t *self, const char *label, const char *unit)
{
    const cm_index_verify_events_settings_t *settings = &self->settings;

    cm_progress_start(&self->progress, settings->terminal ? settings->messages : NULL,
                      settings->terminal, label, unit);
}

static void show_share(void *context, double share)
{
    cm_progress_show(context, share, 0);
}

static int show_rows(void *context, int64_t rows)
{
    cm_index_verify_events_t *self = context;

    cm_progress_show(&self->progress, -1, (uint64_t)rows);
    return atomic_load(self->settings.stop) ? CM_ESTOP : 0;
}

/* The line of progress gives way to the rows. */
static int found(void *context, const cm_index_discrepancy_t *discrepancy)
{
    cm_index_verify_events_t *self = context;

    if (self->settings.terminal && self->progress.drawn)
        cm_progress_end(&self->progress);
    return self->settings.found(self->settings.context, discrepancy);
}

/* Compares the result, which covers the events before `end_ordinal` (NOT_KNOWN: all). */
static int compare(cm_index_verify_events_t *self, const cm_mill_result_t *result, unsigned windows,
                   int64_t end_ordinal, cm_err_t *err)
{
    cm_store_t *events = self->settings.events;
    cm_reader_t *strings = NULL;
    bool daily = self->settings.daily;

    int rc = cm_store_reader(events, &strings, err);
    if (rc == 0 && !daily && cm_store_is_directory(events))
        rc = cm_store_daily(events, &daily, err);
    if (rc < 0) {
        cm_reader_close(strings);
        return rc;
    }
    const int64_t newer = events_of(strings) - end_ordinal;
    if (self->settings.growing && end_ordinal >= 0 && newer > self->newer)
        self->newer = newer;
    /* The days of newer events are not those of the answers. */
    const bool all = !self->settings.growing || newer == 0 || end_ordinal < 0;
    cm_index_t *expected = cm_index_computed_new(result, strings, daily && all);
    rc = cm_index_verify(&(cm_index_verify_options_t){.expected = expected,
                                                      .actual = self->settings.index,
                                                      .windows = windows,
                                                      .found = found,
                                                      .progress = show_rows,
                                                      .context = self},
                         &self->done, err);
    cm_index_close(expected);
    cm_reader_close(strings);
    return rc;
}

/* Computes and compares windows that cover the same events. */
static int verify_windows(cm_index_verify_events_t *self, unsigned windows, int64_t timeout,
                          int64_t end_ordinal, cm_err_t *err)
{
    const cm_index_verify_events_settings_t *settings = &self->settings;
    /* Beside a writer only one reader is sure to see the same blocks all the time. */
    const cm_mill_options_t mill = {.session_timeout = timeout,
                                    .windows = windows,
                                    .until =
                                        !settings->growing || end_ordinal < 0 ? 0 : end_ordinal,
                                    .memory = settings->memory,
                                    .threads = settings->growing ? 1 : 0,
                                    .stop = settings->stop,
                                    .log = settings->log,
                                    .reader = cm_store_reader_of,
                                    .context = settings->events,
                                    .progress = show_share,
                                    .progress_context = &self->progress};
    cm_mill_result_t result = {0};
    int rc = 0;

    start_progress(self, "recomputing", "events");
    if (end_ordinal != 0 || !settings->growing) /* until 0 means all */
        rc = cm_mill(&mill, &result, err);
    cm_progress_end(&self->progress);
    start_progress(self, "comparing", "rows");
    if (rc == 0)
        rc = compare(self, &result, windows, end_ordinal, err);
    cm_progress_end(&self->progress);
    cm_mill_result_free(&result);
    return rc;
}

int cm_index_verify_events_run(cm_index_verify_events_t *self, cm_err_t *err)
{
    int64_t timeouts[CM_WINDOW_COUNT] = {0};
    unsigned left = self->windows;
    int rc = 0;

    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        if (cm_window_in(left, w))
            timeouts[w] = timeout_of(self, (cm_window_t)w);
    }
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        const int64_t end_ordinal = self->fresh[w].processed;
        unsigned together = 0;
        if (!cm_window_in(left, w))
            continue;
        for (int other = w; other < CM_WINDOW_COUNT; other++) {
            if (cm_window_in(left, other) && timeouts[other] == timeouts[w] &&
                (!self->settings.growing || self->fresh[other].processed == end_ordinal))
                together |= cm_window_mask(other);
        }
        left &= ~together;
        rc = verify_windows(self, together, timeouts[w], end_ordinal, err);
    }
    return rc < 0 ? rc
                  : cm_index_verify_foreign(
                        &(cm_index_verify_options_t){
                            .actual = self->settings.index, .found = found, .context = self},
                        &self->done, err);
}

int cm_index_verify_events_changed(const cm_index_verify_events_t *self, bool *changed,
                                   cm_err_t *err)
{
    int rc = 0;

    *changed = false;
    for (int w = 0; rc == 0 && !*changed && w < CM_WINDOW_COUNT; w++) {
        cm_freshness_t now;
        if (!cm_window_in(self->windows, w))
            continue;
        rc = cm_index_freshness(self->settings.index, (cm_window_t)w, &now, err);
        *changed = rc == 0 && now.present &&
                   (now.processed != self->fresh[w].processed ||
                    now.updated_at != self->fresh[w].updated_at);
    }
    return rc;
}
