#include "pipeline/feed.h"

#include "sink/kafka/sink.h"

/* After a stop a broker that does not answer is waited for no longer than this. */
enum { GIVE_UP_MS = 5000 };

/* On the feed's thread. A wait that is given up leaves something unsent, so it is a failure. */
static int wait_to_send(void *context, uint64_t retries, const char *reason)
{
    cm_feed_t *feed = context;
    cm_pipeline_env_t told = feed->env;

    (void)retries;
    (void)reason;
    if (!cm_pipeline_stops(&told))
        told.stop = &feed->leave;
    return cm_pipeline_give_up(&told, &feed->stop_ns, GIVE_UP_MS) ? CM_EAWAY : 0;
}

static void *send_events(void *context)
{
    cm_feed_t *feed = context;

    feed->rc = cm_pipeline_run(&feed->pipeline, &feed->err);
    if (feed->rc == CM_ESTOP)
        feed->rc = 0;
    atomic_store(&feed->ended, true);
    return NULL;
}

/* Called until the brokers answer. */
static int open_producer(void *context)
{
    cm_feed_t *feed = context;
    const cm_sink_kafka_options_t options = {.settings = &feed->kafka,
                                             .patient = true,
                                             .waiter = &feed->waiter,
                                             .clock = feed->env.clock,
                                             .refused = cm_letters_take,
                                             .refused_context = feed->options.letters,
                                             .ends = feed->options.ends};

    return cm_sink_kafka_open(&options, &feed->producer, feed->open_err);
}

int cm_feed_open(cm_feed_t *feed, const cm_pipeline_env_t *env, const cm_feed_options_t *options,
                 cm_err_t *err)
{
    cm_pipeline_env_t own = *env;

    *feed = (cm_feed_t){
        .env = *env, .options = *options, .waiter = {wait_to_send, feed}, .open_err = err};
    feed->kafka = cm_kafka_settings_of(options->kafka, env->log, env->stop);
    int rc = cm_pipeline_reach(env, open_producer, feed, &feed->retries, err);
    if (rc < 0)
        return rc;
    own.stop = &feed->leave;
    cm_pipeline_start(&feed->pipeline, &own, options->source, feed->producer);
    feed->pipeline.commit_ms = 0; /* its queue empties by itself */
    feed->pipeline.commit_events = 0;
    if (pthread_create(&feed->thread, NULL, send_events, feed) != 0)
        return cm_fail_thread(err);
    feed->started = true;
    return 0;
}

int cm_feed_check(const cm_feed_t *feed, cm_err_t *err)
{
    if (!atomic_load(&feed->ended) || feed->rc >= 0)
        return 0;
    *err = feed->err;
    return feed->rc;
}

void cm_feed_stop(cm_feed_t *feed)
{
    atomic_store(&feed->leave, true);
    if (feed->started) {
        cm_letters_serve(feed->options.letters, &feed->ended);
        pthread_join(feed->thread, NULL);
    }
    feed->started = false;
}

void cm_feed_close(cm_feed_t *feed)
{
    cm_feed_stop(feed);
    cm_pipeline_free(&feed->pipeline);
    cm_sink_close(feed->producer);
}
