/* clickmill verify: are the answers those that follow from the events? */
#include "base/progress.h"
#include "cmd/commands.h"
#include "cmd/verify_print.h"
#include "index/computed.h"
#include "pipeline/upkeep.h"
#include "pipeline/windows.h"

typedef struct verify_options {
    const char *windows; /* NULL: all that the index has */
    int64_t limit;
    cm_store_options_t store;
    int index; /* cm_index_choice_t */
    cm_elastic_options_t elastic;
} verify_options_t;

static const cm_option_t options[] = {
    {.name = "window",
     .type = CM_OPT_TEXT,
     .offset = offsetof(verify_options_t, windows),
     .arg = "all|day|hour",
     .help = "only these windows, several with commas; else all that the index has"},
    {.name = "limit",
     .type = CM_OPT_INT,
     .offset = offsetof(verify_options_t, limit),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "rows that differ shown at most; 0, the default, means all"},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(verify_options_t, store),
     .rows = cm_store_option},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(verify_options_t, index),
     .rows = cm_index_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(verify_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(verify_options_t, elastic),
     .rows = cm_elastic_option_rows},
    {.name = NULL},
};

enum { NOT_KNOWN = -1 /* events that answers cover */ };

typedef struct verification {
    cm_index_settings_t settings;
    cm_app_t *app;
    const verify_options_t *given;
    cm_index_t *index;
    bool held; /* nothing can change in it meanwhile */
    cm_store_t *events;
    bool growing; /* others may add events to that store meanwhile */
    cm_store_foreign_t foreign;
    cm_freshness_t fresh[CM_WINDOW_COUNT];
    unsigned windows;
    cm_progress_t progress;
    cm_verify_printer_t printer;
    cm_index_verified_t done;
    int64_t newer; /* events that the answers of some window do not cover */
} verification_t;

static const char *label_of(cm_window_t window)
{
    static const char *const labels[CM_WINDOW_COUNT] = {"", " --window day", " --window hour"};
    return labels[window];
}

/* ---- what there is ---- */

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

/* An index that others write may have answers and not say how far they are: then they are taken to
 * be of all events. */
static int look(verification_t *self, cm_window_t window)
{
    const cm_index_query_t query = {.window = window, .unsorted = true, .foreign = skip_foreign};
    cm_freshness_t *fresh = &self->fresh[window];

    int rc = cm_index_freshness(self->index, window, fresh, &self->app->err);
    if (rc < 0 || fresh->present)
        return rc;
    fresh->processed = NOT_KNOWN;
    rc = cm_index_query(self->index, &query, take_any, &fresh->present, &self->app->err);
    return rc == SEEN ? 0 : rc;
}

static int choose_windows(verification_t *self)
{
    cm_app_t *app = self->app;
    unsigned asked = 0;
    int rc = 0;

    if (self->given->windows != NULL)
        rc = cm_windows_parse(self->given->windows, &asked, &app->err);
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        rc = look(self, (cm_window_t)w);
        if (rc == 0 && cm_window_in(asked, w) && !self->fresh[w].present)
            rc = cm_fail(&app->err, CM_EINPUT,
                         "there are no answers for the window %s yet: run `clickmill process%s`",
                         cm_index_window_names[w], label_of((cm_window_t)w));
        self->windows |= self->fresh[w].present ? cm_window_mask(w) : 0;
    }
    if (rc == 0 && self->windows == 0)
        rc = cm_fail(&app->err, CM_EINPUT, "there are no answers yet: run `clickmill process`");
    if (asked != 0)
        self->windows &= asked;
    return rc;
}

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

/* The answers' own session timeout; says so where it is not the one asked for. */
static int64_t timeout_of(verification_t *self, cm_window_t window)
{
    const int64_t asked = self->app->global.session_timeout;
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
    fprintf(self->app->messages, "%s\n", line.data);
    cm_buf_free(&line);
    return made_with;
}

/* ---- milling ---- */

static int open_reader(void *context, cm_reader_t **reader, cm_err_t *err)
{
    verification_t *self = context;
    return cm_store_reader(self->events, reader, err);
}

static int64_t events_of(cm_reader_t *reader)
{
    const cm_block_ref_t *blocks;
    size_t count;

    if (cm_reader_blocks(reader, &blocks, &count, NULL) < 0)
        return 0;
    return cm_blocks_end(blocks, count);
}

static void start_progress(verification_t *self, const char *label, const char *unit)
{
    cm_progress_start(&self->progress, self->app->terminal ? self->app->messages : NULL,
                      self->app->terminal, label, unit);
}

static int found(void *context, const cm_index_discrepancy_t *discrepancy)
{
    verification_t *self = context;

    if (self->app->terminal && self->progress.drawn)
        cm_progress_end(&self->progress);
    return cm_verify_printer_add(&self->printer, discrepancy);
}

static int show_rows(void *context, int64_t rows)
{
    verification_t *self = context;
    cm_progress_show(&self->progress, -1, (uint64_t)rows);
    return atomic_load(self->app->stop) ? CM_ESTOP : 0;
}

/* Recomputes and compares windows that cover the same events. */
static int verify_windows(verification_t *self, unsigned windows, int64_t timeout,
                          int64_t end_ordinal)
{
    cm_app_t *app = self->app;
    /* Beside a writer only one reader is sure to see the same blocks all the time. */
    const cm_mill_options_t mill = {.session_timeout = timeout,
                                    .windows = windows,
                                    .until = !self->growing || end_ordinal < 0 ? 0 : end_ordinal,
                                    .memory = app->global.memory,
                                    .threads = self->growing ? 1 : 0,
                                    .stop = app->stop,
                                    .log = &app->log,
                                    .reader = open_reader,
                                    .context = self,
                                    .progress = cm_upkeep_progress,
                                    .progress_context = &self->progress};
    cm_mill_result_t result = {0};
    cm_reader_t *strings = NULL;
    cm_index_t *expected = NULL;
    int rc = 0;

    start_progress(self, "recomputing", "events");
    if (end_ordinal != 0 || !self->growing) /* until 0 means all */
        rc = cm_mill(&mill, &result, &app->err);
    cm_progress_end(&self->progress);
    start_progress(self, "comparing", "rows");
    if (rc == 0)
        rc = open_reader(self, &strings, &app->err);
    if (rc == 0) {
        const int64_t newer = events_of(strings) - end_ordinal;
        if (self->growing && end_ordinal >= 0 && newer > self->newer)
            self->newer = newer;
        expected = cm_index_computed_new(&result, strings);
        rc = cm_index_verify(&(cm_index_verify_options_t){.expected = expected,
                                                          .actual = self->index,
                                                          .windows = windows,
                                                          .found = found,
                                                          .progress = show_rows,
                                                          .context = self},
                             &self->done, &app->err);
    }
    cm_progress_end(&self->progress);
    cm_index_close(expected);
    cm_reader_close(strings);
    cm_mill_result_free(&result);
    return rc;
}

/* ---- the whole ---- */

static int verify_all(verification_t *self)
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
            if (left & 1u << other && timeouts[other] == timeouts[w] &&
                (!self->growing || self->fresh[other].processed == end_ordinal))
                together |= 1u << other;
        }
        left &= ~together;
        rc = verify_windows(self, together, timeouts[w], end_ordinal);
    }
    if (rc == 0)
        rc = cm_index_verify_foreign(
            &(cm_index_verify_options_t){.actual = self->index, .found = found, .context = self},
            &self->done, &self->app->err);
    return rc;
}

/* Answers of Cassandra's events are not verified against the data directory's, which mostly has
 * none. */
static int check_store(const verification_t *self)
{
    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        if (cm_window_in(self->windows, w) && self->fresh[w].session_timeout < 0 && self->growing)
            return cm_fail(&self->app->err, CM_EUSAGE,
                           "these answers were made from the events in Cassandra, not from those "
                           "in %s: verify them with --store cassandra",
                           self->app->global.data_dir);
    }
    return 0;
}

/* Names rows that another program has written, where only Clickmill may write. */
static void print_foreign(const verification_t *self)
{
    const cm_cassandra_options_t *given = &self->given->store.cassandra;
    const cm_store_foreign_t *foreign = &self->foreign;
    cm_app_t *app = self->app;

    if (!foreign->compared)
        fprintf(app->messages,
                "rows of other programs cannot be told: %s has no copy of the table; `clickmill "
                "process` makes it\n",
                app->global.data_dir);
    for (int64_t i = 0; i < foreign->count && i < CM_STORE_FOREIGN_NAMED; i++)
        fprintf(app->messages,
                "%s.%s[%s]: another program has written or deleted this row, which "
                "cassandra.only_writer rules out\n",
                given->keyspace, given->table, foreign->first[i]);
}

static int open_events(verification_t *self)
{
    const cm_store_settings_t settings = cm_app_store_settings(self->app, &self->given->store);

    int rc = cm_store_open_verified(&settings, &self->events, &self->foreign, &self->app->err);
    if (rc < 0)
        return rc;
    self->growing = cm_store_is_directory(self->events);
    cm_app_print_left_out(self->app, self->foreign.rejected);
    if (!self->growing && self->foreign.wanted)
        print_foreign(self);
    return 0;
}

static int prepare(verification_t *self)
{
    cm_app_t *app = self->app;

    self->settings = cm_app_index_settings(app, self->given->index, &self->given->elastic);
    int rc = cm_index_open(&self->settings, &self->index, &app->err);
    if (rc == 0) {
        self->index->unchecked = true;
        rc = cm_index_hold(self->index, &self->held, &app->err);
    }
    if (rc == 0)
        rc = choose_windows(self);
    if (rc == 0)
        rc = open_events(self);
    return rc == 0 ? check_store(self) : rc;
}

/* What may be behind differences, and what was left out. */
static int note_events(verification_t *self)
{
    cm_app_t *app = self->app;
    int rc = 0;

    if (self->newer > 0)
        fprintf(app->messages,
                "%lld events are newer than these answers and were left out: run `clickmill "
                "process`\n",
                (long long)self->newer);
    for (int w = 0; rc == 0 && !self->held && w < CM_WINDOW_COUNT; w++) {
        cm_freshness_t now;
        if (!cm_window_in(self->windows, w))
            continue;
        rc = cm_index_freshness(self->index, (cm_window_t)w, &now, &app->err);
        if (rc == 0 && now.present &&
            (now.processed != self->fresh[w].processed ||
             now.updated_at != self->fresh[w].updated_at)) {
            fprintf(app->messages, "the index was written meanwhile: verify it again\n");
            break;
        }
    }
    return rc;
}

static void add_part(cm_buf_t *line, int64_t count, const char *what, bool *first)
{
    if (count == 0)
        return;
    cm_buf_add_text(line, *first ? ": " : ", ");
    cm_buf_add_grouped(line, count);
    cm_buf_add_text(line, what);
    *first = false;
}

static int print_account(const verification_t *self, double seconds)
{
    const cm_index_verified_t *done = &self->done;
    const int64_t wrong = cm_index_verified_wrong(done);
    cm_app_t *app = self->app;
    cm_buf_t line = CM_BUF_INIT;
    bool first = true;

    if (app->global.json) {
        cm_buf_printf(&line,
                      "{\"cells\":%lld,\"totals\":%lld,\"differ\":%lld,\"missing\":%lld,"
                      "\"unexpected\":%lld,\"foreign\":%lld,\"newer\":%lld,",
                      (long long)done->cells, (long long)done->totals, (long long)done->differ,
                      (long long)done->missing, (long long)done->unexpected,
                      (long long)done->foreign, (long long)self->newer);
        if (self->foreign.wanted)
            cm_buf_printf(&line, "\"strange_rows\":%lld,", (long long)self->foreign.count);
        cm_buf_printf(&line, "\"seconds\":%.6f}\n", seconds);
        int rc = cm_app_write(app, &line);
        cm_buf_free(&line);
        return rc;
    }
    cm_buf_add_grouped(&line, done->cells);
    cm_buf_add_text(&line, " cells and ");
    cm_buf_add_grouped(&line, done->totals);
    cm_buf_add_text(&line, " totals compared in ");
    cm_buf_printf(&line, "%.3f s, ", seconds);
    if (wrong == 0)
        cm_buf_add_text(&line, "none differs");
    else
        cm_buf_add_grouped(&line, wrong);
    if (wrong > 0)
        cm_buf_add_text(&line, wrong == 1 ? " differs" : " differ");
    add_part(&line, done->differ, " with other numbers", &first);
    add_part(&line, done->missing, " missing in the index", &first);
    add_part(&line, done->unexpected, " that should not be there", &first);
    add_part(&line, done->foreign,
             done->foreign == 1 ? " document of another program" : " documents of another program",
             &first);
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
    return 0;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    verification_t self = {.app = app, .given = given};
    const int64_t started = cm_clock_ticks_ns();

    (void)argc;
    (void)argv;
    int rc = prepare(&self);
    if (rc == 0) {
        cm_verify_printer_start(&self.printer, app, self.given->limit);
        rc = cm_verify_printer_end(&self.printer, verify_all(&self));
    }
    if (rc == 0)
        rc = note_events(&self);
    if (rc == 0)
        rc = print_account(&self, (double)(cm_clock_ticks_ns() - started) / 1e9);
    if (rc == CM_ESTOP && atomic_load(app->stop))
        fprintf(app->messages, "stopped; not all was compared\n");
    cm_index_close(self.index);
    cm_store_close(self.events);
    if (rc == 0 && self.foreign.count > 0)
        rc = cm_fail(&app->err, CM_EDIFFER,
                     "%lld row%s of Cassandra's table differ from what its writers have noted; "
                     "`clickmill process --rebuild --store cassandra%s` reads all of it; as long "
                     "as others write, leave cassandra.only_writer out",
                     (long long)self.foreign.count, self.foreign.count == 1 ? "" : "s",
                     cm_index_argument(&self.settings));
    if (rc == 0 && cm_index_verified_wrong(&self.done) > 0)
        rc = cm_fail(&app->err, CM_EDIFFER,
                     "the answers are not those that follow from the events; `clickmill process "
                     "--rebuild%s%s` makes them again",
                     !self.growing ? " --store cassandra" : "", cm_index_argument(&self.settings));
    return rc;
}

const cm_command_t cm_cmd_verify = {
    .name = "verify",
    .arguments = "",
    .summary = "recompute the answers from the raw events and show every difference",
    .details = "Computes everything anew from the raw events and compares it with what the index "
               "holds: every cell, and the numbers per URL, per country and of the whole site. "
               "Prints each difference with both values and ends with 10 when there is one. "
               "Nothing is written; others may write meanwhile. Events of the data directory that "
               "came after the answers were made are left out, and counted.\n"
               "Averages are compared to the last bit where the index stores them "
               "(Elasticsearch). A document there that another program wrote and that is no answer "
               "is shown by its id, and the comparison goes on.\n"
               "With --json one object a row that differs, with the fields that do, then the "
               "account of the run.",
    .options = options,
    .options_size = sizeof(verify_options_t),
    .run = run,
};
