/* clickmill verify: are the answers those that follow from the events? */
#include "cmd/commands.h"
#include "cmd/verify_print.h"
#include "index/verify_events.h"
#include "pipeline/windows.h"

typedef struct verify_options {
    const char *windows; /* NULL: all that the index has */
    int64_t limit;
    cm_store_options_t store;
    cm_index_options_t index;
} verify_options_t;

static const cm_option_t options[] = {
    {.name = "window",
     .type = CM_OPT_TEXT,
     .offset = offsetof(verify_options_t, windows),
     .arg = "all|day|hour",
     .help = "only these windows, separated by commas; default: all that the index has"},
    {.name = "limit",
     .type = CM_OPT_INT,
     .offset = offsetof(verify_options_t, limit),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "largest number of differing rows to show; 0, the default, means all"},
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
     .offset = offsetof(verify_options_t, index),
     .rows = cm_index_server_option_rows},
    {.name = NULL},
};

typedef struct verification {
    cm_index_settings_t settings;
    cm_app_t *app;
    const verify_options_t *given;
    bool held; /* nothing can change in the index meanwhile */
    cm_store_foreign_t foreign;
    cm_verify_printer_t printer;
    cm_index_verify_events_t verify;
} verification_t;

/* ---- opening ---- */

/* Answers of Cassandra's events are not verified against the data directory's, which mostly has
 * none. */
static int check_store(const verification_t *self)
{
    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        if (cm_window_in(self->verify.windows, w) && self->verify.fresh[w].session_timeout < 0 &&
            self->verify.settings.growing)
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

static int found(void *context, const cm_index_discrepancy_t *discrepancy)
{
    return cm_verify_printer_add(context, discrepancy);
}

static int open_events(verification_t *self)
{
    const cm_store_settings_t settings = cm_app_store_settings(self->app, &self->given->store);
    cm_index_verify_events_settings_t *verify = &self->verify.settings;

    int rc = cm_store_open_verified(&settings, &verify->events, &self->foreign, &self->app->err);
    if (rc < 0)
        return rc;
    verify->growing = cm_store_is_directory(verify->events);
    cm_app_print_left_out(self->app, self->foreign.rejected);
    if (!verify->growing && self->foreign.wanted)
        print_foreign(self);
    return 0;
}

static int open_index(verification_t *self)
{
    cm_app_t *app = self->app;
    cm_index_t **index = &self->verify.settings.index;

    self->settings = cm_app_index_settings(app, &self->given->index);
    int rc = cm_index_open(&self->settings, index, &app->err);
    if (rc < 0)
        return rc;
    (*index)->unchecked = true;
    return cm_index_hold(*index, &self->held, &app->err);
}

static int prepare(verification_t *self)
{
    cm_app_t *app = self->app;
    unsigned asked = 0;

    self->verify.settings =
        (cm_index_verify_events_settings_t){.session_timeout = app->global.session_timeout,
                                            .daily = app->global.visitors == CM_VISITORS_DAILY,
                                            .memory = app->global.memory,
                                            .stop = app->stop,
                                            .log = &app->log,
                                            .messages = app->messages,
                                            .terminal = app->terminal,
                                            .found = found,
                                            .context = &self->printer};
    int rc = open_index(self);
    if (rc == 0 && self->given->windows != NULL)
        rc = cm_windows_parse(self->given->windows, &asked, &app->err);
    if (rc == 0)
        rc = cm_index_verify_events_choose(&self->verify, asked, &app->err);
    if (rc == 0)
        rc = open_events(self);
    return rc == 0 ? check_store(self) : rc;
}

/* ---- the account ---- */

/* Prints what was left out, and a possible cause of differences. */
static int note_events(verification_t *self)
{
    static const char *const words[] = {"users", "daily visitors"};
    cm_app_t *app = self->app;
    bool changed = false;
    int rc = 0;

    if (self->verify.newer > 0)
        fprintf(app->messages,
                "%lld events are newer than these answers and were left out: run `clickmill "
                "process`\n",
                (long long)self->verify.newer);
    if (self->verify.done.miscalled)
        fprintf(app->messages,
                "the index calls the users of all time %s, but by the events they are %s\n",
                words[!self->verify.done.daily], words[self->verify.done.daily]);
    if (!self->held)
        rc = cm_index_verify_events_changed(&self->verify, &changed, &app->err);
    if (changed)
        fprintf(app->messages, "the index was written meanwhile: verify it again\n");
    return rc;
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
        rc = cm_verify_printer_end(&self.printer,
                                   cm_index_verify_events_run(&self.verify, &app->err));
    }
    if (rc == 0)
        rc = note_events(&self);
    if (rc == 0)
        rc = cm_verify_print_account(app, &self.verify.done, self.verify.newer,
                                     self.foreign.wanted ? self.foreign.count : -1,
                                     (double)(cm_clock_ticks_ns() - started) / 1e9);
    if (rc == CM_ESTOP && atomic_load(app->stop))
        fprintf(app->messages, "stopped; not all was compared\n");
    cm_index_close(self.verify.settings.index);
    cm_store_close(self.verify.settings.events);
    if (rc == 0 && self.foreign.count > 0)
        rc = cm_fail(&app->err, CM_EDIFFER,
                     "%lld row%s of Cassandra's table differ from what its writers have noted; "
                     "`clickmill process --rebuild --store cassandra%s` reads all of it; as long "
                     "as others write, leave cassandra.only_writer out",
                     (long long)self.foreign.count, self.foreign.count == 1 ? "" : "s",
                     cm_index_argument(&self.settings));
    if (rc == 0 && cm_index_verified_wrong(&self.verify.done) > 0)
        rc = cm_fail(&app->err, CM_EDIFFER,
                     "the answers are not those that follow from the events; `clickmill process "
                     "--rebuild%s%s` makes them again",
                     !self.verify.settings.growing ? " --store cassandra" : "",
                     cm_index_argument(&self.settings));
    return rc;
}

const cm_command_t cm_cmd_verify = {
    .name = "verify",
    .arguments = "",
    .summary = "recompute the answers from the raw events and show every difference",
    .details =
        "Computes everything again from the raw events and compares it with what the index "
        "holds: every cell, and the numbers per URL, per country and of the whole site. Prints "
        "each difference with both values and ends with 10 when there is one. Nothing is "
        "written; other processes may write during this. Events of the data directory that "
        "arrived after the answers were computed are not compared, but counted.\n"
        "Averages are compared to the last bit where the index stores them (Elasticsearch). A "
        "document there that another program wrote and that is not an answer is shown by its id, "
        "and the comparison continues. Where ids of visitors live for one UTC day, it also "
        "compares "
        "whether the users of all time are called daily visitors.\n"
        "With --json it prints one object for each row that differs, with the fields that "
        "differ, and then the account of the run.",
    .options = options,
    .options_size = sizeof(verify_options_t),
    .run = run,
};
