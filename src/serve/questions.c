#include "serve/questions.h"

#include "base/clock.h"
#include "mill/report.h"
#include "mill/team.h"
#include "store/memory.h"
#include "store/open.h"
#include "store/readers.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    FRESH_MS = 1000,   /* how old answers may be */
    CHECK_ROWS = 1024, /* so often it is asked whether an answer is still wanted */
};

/* Events of one moment, in order. */
typedef struct moment {
    int references; /* guarded by the lock of the questions */
    cm_store_t *store;
    cm_readers_t readers;
    cm_timelines_t *timelines;
    cm_attribution_rules_t *rules;
    cm_buf_t sites;    /* of the configuration and of imports */
    cm_buf_t identity; /* of the store; empty: there is none */
    bool daily;
    int64_t end; /* the ordinal behind the last event */
} moment_t;

struct cm_questions {
    cm_questions_settings_t settings;
    const cm_log_t *log;
    atomic_bool stopping;
    pthread_mutex_t opening; /* one thread looks at the store; the others wait for what it finds */
    pthread_mutex_t lock;    /* guards all below */
    moment_t *current;       /* NULL: none */
    int64_t checked_ns, used_ns;
};

struct cm_questions_asking {
    cm_questions_t *questions;
    moment_t *moment;
    cm_question_t list[CM_QUESTIONS_MAX];
    size_t count;
    cm_questions_format_t format;
    char tag[CM_QUESTIONS_TAG];
};

/* ---- moments ---- */

static void moment_free(moment_t *moment)
{
    cm_timelines_close(moment->timelines);
    cm_readers_close(&moment->readers);
    cm_store_close(moment->store);
    cm_attribution_rules_free(moment->rules);
    cm_buf_free(&moment->sites);
    cm_buf_free(&moment->identity);
    free(moment);
}

static void drop(cm_questions_t *questions, moment_t *moment)
{
    pthread_mutex_lock(&questions->lock);
    const bool last = moment != NULL && --moment->references == 0;
    pthread_mutex_unlock(&questions->lock);
    if (last)
        moment_free(moment);
}

/* Opens the store of the data directory, and reads what it has recorded. Where there is none yet,
 * it is one without events. */
static int open_store(const cm_questions_settings_t *settings, moment_t *moment, cm_err_t *err)
{
    bool daily = false;

    cm_buf_add_text(&moment->sites, settings->given.attribution.sites != NULL
                                        ? settings->given.attribution.sites
                                        : "");
    int rc = cm_store_open_directory_read(settings->data_dir, &moment->store, err);
    if (rc == CM_EINPUT) {
        moment->store = cm_memory_new();
        return 0;
    }
    if (rc == 0)
        cm_store_identity(moment->store, &moment->identity);
    if (rc == 0)
        rc = cm_store_sites(moment->store, &moment->sites, err);
    if (rc == 0)
        rc = cm_store_daily(moment->store, &daily, err);
    moment->daily = daily || settings->daily;
    return rc;
}

static int find_end(moment_t *moment, cm_err_t *err)
{
    const cm_block_ref_t *blocks;
    size_t count = 0;

    int rc = cm_reader_blocks(moment->readers.list[0], &blocks, &count, err);
    moment->end = rc == 0 ? cm_blocks_end(blocks, count) : 0;
    return rc;
}

static bool same_text(const cm_buf_t *a, const cm_buf_t *b)
{
    return cm_str_equal((cm_str_t){a->data, a->len}, (cm_str_t){b->data, b->len});
}

/* The current moment still is what the store has. */
static bool is_current(const moment_t *current, const moment_t *now)
{
    return current != NULL && current->end == now->end && current->daily == now->daily &&
           same_text(&current->sites, &now->sites) && same_text(&current->identity, &now->identity);
}

/* `before`: the moment that was current; or NULL. */
static int put_in_order(cm_questions_t *questions, const moment_t *before, moment_t *moment,
                        cm_err_t *err)
{
    const cm_questions_settings_t *settings = &questions->settings;
    const cm_timelines_options_t options = {.memory = settings->memory,
                                            .threads = moment->readers.count,
                                            .stop = &questions->stopping,
                                            .log = questions->log,
                                            .reader = cm_readers_take,
                                            .context = &moment->readers};
    const bool grown = before != NULL && same_text(&before->identity, &moment->identity);

    int rc = cm_attribution_rules_new(moment->sites.data, settings->given.attribution.ignored,
                                      &moment->rules, err);
    if (rc == 0)
        rc = cm_timelines_grow(grown ? before->timelines : NULL, &options, &moment->timelines, err);
    return rc;
}

/* Makes the current moment that of the store. `opening` is locked. */
static int look(cm_questions_t *questions, cm_err_t *err)
{
    moment_t *now = cm_alloc_zero(1, sizeof *now), *before = NULL;
    const int64_t started_ns = cm_clock_ticks_ns();

    now->references = 1;
    int rc = open_store(&questions->settings, now, err);
    if (rc == 0)
        rc = cm_readers_open(now->store, cm_team_size(0), &now->readers, err);
    if (rc == 0)
        rc = find_end(now, err);
    const bool same = rc == 0 && is_current(questions->current, now);
    if (rc == 0 && !same)
        rc = put_in_order(questions, questions->current, now, err);
    if (rc < 0 || same)
        moment_free(now);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&questions->lock);
    questions->checked_ns = started_ns;
    if (!same) {
        before = questions->current;
        questions->current = now;
    }
    pthread_mutex_unlock(&questions->lock);
    drop(questions, before);
    return 0;
}

static moment_t *current_moment(cm_questions_t *questions)
{
    pthread_mutex_lock(&questions->lock);
    moment_t *moment = questions->current;
    const int64_t now_ns = cm_clock_ticks_ns();
    if (moment != NULL && now_ns - questions->checked_ns <= FRESH_MS * INT64_C(1000000)) {
        moment->references++;
        questions->used_ns = now_ns;
    } else {
        moment = NULL;
    }
    pthread_mutex_unlock(&questions->lock);
    return moment;
}

/* A moment that is a second old at most; the caller drops it. */
static int take(cm_questions_t *questions, moment_t **moment, cm_err_t *err)
{
    int rc = 0;

    *moment = current_moment(questions);
    if (*moment != NULL)
        return 0;
    pthread_mutex_lock(&questions->opening);
    *moment = current_moment(questions); /* another thread may have looked */
    if (*moment == NULL)
        rc = look(questions, err);
    if (*moment == NULL && rc == 0) {
        pthread_mutex_lock(&questions->lock);
        *moment = questions->current;
        (*moment)->references++;
        questions->used_ns = cm_clock_ticks_ns();
        pthread_mutex_unlock(&questions->lock);
    }
    pthread_mutex_unlock(&questions->opening);
    return rc;
}

void cm_questions_tidy(cm_questions_t *questions)
{
    const int64_t oldest_ns = cm_clock_ticks_ns() - CM_QUESTIONS_IDLE_MS * INT64_C(1000000);
    moment_t *unused = NULL;

    if (pthread_mutex_trylock(&questions->opening) != 0)
        return;
    pthread_mutex_lock(&questions->lock);
    if (questions->current != NULL && questions->used_ns < oldest_ns) {
        unused = questions->current;
        questions->current = NULL;
    }
    pthread_mutex_unlock(&questions->lock);
    pthread_mutex_unlock(&questions->opening);
    drop(questions, unused);
}

/* ---- beginning and end ---- */

cm_questions_t *cm_questions_new(const cm_questions_settings_t *settings, const cm_log_t *log)
{
    cm_questions_t *questions = cm_alloc_zero(1, sizeof *questions);

    questions->settings = *settings;
    questions->log = log;
    pthread_mutex_init(&questions->opening, NULL);
    pthread_mutex_init(&questions->lock, NULL);
    return questions;
}

void cm_questions_stop(cm_questions_t *questions)
{
    atomic_store(&questions->stopping, true);
}

void cm_questions_free(cm_questions_t *questions)
{
    if (questions == NULL)
        return;
    drop(questions, questions->current);
    pthread_mutex_destroy(&questions->opening);
    pthread_mutex_destroy(&questions->lock);
    free(questions);
}

int64_t cm_questions_limit_ms(const cm_questions_t *questions)
{
    return questions->settings.given.time;
}

/* ---- one question ---- */

static void make_tag(cm_questions_asking_t *asking, cm_str_t text)
{
    const moment_t *moment = asking->moment;
    const cm_questions_settings_t *settings = &asking->questions->settings;
    cm_buf_t all = CM_BUF_INIT;

    cm_buf_add_str(&all, text);
    for (size_t q = 0; q < asking->count; q++) {
        const cm_span_t span = asking->list[q].span, before = asking->list[q].before;
        cm_buf_printf(&all, "%lld %lld %lld %lld ", (long long)span.from, (long long)span.to,
                      (long long)before.from, (long long)before.to);
    }
    /* Another version may have another table of referrers. */
    cm_buf_printf(&all, "%s %lld %lld %d ", CM_VERSION, (long long)moment->end,
                  (long long)settings->session_timeout, moment->daily);
    cm_buf_add(&all, moment->identity.data, moment->identity.len);
    cm_buf_add_char(&all, '\n');
    cm_buf_add_str(&all, (cm_str_t){moment->sites.data, moment->sites.len});
    cm_buf_add_char(&all, '\n');
    cm_buf_add_text(&all, settings->given.attribution.ignored != NULL
                              ? settings->given.attribution.ignored
                              : "");
    snprintf(asking->tag, sizeof asking->tag, "\"%016llx\"",
             (unsigned long long)XXH3_64bits(all.data, all.len));
    cm_buf_free(&all);
}

/* The questions of a request are of one moment. */
static int read_all(cm_questions_asking_t *asking, cm_str_t text, cm_err_t *err)
{
    const size_t count = cm_questions_count(text);
    const int64_t now = cm_clock_now_ms(NULL);
    int rc = 0;

    assert(count <= CM_QUESTIONS_MAX); /* cm_questions_check() has seen it */
    while (rc == 0 && asking->count < count) {
        rc = cm_questions_read(text, asking->count, now, &asking->list[asking->count],
                               &asking->format, err);
        asking->count++;
    }
    return rc;
}

int cm_questions_begin(cm_questions_t *questions, cm_str_t text, cm_questions_asking_t **out,
                       cm_err_t *err)
{
    cm_questions_asking_t *asking = cm_alloc_zero(1, sizeof *asking);

    asking->questions = questions;
    int rc = read_all(asking, text, err);
    if (rc == 0)
        rc = take(questions, &asking->moment, err);
    if (rc < 0) {
        cm_questions_end(asking);
        return rc;
    }
    make_tag(asking, text);
    *out = asking;
    return 0;
}

const char *cm_questions_tag(const cm_questions_asking_t *asking)
{
    return asking->tag;
}

static void add_time(cm_buf_t *body, const char *name, int64_t ms, int64_t none)
{
    char text[CM_TIME_TEXT];

    cm_buf_printf(body, "\"%s\":", name);
    if (ms == none)
        cm_buf_add_text(body, "null");
    else
        cm_buf_printf(body, "\"%s\"", cm_time_format(ms, text));
}

static void add_span(cm_buf_t *body, cm_span_t span)
{
    add_time(body, "from", span.from, INT64_MIN);
    cm_buf_add_char(body, ',');
    add_time(body, "to", span.to, INT64_MAX);
}

/* CM_ENOMEM when the text of the answer gets too long, CM_ESTOP when it is not wanted any more. */
static int check_body(const cm_ask_options_t *options, const cm_buf_t *body, size_t row,
                      cm_err_t *err)
{
    if (options->memory > 0 && (int64_t)body->len > options->memory)
        return cm_fail(err, CM_ENOMEM,
                       "the text of the answer is longer than %s allows; ask with a longer step, "
                       "a smaller limit, or fewer measures",
                       options->memory_name);
    return row % CHECK_ROWS == 0 ? cm_ask_check(options, err) : 0;
}

static int add_json(const cm_questions_asking_t *asking, const cm_ask_options_t *options,
                    cm_report_t *report, cm_buf_t *body, cm_err_t *err)
{
    int rc = 0;
    const moment_t *moment = asking->moment;
    const int64_t events = cm_timelines_events(moment->timelines);

    cm_buf_add_text(body, "{\"span\":{");
    add_span(body, report->span);
    if (report->question->compare != CM_COMPARE_NONE) {
        cm_buf_add_text(body, ",\"before\":{");
        add_span(body, report->question->before);
        cm_buf_add_char(body, '}');
    }
    cm_buf_add_text(body, "},\"rows\":[");
    for (size_t r = 0; rc == 0 && r < report->count; r++) {
        const cm_report_line_t line = cm_report_line(report, r);
        cm_buf_add_text(body, r > 0 ? ",\n" : "");
        cm_report_add_json(body, report, &line);
        rc = check_body(options, body, r, err);
    }
    cm_buf_add_text(body, "],\"total\":");
    cm_report_add_json(body, report, &report->total);
    cm_buf_printf(body, ",\"groups\":%zu,\"more\":%s,\"notes\":[", report->groups,
                  report->more ? "true" : "false");
    for (size_t n = 0; n < report->note_count; n++) {
        cm_buf_add_text(body, n > 0 ? "," : "");
        cm_buf_add_json(body, report->notes[n]);
    }
    cm_buf_printf(body, "],\"freshness\":{\"accepted\":%lld,\"events\":%lld,\"duplicates\":%lld}}",
                  (long long)moment->end, (long long)events, (long long)(moment->end - events));
    return rc;
}

static int add_csv(const cm_questions_asking_t *asking, const cm_ask_options_t *options,
                   cm_report_t *report, cm_buf_t *body, cm_err_t *err)
{
    int rc = 0;

    cm_report_add_csv_header(body, report);
    for (size_t r = 0; rc == 0 && r < report->count; r++) {
        const cm_report_line_t line = cm_report_line(report, r);
        cm_report_add_csv(body, report, &line, asking->format.safe);
        rc = check_body(options, body, r, err);
    }
    return rc;
}

/* One answer, or an object with the answers of all. */
static int add_answers(const cm_questions_asking_t *asking, const cm_ask_options_t *options,
                       cm_report_t *reports, cm_buf_t *body, cm_err_t *err)
{
    int rc = 0;

    if (asking->format.csv)
        return add_csv(asking, options, &reports[0], body, err);
    cm_buf_add_text(body, asking->count > 1 ? "{\"answers\":[" : "");
    for (size_t q = 0; rc == 0 && q < asking->count; q++) {
        cm_buf_add_text(body, q > 0 ? ",\n" : "");
        rc = add_json(asking, options, &reports[q], body, err);
    }
    cm_buf_add_text(body, asking->count > 1 ? "]}\n" : "\n");
    return rc;
}

int cm_questions_answer(cm_questions_asking_t *asking, bool (*gives_up)(void *context),
                        void *context, cm_buf_t *body, cm_err_t *err)
{
    const cm_questions_t *questions = asking->questions;
    const cm_ask_options_t options = {.timelines = asking->moment->timelines,
                                      .rules = asking->moment->rules,
                                      .session_timeout = questions->settings.session_timeout,
                                      .memory = questions->settings.given.memory,
                                      .memory_name = "serve.question_memory",
                                      .stop = &questions->stopping,
                                      .gives_up = gives_up,
                                      .context = context};
    const cm_report_facts_t facts = {.daily_ids = asking->moment->daily};
    const cm_question_t *list[CM_QUESTIONS_MAX];
    cm_report_t *reports = cm_alloc_zero(asking->count, sizeof *reports);

    for (size_t q = 0; q < asking->count; q++)
        list[q] = &asking->list[q];
    int rc = cm_report_make_all(&options, &facts, list, asking->count, reports, err);
    if (rc == 0)
        rc = add_answers(asking, &options, reports, body, err);
    for (size_t q = 0; q < asking->count; q++)
        cm_report_free(&reports[q]);
    free(reports);
    return rc;
}

void cm_questions_end(cm_questions_asking_t *asking)
{
    if (asking == NULL)
        return;
    drop(asking->questions, asking->moment);
    for (size_t q = 0; q < asking->count; q++)
        cm_question_free(&asking->list[q]);
    free(asking);
}
