#include "cmd/run_collect.h"

/* ---- the thread ---- */

static int take(void *context, cm_err_t *err)
{
    cm_run_collect_t *run = context;
    return cm_collecting_step(&run->collecting, CM_COLLECTING_WAIT_MS, err);
}

static bool passes(const void *context, int code)
{
    (void)context;
    return cm_collecting_passes(code);
}

static void look(void *context)
{
    cm_run_collect_t *run = context;
    char notice[400];

    if (cm_spooling_describe(&run->spooling, notice, sizeof notice))
        cm_collecting_notice(&run->collecting, notice);
}

static void *send_events(void *context)
{
    static const cm_driver_ops_t ops = {.take = take, .passes = passes, .look = look};
    cm_run_collect_t *run = context;
    cm_driver_t driver;

    cm_driver_start(&driver, &run->collecting.pipeline, &ops, run);
    driver.rest_ms = CM_COLLECTING_REST_MS;
    run->rc = cm_driver_run(&driver, &run->err);
    if (run->rc == 0)
        run->rc = cm_collecting_finish(&run->collecting, &run->err);
    atomic_store(&run->ended, true);
    return NULL;
}

/* ---- the owner ---- */

int cm_run_collect_open(cm_run_collect_t *run, const cm_pipeline_env_t *env, const char *data_dir,
                        const cm_collect_given_t *given, const cm_run_collect_way_t *way,
                        cm_err_t *err)
{
    cm_pipeline_env_t own = *env;

    if (way->server != NULL)
        own.stop = &run->stop;
    int rc = cm_collecting_open(&run->collecting, &own, data_dir, given, way->store, err);
    run->collecting.pipeline.sink = way->sink;
    run->collecting.pipeline.fits = way->server == NULL ? way->fits : NULL;
    if (rc < 0 || way->server == NULL)
        return rc;
    run->store = way->store;
    run->letters = way->letters;
    run->collecting.store = NULL; /* the events go into the spool */
    rc = cm_spooling_open(&run->spooling, env, data_dir, &way->server->kafka, given->spool,
                          way->ends, way->letters, err);
    if (rc < 0)
        return rc;
    run->collecting.pipeline.sink = cm_spool_sink(run->spooling.spool);
    if (pthread_create(&run->thread, NULL, send_events, run) != 0)
        return cm_fail_thread(err);
    run->started = true;
    return 0;
}

int cm_run_collect_step(cm_run_collect_t *run, int wait_ms, cm_err_t *err)
{
    if (run->spooling.spool == NULL) {
        const cm_account_t *account = &run->collecting.pipeline.account;
        const uint64_t before = account->read;
        int rc = cm_collecting_step(&run->collecting, wait_ms, err);
        return rc < 0 ? rc : account->read > before;
    }
    if (!atomic_load(&run->ended) || run->rc >= 0)
        return 0;
    *err = run->err;
    return run->rc;
}

int cm_run_collect_record(cm_run_collect_t *run, cm_err_t *err)
{
    if (run->store == NULL || run->daily_recorded ||
        !atomic_load(&run->collecting.shared.daily_given))
        return 0;
    int rc = cm_store_set_daily(run->store, err);
    if (rc == 0)
        rc = cm_sink_commit(&run->store->sink, err);
    run->daily_recorded = rc == 0;
    return rc;
}

/* Ends the thread, if there is one, and stores the letters that it waits with. */
static void join(cm_run_collect_t *run)
{
    atomic_store(&run->stop, true);
    if (run->started) {
        cm_letters_serve(run->letters, &run->ended);
        pthread_join(run->thread, NULL);
    }
    run->started = false;
}

int cm_run_collect_stop(cm_run_collect_t *run, cm_err_t *err)
{
    cm_err_t why;

    if (run->spooling.spool == NULL)
        return cm_collecting_finish(&run->collecting, err);
    join(run);
    if (run->rc < 0)
        *err = run->err;
    if (run->rc < 0 && !cm_collecting_passes(run->rc))
        return run->rc;
    /* Also when there was no room for the events that came last. */
    int drained = cm_spooling_drain(&run->spooling, run->collecting.given->drain, &why);
    if (run->rc == 0 && drained < 0)
        *err = why;
    return run->rc < 0 ? run->rc : drained;
}

void cm_run_collect_give_up(cm_run_collect_t *run)
{
    join(run);
    if (run->collecting.collector != NULL)
        cm_collecting_give_up(&run->collecting);
}

void cm_run_collect_close(cm_run_collect_t *run)
{
    cm_collecting_close(&run->collecting);
    cm_spooling_close(&run->spooling);
}
