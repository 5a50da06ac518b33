#include "cmd/run_collect.h"

static void tick(void *context)
{
    cm_run_collect_t *run = context;
    char notice[400];

    if (cm_spooling_describe(&run->spooling, notice, sizeof notice))
        cm_collecting_notice(&run->collecting, notice);
}

static void *send_events(void *context)
{
    cm_run_collect_t *run = context;

    run->rc = cm_collecting_run(&run->collecting, cm_spool_sink(run->spooling.spool), &run->stop,
                                tick, run, &run->err);
    atomic_store(&run->ended, true);
    return NULL;
}

int cm_run_collect_open(cm_run_collect_t *run, cm_app_t *app, const cm_collect_given_t *given,
                        const cm_kafka_options_t *kafka, cm_kafka_ends_t *ends,
                        cm_letters_t *letters, cm_store_t *store, cm_err_t *err)
{
    int rc = cm_collecting_open(&run->collecting, app, given, store, err);

    if (rc < 0 || kafka == NULL)
        return rc;
    const cm_kafka_settings_t settings = cm_kafka_settings_of(kafka, &app->log, app->stop);
    const cm_pipeline_env_t env = cm_app_env(app);
    run->letters = letters;
    run->collecting.store = NULL; /* the events go into the spool, by a thread of their own */
    rc = cm_spooling_open(&run->spooling, &env, app->global.data_dir, &settings, given->spool, ends,
                          letters, err);
    if (rc < 0)
        return rc;
    if (pthread_create(&run->thread, NULL, send_events, run) != 0)
        return cm_fail_thread(err);
    run->started = true;
    return 0;
}

int cm_run_collect_step(cm_run_collect_t *run, cm_sink_t *sink, int wait_ms, cm_err_t *err)
{
    if (run->spooling.spool == NULL) {
        uint64_t before = run->collecting.account.read;
        int rc = cm_collecting_step(&run->collecting, sink, wait_ms, err);
        return rc < 0 ? rc : run->collecting.account.read > before;
    }
    if (!atomic_load(&run->ended) || run->rc >= 0)
        return 0;
    *err = run->err;
    return run->rc;
}

/* Ends the thread, if there is one; stores the letters that it waits with. */
static void join(cm_run_collect_t *run)
{
    atomic_store(&run->stop, true);
    if (run->started) {
        cm_letters_serve(run->letters, &run->ended);
        pthread_join(run->thread, NULL);
    }
    run->started = false;
}

int cm_run_collect_stop(cm_run_collect_t *run, cm_sink_t *sink, cm_err_t *err)
{
    cm_err_t why;

    if (run->spooling.spool == NULL)
        return cm_collecting_finish(&run->collecting, sink, err);
    join(run);
    if (run->rc < 0)
        *err = run->err;
    if (run->rc < 0 && !cm_collecting_passes(run->rc))
        return run->rc;
    /* Also when there was no room for the last that came. */
    int drained = cm_spooling_drain(&run->spooling, run->collecting.given->drain, &why);
    if (run->rc == 0 && drained < 0)
        *err = why;
    return run->rc < 0 ? run->rc : drained;
}

void cm_run_collect_give_up(cm_run_collect_t *run)
{
    join(run);
    if (run->collecting.inbox != NULL)
        cm_collecting_give_up(&run->collecting);
}

void cm_run_collect_close(cm_run_collect_t *run)
{
    cm_collecting_close(&run->collecting);
    cm_spooling_close(&run->spooling);
}
