#include "cmd/run_loop.h"

#include "pipeline/unread.h"

enum {
    IDLE_MS = 50,  /* how long a turn waits for clicks where nothing else waits for events */
    REST_MS = 500, /* after a failure that may pass */
};

/* ---- the answers ---- */

int cm_run_open_answers(cm_run_t *run, int64_t every_ms)
{
    const cm_pipeline_env_t env = cm_app_env(run->app);
    const cm_index_refresh_options_t options = cm_app_refresh_options(run->app, CM_WINDOWS_EVERY);

    cm_upkeep_open(&run->upkeep, &env, run->store, &options, every_ms);
    run->upkeep.beside = true;
    run->upkeep.mirror = run->mirror;
    return cm_upkeep_whole(&run->upkeep, &run->app->err);
}

/* ---- one turn ---- */

/* Stores what Kafka has refused of what other threads sent. */
static int take_letters(cm_run_t *run)
{
    if (run->cluster.intake.topic == NULL || !cm_letters_wait(&run->cluster.letters))
        return 0;
    int rc = cm_pipeline_commit(&run->pipeline, &run->app->err);
    if (rc == 0)
        cm_letters_step(&run->cluster.letters);
    return rc;
}

/* Takes what has come over HTTP. */
static int take_clicks(cm_run_t *run)
{
    const bool source = run->pipeline.source != NULL;
    const bool full = source && run->pipeline.batch.count == CM_BATCH_EVENTS;

    int rc = cm_run_collect_step(&run->collect, full ? 0 : IDLE_MS, &run->app->err);
    run->upkeep.clicked |= rc > 0;
    if (rc == 0 && !source && run->collect.spooling.spool != NULL)
        cm_sleep_ms(IDLE_MS);
    return rc < 0 ? rc : 0;
}

static int tick(void *context, cm_err_t *err)
{
    cm_run_t *run = context;

    int rc = take_letters(run);
    if (rc == 0)
        rc = take_clicks(run);
    return rc == 0 ? cm_feed_check(&run->cluster.feed, err) : rc;
}

static bool due(void *context, int64_t now_ns)
{
    const cm_run_t *run = context;
    return cm_upkeep_due(&run->upkeep, now_ns);
}

static int refresh(void *context, cm_err_t *err)
{
    cm_run_t *run = context;

    int rc = cm_run_collect_record(&run->collect, err);
    return rc < 0 ? rc : cm_upkeep_step(&run->upkeep, err);
}

/* A disk that is full may have room again. Until then clients that send events get an error, and
 * the traffic that was made and not committed is lost. With servers the run ends: messages of a
 * topic that were read and not stored would be passed over, and the next run reads them again. */
static bool passes(const void *context, int code)
{
    const cm_run_t *run = context;

    return (code == CM_EIO || code == CM_EBUSY) && run->cluster.intake.topic == NULL &&
           run->cluster.remote == NULL;
}

static void look(void *context)
{
    cm_run_t *run = context;

    cm_intake_note_waiting(&run->cluster.intake, run->cluster.remote);
    cm_credentials_renew(&run->credentials, run->server, atomic_load(run->app->hangups),
                         &run->app->log);
}

/* ---- what it says ---- */

/* Everything that is stored here, and what came over HTTP and was not accepted. What was accepted
 * into the topic is counted when it is read from there, by this process or by another consumer of
 * the group. */
static cm_account_t account_of(const cm_run_t *run)
{
    const cm_account_t collected = cm_collecting_account(&run->collect.collecting);
    cm_account_t account = run->pipeline.account, here = collected;

    if (run->collect.spooling.spool != NULL) {
        here.read -= here.accepted;
        here.accepted = here.unknown_fields = 0;
    }
    cm_account_add(&account, &here);
    account.refused = collected.refused;
    cm_spooling_count(&run->collect.spooling, collected.accepted, &account);
    return account;
}

static uint64_t count(const void *context)
{
    return account_of(context).accepted;
}

static bool status(void *context, const cm_driver_pace_t *pace, cm_buf_t *line)
{
    cm_run_t *run = context;
    const cm_account_t account = account_of(run);

    cm_buf_add_grouped(line, run->upkeep.answers.events);
    cm_buf_add_text(line, " events, ");
    cm_buf_add_grouped(line, (int64_t)((double)pace->lately / pace->seconds + 0.5));
    cm_buf_add_text(line, "/s, ");
    cm_buf_add_grouped(line, run->upkeep.answers.cells);
    cm_buf_printf(line, " cells, answers in %.1f ms, %llu rejected", run->upkeep.seconds * 1000,
                  (unsigned long long)account.rejected);
    cm_collecting_add_refused(&run->collect.collecting, line);
    cm_buf_printf(line, "  http://%s", cm_server_address(run->server));
    if (run->mirror != NULL)
        cm_index_mirror_add_status(run->mirror, line);
    cm_intake_add_waiting(&run->cluster.intake, line);
    return true;
}

/* ---- loop and end ---- */

int cm_run_loop(cm_run_t *run)
{
    static const cm_driver_ops_t ops = {.tick = tick,
                                        .due = due,
                                        .refresh = refresh,
                                        .passes = passes,
                                        .look = look,
                                        .count = count,
                                        .status = status};

    cm_driver_start(&run->driver, &run->pipeline, &ops, run);
    run->driver.stays = true; /* the pages stay up when --count events are made */
    run->driver.rest_ms = REST_MS;
    run->driver.trip = "the run cannot go on for now";
    run->cluster.intake.driver = &run->driver;
    return cm_driver_run(&run->driver, &run->app->err);
}

static int print_account(cm_run_t *run, int rc)
{
    cm_app_t *app = run->app;
    const cm_account_t account = account_of(run);

    run->upkeep.answers.changed = true; /* "nothing new" would be wrong of the whole run */
    cm_publishing_print_accounts(app, &account,
                                 run->cluster.intake.topic != NULL
                                     ? "clickmill dead list --from kafka"
                                     : "clickmill dead list",
                                 &run->upkeep.answers, run->upkeep.seconds, run->mirror);
    if (!app->global.json)
        cm_collecting_print_refused(&run->collect.collecting, app->messages);
    if (rc == 0)
        rc = cm_feed_check(&run->cluster.feed, &app->err);
    return rc == 0 ? cm_accounts_check(&account, &app->err) : rc;
}

int cm_run_finish(cm_run_t *run)
{
    cm_cluster_t *cluster = &run->cluster;
    cm_err_t *err = &run->app->err;

    cm_pipeline_end_line(&run->pipeline.env);
    int rc = cm_pipeline_commit(&run->pipeline, err);
    if (rc == 0) {
        cm_feed_stop(&cluster->feed);
        rc = cm_run_collect_stop(&run->collect, err);
    }
    if (rc == 0)
        rc = cm_unread_read(&run->driver, &cluster->intake, &cluster->ends, err);
    if (rc == 0)
        rc = cm_run_collect_record(&run->collect, err);
    if (rc == 0)
        rc = cm_upkeep_whole(&run->upkeep, err);
    if (rc < 0)
        return rc;
    if (run->mirror != NULL)
        rc = cm_index_mirror_finish(run->mirror, false, err);
    return print_account(run, rc);
}
