#include "cmd/query_by.h"

#include "base/progress.h"
#include "cmd/query_by_print.h"
#include "cmd/query_events.h"
#include "index/listing.h"
#include "mill/report.h"
#include "mill/team.h"
#include "store/readers.h"

/* ---- the question ---- */

static const char *dimensions_of(const char *listing)
{
    static const char *const names[CM_LISTING_COUNT] = {[CM_LIST_ANSWERS] = "url,country",
                                                        [CM_LIST_PAGES] = "url",
                                                        [CM_LIST_COUNTRIES] = "country",
                                                        [CM_LIST_SUMMARY] = ""};

    for (int i = 0; i < CM_LISTING_COUNT; i++) {
        if (strcmp(listing, cm_listing_names[i]) == 0)
            return names[i];
    }
    return "";
}

static int find_by(cm_app_t *app, const cm_query_by_options_t *options,
                   const cm_query_common_t *common, const char *given, const char **by)
{
    *by = options->values != NULL ? options->values : options->by;
    if (options->values != NULL && options->by != NULL)
        return cm_fail(&app->err, CM_EUSAGE,
                       "--values lists the values of one dimension; leave out --by, or ask with "
                       "--by and without --values");
    if (common->listing != NULL && *by != NULL)
        return cm_fail(&app->err, CM_EUSAGE, "query %s asks --by '%s'; leave out one of them",
                       common->listing, dimensions_of(common->listing));
    if (common->listing != NULL)
        *by = dimensions_of(common->listing);
    if (*by == NULL)
        return cm_fail(&app->err, CM_EUSAGE,
                       "--%s belongs to a question: give --by DIM[,DIM...] with it; --by '' is the "
                       "total",
                       given);
    if (options->values != NULL && (options->values[0] == '\0' || options->measures != NULL))
        return cm_fail(&app->err, CM_EUSAGE,
                       "--values wants one dimension, and lists its values with their events; for "
                       "other measures ask with --by");
    return 0;
}

static int parse(cm_app_t *app, const cm_query_by_options_t *options,
                 const cm_query_common_t *common, const char *by, cm_question_t *question)
{
    const cm_question_text_t text = {.by = by,
                                     .measures =
                                         options->values != NULL ? "events" : options->measures,
                                     .from = common->from,
                                     .to = common->to,
                                     .step = options->step,
                                     .zone = options->zone,
                                     .compare = options->compare,
                                     .sort = common->sort,
                                     .where = options->where.list,
                                     .where_visit = options->where_visit.list,
                                     .where_user = options->where_user.list,
                                     .limit = common->limit,
                                     .offset = options->offset,
                                     .reverse = common->reverse,
                                     .now = cm_clock_now_ms(app->clock)};

    int rc = cm_question_parse(&text, question, &app->err);
    if (rc == 0 && options->values != NULL && question->dim_count != 1)
        rc = cm_fail(&app->err, CM_EUSAGE, "--values wants one dimension, not %zu",
                     question->dim_count);
    return rc;
}

/* ---- asking ---- */

/* Events that were opened, in order. */
typedef struct asking {
    cm_query_events_t events;
    cm_readers_t readers;
    cm_timelines_t *timelines;
    cm_attribution_rules_t *rules;
    cm_progress_t progress;
} asking_t;

static void asking_close(asking_t *self)
{
    cm_timelines_close(self->timelines);
    cm_readers_close(&self->readers);
    cm_attribution_rules_free(self->rules);
    cm_query_events_close(&self->events);
}

/* Sites are those of the configuration and those that imports have recorded. */
static int make_rules(cm_app_t *app, asking_t *self, const cm_attribution_settings_t *settings)
{
    cm_buf_t sites = CM_BUF_INIT;

    cm_buf_add_text(&sites, settings->sites != NULL ? settings->sites : "");
    int rc = cm_query_events_sites(&self->events, &sites, &app->err);
    if (rc == 0)
        rc = cm_attribution_rules_new(sites.data, settings->ignored, &self->rules, &app->err);
    cm_buf_free(&sites);
    return rc;
}

static int asking_open(cm_app_t *app, const cm_query_by_options_t *options, asking_t *self)
{
    const int threads = cm_team_size(0);
    const cm_timelines_options_t timelines = {.memory = app->global.memory,
                                              .threads = threads,
                                              .stop = app->stop,
                                              .log = &app->log,
                                              .reader = cm_readers_take,
                                              .context = &self->readers};

    int rc = cm_query_events_open(app, &options->store, &self->events);
    if (rc == 0)
        rc = make_rules(app, self, &options->attribution);
    if (rc == 0)
        rc = cm_readers_open(self->events.store, threads, &self->readers, &app->err);
    return rc == 0 ? cm_timelines_open(&timelines, &self->timelines, &app->err) : rc;
}

/* Called while a question is answered; it is never given up this way. */
static bool show_progress(void *context)
{
    asking_t *self = context;

    cm_progress_show(&self->progress, -1, 0);
    return false;
}

static int ask(cm_app_t *app, asking_t *self, const cm_question_t *question, cm_report_t *report)
{
    const cm_report_facts_t facts = {.daily_ids = self->events.daily};
    const cm_ask_options_t options = {.timelines = self->timelines,
                                      .rules = self->rules,
                                      .session_timeout = app->global.session_timeout,
                                      .memory = app->global.memory,
                                      .memory_name = "--memory",
                                      .stop = app->stop,
                                      .gives_up = show_progress,
                                      .context = self};

    cm_progress_start(&self->progress, app->terminal ? app->messages : NULL, app->terminal,
                      "asking", "events");
    int rc = cm_report_make(&options, &facts, question, report, &app->err);
    cm_progress_end(&self->progress);
    return rc;
}

int cm_query_by(cm_app_t *app, const cm_query_by_options_t *options,
                const cm_query_common_t *common, const char *given)
{
    cm_question_t question = {.arena = CM_ARENA_INIT};
    cm_report_t report = {.rows = NULL};
    asking_t asking = {.timelines = NULL};
    const char *by;

    int rc = find_by(app, options, common, given, &by);
    if (rc == 0)
        rc = parse(app, options, common, by, &question);
    if (rc == 0)
        rc = asking_open(app, options, &asking);
    if (rc == 0)
        rc = ask(app, &asking, &question, &report);
    if (rc == 0)
        rc = cm_query_by_print(app, &report, common->format);
    cm_report_free(&report);
    asking_close(&asking);
    cm_question_free(&question);
    return rc;
}
