#include "pipeline/env.h"

#include "base/progress.h"

enum {
    AWAY_MS = 1000, /* before the second attempt to reach a server; then doubled up to: */
    AWAY_MOST_MS = 30000,
    NAP_MS = 200, /* between two looks at the flag to stop */
};

int64_t cm_pipeline_ticks_ns(const cm_pipeline_env_t *env)
{
    return env->ticks_ns != NULL ? env->ticks_ns() : cm_clock_ticks_ns();
}

bool cm_pipeline_stops(const cm_pipeline_env_t *env)
{
    return env->stop != NULL && atomic_load(env->stop);
}

bool cm_pipeline_hurries(const cm_pipeline_env_t *env)
{
    return env->hurry != NULL && atomic_load(env->hurry);
}

void cm_pipeline_set_hurries(const cm_pipeline_env_t *env, bool on)
{
    if (env->hurries != NULL)
        atomic_store(env->hurries, on);
}

int cm_pipeline_reach(const cm_pipeline_env_t *env, int (*open)(void *context), void *context,
                      uint64_t *retries, cm_err_t *err)
{
    int64_t wait = AWAY_MS;
    int rc;

    while ((rc = open(context)) == CM_EAWAY && !cm_pipeline_stops(env)) {
        fprintf(env->messages, "%s; trying again\n", err->text);
        ++*retries;
        /* A signal may come between the look at the flag and the sleep, which it then does not
         * end: that is why the sleeps are short. */
        for (int64_t slept = 0; slept < wait && !cm_pipeline_stops(env); slept += NAP_MS)
            cm_sleep_ms(NAP_MS);
        wait = wait * 2 < AWAY_MOST_MS ? wait * 2 : AWAY_MOST_MS;
    }
    return rc == CM_EAWAY && cm_pipeline_stops(env) ? CM_ESTOP : rc;
}

void cm_pipeline_end_line(const cm_pipeline_env_t *env)
{
    if (env->terminal)
        cm_progress_line(env->messages, (cm_str_t){"", 0});
}
