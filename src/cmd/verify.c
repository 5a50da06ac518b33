/* clickmill verify: does the index hold what follows from the raw events? */
#include "base/progress.h"
#include "base/terminal.h"
#include "cmd/cassandra.h"
#include "cmd/commands.h"
#include "cmd/elastic.h"
#include "cmd/refresh.h"
#include "index/check.h"
#include "index/embedded.h"
#include "store/embedded.h"
#include "store/memory.h"

typedef struct verify_options {
    const char *windows;
    int64_t limit;
    int64_t threads;
    int store; /* cm_store_choice_t */
    int index; /* cm_index_choice_t */
    cm_cassandra_given_t cassandra;
    cm_elastic_given_t elastic;
} verify_options_t;

static const cm_option_t options[] = {
    {.name = "window",
     .type = CM_OPT_TEXT,
     .offset = offsetof(verify_options_t, windows),
     .arg = "all|day|hour",
     .help = "windows to compare, several with commas; else all that the index has"},
    {.name = "limit",
     .type = CM_OPT_INT,
     .offset = offsetof(verify_options_t, limit),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "differences to print at most, all are counted; 0, the default: all"},
    {.name = "threads",
     .type = CM_OPT_INT,
     .offset = offsetof(verify_options_t, threads),
     .arg = "N",
     .min = 0,
     .max = 64,
     .help = "threads of the mill; 0 means one per processor"},
    CM_STORE_ROW(verify_options_t, store),
    CM_INDEX_ROW(verify_options_t, index),
    CM_CASSANDRA_ROWS(verify_options_t, cassandra),
    CM_ELASTIC_ROWS(verify_options_t, elastic),
    {.name = NULL},
};

typedef struct verifier {
    cm_app_t *app;
    const verify_options_t *asked;
    cm_index_t *index;
    cm_freshness_t fresh[CM_WINDOW_COUNT];
    unsigned windows;
    int64_t printed;
} verifier_t;

/* ---- what is printed ---- */

static void add_value(cm_buf_t *line, const cm_check_value_t *value, bool json)
{
    if (!value->there)
        cm_buf_add_text(line, json ? "null" : "nothing");
    else if (value->real)
        cm_buf_add_double(line, value->average);
    else
        cm_buf_add_i64(line, value->number);
}

static void add_json(cm_buf_t *line, const cm_check_difference_t *found)
{
    cm_buf_t answer = CM_BUF_INIT;
    char start[CM_TIME_TEXT];

    cm_buf_printf(line, "{\"window\":\"%s\"", cm_window_names[found->answer->window]);
    if (found->answer->window != CM_WINDOW_ALL)
        cm_buf_printf(line, ",\"window_start\":\"%s\"",
                      cm_time_format(found->answer->window_start, start));
    cm_buf_add_text(line, ",\"url\":");
    if (found->answer->url.len > 0)
        cm_buf_add_json(line, found->answer->url);
    else
        cm_buf_add_text(line, "null");
    cm_buf_add_text(line, ",\"country\":");
    if (found->answer->country.len > 0)
        cm_buf_add_json(line, found->answer->country);
    else
        cm_buf_add_text(line, "null");
    cm_buf_printf(line, ",\"field\":\"%s\",\"events\":", found->field);
    add_value(line, &found->events, true);
    cm_buf_add_text(line, ",\"index\":");
    add_value(line, &found->index, true);
    cm_buf_add_text(line, "}\n");
    cm_buf_free(&answer);
}

static void add_text(cm_buf_t *line, const cm_check_difference_t *found)
{
    const cm_answer_t *answer = found->answer;
    char start[CM_TIME_TEXT];

    cm_buf_add_text(line, cm_window_names[answer->window]);
    if (answer->window != CM_WINDOW_ALL)
        cm_buf_printf(line, " %s", cm_time_format(answer->window_start, start));
    cm_buf_add_text(line, "  ");
    if (answer->url.len > 0)
        cm_terminal_add(line, answer->url);
    else
        cm_buf_add_text(line, "all pages");
    cm_buf_add_text(line, "  ");
    if (answer->country.len > 0)
        cm_terminal_add(line, answer->country);
    else
        cm_buf_add_text(line, "all countries");
    cm_buf_printf(line, "  %s: ", found->field);
    add_value(line, &found->events, false);
    cm_buf_add_text(line, " by the events, ");
    add_value(line, &found->index, false);
    cm_buf_add_text(line, " in the index\n");
}

static int print_difference(void *context, const cm_check_difference_t *found)
{
    verifier_t *self = context;
    cm_buf_t line = CM_BUF_INIT;
    int rc = 0;

    if (self->asked->limit == 0 || self->printed < self->asked->limit) {
        self->printed++;
        if (self->app->global.json)
            add_json(&line, found);
        else
            add_text(&line, found);
        rc = cm_app_write(self->app, &line);
    }
    cm_buf_free(&line);
    return rc;
}

/* ---- the two sides ---- */

/* The windows to compare: those asked for, else those that the index has. */
static int find_windows(verifier_t *self)
{
    cm_err_t *err = &self->app->err;
    unsigned has = 0;
    int rc = 0;

    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        rc = cm_index_freshness(self->index, (cm_window_t)w, &self->fresh[w], err);
        has |= self->fresh[w].present ? 1u << w : 0;
    }
    self->windows = has;
    if (rc == 0 && self->asked->windows != NULL)
        rc = cm_windows_parse(self->asked->windows, &self->windows, err);
    if (rc == 0 && self->windows == 0)
        rc = cm_fail(err, CM_EINPUT, "the index has no answers yet: run `clickmill process`");
    return rc;
}

/* Events that came after the answers were made are no difference: how many the answers cover, and
 * the session timeout that they were made with. */
static int read_coverage(verifier_t *self, cm_check_options_t *check)
{
    cm_app_t *app = self->app;
    cm_database_t database;
    cm_covered_t covered;
    int64_t newer = 0;
    int rc;

    if (self->asked->store != CM_STORE_EMBEDDED || self->asked->index != CM_INDEX_EMBEDDED)
        return 0;
    if ((rc = cm_database_open_read(app->global.data_dir, &database, &app->err)) < 0)
        return rc;
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        rc = cm_embedded_index_covered(&database, (cm_window_t)w, &covered, &app->err);
        if (rc < 0 || !(self->windows & 1u << w) || !self->fresh[w].present)
            continue;
        if (covered.session_timeout < 0) {
            rc = cm_fail(&app->err, CM_EUSAGE,
                         "the answers in %s are of Cassandra's events; --store cassandra compares "
                         "them",
                         app->global.data_dir);
        } else if (covered.session_timeout != check->session_timeout) {
            fprintf(app->messages,
                    "the answers were made with --session-timeout %llds, and are compared so\n",
                    (long long)covered.session_timeout / 1000);
            check->session_timeout = covered.session_timeout;
        }
        check->until[w] = covered.upto;
        newer = self->fresh[w].accepted - covered.upto > newer
                    ? self->fresh[w].accepted - covered.upto
                    : newer;
    }
    if (rc == 0 && newer > 0)
        fprintf(app->messages, "%lld events are newer than the answers and are left out\n",
                (long long)newer);
    cm_database_close(&database);
    return rc;
}

/* A further reader of the data directory, beside whoever writes it. */
static int open_reader(void *context, cm_reader_t **reader, cm_err_t *err)
{
    const verifier_t *self = context;
    return cm_embedded_open_reader(self->app->global.data_dir, reader, err);
}

static int compare(verifier_t *self, cm_checked_t *checked)
{
    cm_app_t *app = self->app;
    cm_account_t account = {0};
    cm_store_t *memory = NULL;
    cm_check_options_t check = {.windows = self->windows,
                                .session_timeout = app->global.session_timeout,
                                .memory = app->global.memory,
                                .threads = (int)self->asked->threads,
                                .stop = app->stop,
                                .reader = open_reader,
                                .reader_context = self,
                                .take = print_difference,
                                .context = self};

    int rc = read_coverage(self, &check);
    if (rc == 0 && self->asked->store == CM_STORE_CASSANDRA) {
        const cm_cassandra_settings_t settings =
            cm_cassandra_settings_of(app, &self->asked->cassandra);
        memory = cm_memory_new();
        rc = cm_cassandra_load_all(&settings, memory, &account, &app->err);
        check.reader = cm_store_reader_of;
        check.reader_context = memory;
    } else {
        check.threads = 1; /* beside a writer, two readers may see different blocks */
    }
    if (rc == 0)
        rc = cm_check_index(self->index, &check, checked, &app->err);
    if (memory != NULL)
        cm_sink_close(&memory->sink);
    return rc;
}

static void print_account(cm_app_t *app, const cm_checked_t *checked)
{
    cm_buf_t line = CM_BUF_INIT;

    if (app->global.json) {
        fprintf(app->out, "{\"compared\":%lld,\"differ\":%lld,\"differences\":%lld}\n",
                (long long)checked->compared, (long long)checked->differ,
                (long long)checked->differences);
        return;
    }
    cm_buf_add_grouped(&line, checked->compared);
    cm_buf_add_text(&line, " answers compared, ");
    cm_buf_add_grouped(&line, checked->differ);
    cm_buf_add_text(&line, " differ");
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    verifier_t self = {.app = app, .asked = given};
    const cm_elastic_settings_t elastic = cm_elastic_settings_of(app, &self.asked->elastic);
    cm_checked_t checked = {0};

    (void)argc;
    (void)argv;
    int rc = cm_index_open_chosen(app, self.asked->index, &elastic, &self.index, &app->err);
    if (rc < 0)
        return rc;
    rc = find_windows(&self);
    if (rc == 0)
        rc = compare(&self, &checked);
    if (rc == 0) {
        print_account(app, &checked);
        if (checked.differ > 0)
            rc =
                cm_fail(&app->err, CM_EDIFFER,
                        "the index differs from the events; `clickmill process --rebuild` makes it "
                        "anew");
    }
    cm_index_close(self.index);
    return rc;
}

const cm_command_t cm_command_verify = {
    .name = "verify",
    .arguments = "",
    .summary = "compute every answer anew from the events and compare it with the index",
    .details =
        "Reads all raw events (--store), computes the answers, and compares them with what the "
        "index (--index) holds, cell by cell, with the numbers per URL, per country and in total. "
        "Prints every difference with both values, and ends with 10 when there is one. With --json "
        "a difference is an object a line, the last line the account.\n"
        "Events of the data directory that are newer than the answers are left out. Between other "
        "stores and indices, answers that are not up to date differ.",
    .options = options,
    .options_size = sizeof(verify_options_t),
    .run = run,
};
