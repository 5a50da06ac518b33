#include "pipeline/env.h"

#include "base/progress.h"

enum {
    AWAY_MS = 1000, /* before the second attempt to reach a server; then doubled up to: */
    AWAY_MOST_MS = 30000,
    NAP_MS = 200,      /* between two looks at the flag to stop */
    LINE_MS = 5000,    /* between two status lines where there is no terminal */
    TERMINAL_MS = 500, /* and on a terminal */
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

bool cm_pipeline_give_up(const cm_pipeline_env_t *env, int64_t *since_ns, int64_t ms)
{
    const int64_t now = cm_pipeline_ticks_ns(env);

    if (!cm_pipeline_stops(env)) {
        *since_ns = 0;
        return false;
    }
    if (*since_ns == 0)
        *since_ns = now;
    return now - *since_ns > ms * INT64_C(1000000);
}

bool cm_pipeline_line_due(const cm_pipeline_env_t *env, int64_t *shown_ns)
{
    const int64_t now = cm_pipeline_ticks_ns(env);

    if (now - *shown_ns < (env->terminal ? TERMINAL_MS : LINE_MS) * INT64_C(1000000))
        return false;
    *shown_ns = now;
    return true;
}

void cm_pipeline_end_line(const cm_pipeline_env_t *env)
{
    if (env->terminal)
        cm_progress_line(env->messages, (cm_str_t){"", 0});
}
