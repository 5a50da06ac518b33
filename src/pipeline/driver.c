#include "pipeline/driver.h"

void cm_driver_start(cm_driver_t *driver, cm_pipeline_t *pipeline, const cm_driver_ops_t *ops,
                     void *context)
{
    *driver = (cm_driver_t){.env = pipeline->env,
                            .pipeline = pipeline,
                            .ops = ops,
                            .context = context,
                            .shown_ns = cm_pipeline_ticks_ns(&pipeline->env)};
}

/* A source that has ended is closed, and the loop goes on without it. */
static int end_source(cm_driver_t *driver, cm_err_t *err)
{
    cm_pipeline_t *pipeline = driver->pipeline;
    int rc = cm_pipeline_commit(pipeline, err);

    cm_debug(driver->env.log, CM_DEBUG_PIPELINE, "the source has ended", NULL);
    cm_source_close(pipeline->source);
    pipeline->source = NULL;
    return rc < 0 ? rc : 1;
}

int cm_driver_take(cm_driver_t *driver, cm_err_t *err)
{
    if (driver->ops->take != NULL)
        return driver->ops->take(driver->context, err);
    if (driver->pipeline->source == NULL)
        return 1;
    int more = cm_pipeline_step(driver->pipeline, err);
    return more == 0 && driver->stays ? end_source(driver, err) : more;
}

static int refresh_when_due(cm_driver_t *driver, cm_err_t *err)
{
    const cm_driver_ops_t *ops = driver->ops;

    if (ops->due == NULL || !ops->due(driver->context, cm_pipeline_ticks_ns(&driver->env)))
        return 0;
    int rc = cm_pipeline_commit(driver->pipeline, err);
    if (rc == 0) {
        cm_debug(driver->env.log, CM_DEBUG_PIPELINE, "refresh is due", NULL);
        rc = ops->refresh(driver->context, err);
    }
    return rc;
}

void cm_driver_show(cm_driver_t *driver)
{
    const cm_driver_ops_t *ops = driver->ops;
    const int64_t before = driver->shown_ns;
    cm_buf_t line = CM_BUF_INIT;

    if (ops->status == NULL || !cm_pipeline_line_due(&driver->env, &driver->shown_ns))
        return;
    const uint64_t count = ops->count(driver->context);
    const cm_driver_pace_t pace = {.count = count,
                                   .lately = count - driver->shown_count,
                                   .seconds = (double)(driver->shown_ns - before) / 1e9};
    if (ops->status(driver->context, &pace, &line))
        cm_progress_status(driver->env.messages, driver->env.terminal, &line);
    cm_buf_free(&line);
    driver->shown_count = count;
}

/* Waits after a failure that may pass, such as a full disk. The sink has taken back what was not
 * committed. */
static void rest(cm_driver_t *driver, const cm_err_t *err)
{
    if (driver->trip != NULL && strcmp(driver->trouble, err->text) != 0)
        cm_log(driver->env.log, CM_LOG_ERROR, driver->trip, "reason=\"%s\"", err->text);
    cm_debug(driver->env.log, CM_DEBUG_PIPELINE, "a failure that may pass",
             "wait_ms=%lld reason=\"%s\"", (long long)driver->rest_ms, err->text);
    snprintf(driver->trouble, sizeof driver->trouble, "%s", err->text);
    cm_pipeline_lose(driver->pipeline);
    cm_sleep_ms(driver->rest_ms);
}

static int turn(cm_driver_t *driver, int *more, cm_err_t *err)
{
    const cm_driver_ops_t *ops = driver->ops;

    *more = cm_driver_take(driver, err);
    int rc = *more < 0 ? *more : 0;
    if (rc == 0 && ops->tick != NULL)
        rc = ops->tick(driver->context, err);
    return rc == 0 ? refresh_when_due(driver, err) : rc;
}

int cm_driver_run(cm_driver_t *driver, cm_err_t *err)
{
    const cm_driver_ops_t *ops = driver->ops;
    int more = 1, rc = 0;

    while (rc == 0 && more > 0 && !cm_pipeline_stops(&driver->env)) {
        rc = turn(driver, &more, err);
        if (rc < 0 && ops->passes != NULL && ops->passes(driver->context, rc)) {
            rest(driver, err);
            rc = 0;
            more = 1;
        } else {
            driver->trouble[0] = '\0';
        }
        if (ops->look != NULL)
            ops->look(driver->context);
        if (rc == 0)
            cm_driver_show(driver);
    }
    cm_debug(driver->env.log, CM_DEBUG_PIPELINE, "the loop ends", "reason=%s",
             rc < 0      ? "failure"
             : more <= 0 ? "source-ended"
                         : "stop");
    return rc;
}
