#include "pipeline/unread.h"

#include <stdlib.h>

enum {
    OWN_MS = 30000,      /* the longest that reading may take, */
    OWN_QUIET_MS = 5000, /* and how long no message may come */
};

typedef struct unread {
    int64_t messages; /* from where reading stands up to the last one of this process */
    bool at_least; /* it is not known where reading begins: at this process's first one or before */
    bool others;   /* another consumer of the group has some of the partitions */
} unread_t;

static const cm_source_kafka_lag_t *find_lag(const cm_source_kafka_lag_t *lags, size_t count,
                                             int32_t partition)
{
    for (size_t i = 0; i < count; i++) {
        if (lags[i].partition == partition)
            return &lags[i];
    }
    return NULL;
}

/* Where the next start goes on with a partition of which nothing was read yet: at the position that
 * the store has. */
static int64_t find_begin(const cm_intake_t *intake, cm_kafka_ends_t *ends, int32_t partition,
                          bool *at_least)
{
    char *name = cm_source_kafka_position_name(&intake->kafka, partition, "");
    int64_t position = 0;
    cm_err_t err;

    if (cm_store_position(intake->options.positions, name, &position, &err) < 0)
        position = 0;
    free(name);
    if (position > 0)
        return position;
    *at_least = true;
    return cm_kafka_ends_begin(ends, partition);
}

static unread_t count_unread(const cm_intake_t *intake, cm_kafka_ends_t *ends)
{
    cm_source_kafka_lag_t lags[CM_INTAKE_PARTITIONS];
    unread_t unread = {.messages = 0};

    if (intake->topic == NULL)
        return unread;
    size_t count = cm_source_kafka_lags(intake->topic, lags, CM_INTAKE_PARTITIONS);
    count = count < CM_INTAKE_PARTITIONS ? count : CM_INTAKE_PARTITIONS;
    const bool placed = count > 0 || cm_source_kafka_is_placed(intake->topic);
    for (size_t i = 0; i < cm_kafka_ends_count(ends); i++) {
        const int64_t end = cm_kafka_ends_get(ends, (int32_t)i);
        const cm_source_kafka_lag_t *lag = find_lag(lags, count, (int32_t)i);
        if (end == 0)
            continue;
        if (lag == NULL && placed) {
            unread.others = true;
            continue;
        }
        /* A consumer without any partition has not joined its group yet. */
        const int64_t from = lag != NULL && lag->position >= 0
                                 ? lag->position
                                 : find_begin(intake, ends, (int32_t)i, &unread.at_least);
        if (end > from)
            unread.messages += end - from;
    }
    return unread;
}

/* Whether the consumer still waits for its partitions, from brokers that answer: its group takes
 * some seconds for that. */
static bool joins(const cm_intake_t *intake)
{
    cm_source_kafka_lag_t lag;

    return intake->waiting_for == NULL && intake->topic != NULL &&
           !cm_source_kafka_is_placed(intake->topic) &&
           cm_source_kafka_lags(intake->topic, &lag, 1) == 0;
}

static void print_unread(const cm_intake_t *intake, const unread_t *unread)
{
    const cm_kafka_settings_t *kafka = &intake->kafka;
    FILE *messages = intake->env.messages;
    const char *reason = cm_pipeline_hurries(&intake->env) ? "a second signal ended that"
                         : intake->waiting_reason != NULL  ? intake->waiting_reason
                                                           : "it took too long";

    if (unread->messages > 0)
        fprintf(messages,
                "%s%lld messages of topic %s, up to the last that this run sent, could not be read "
                "(%s): the answers are without them, and the next start reads them\n",
                unread->at_least ? "at least " : "", (long long)unread->messages, kafka->topic,
                reason);
    if (unread->others)
        fprintf(messages,
                "another consumer of group %s has some partitions of topic %s: what this run sent "
                "there is in the answers of that one\n",
                kafka->group, kafka->topic);
}

static int read_on(cm_driver_t *driver, cm_intake_t *intake, cm_kafka_ends_t *ends, unread_t *left,
                   cm_err_t *err)
{
    int64_t now = cm_pipeline_ticks_ns(&driver->env), quiet_until = 0, least = INT64_MAX;
    const int64_t until = now + OWN_MS * INT64_C(1000000);
    bool guessed = false;

    while ((*left = count_unread(intake, ends)).messages > 0 && driver->pipeline->source != NULL &&
           now < until && !cm_pipeline_hurries(&driver->env)) {
        if (guessed && !left->at_least) /* there may be more than was known of */
            least = INT64_MAX;
        guessed = left->at_least;
        if (left->messages < least || joins(intake))
            quiet_until = now + OWN_QUIET_MS * INT64_C(1000000);
        least = left->messages < least ? left->messages : least;
        if (now >= quiet_until)
            break;
        int more = cm_driver_take(driver, err);
        if (more < 0)
            return more;
        if (driver->ops->look != NULL)
            driver->ops->look(driver->context);
        cm_driver_show(driver);
        now = cm_pipeline_ticks_ns(&driver->env);
    }
    return 0;
}

int cm_unread_read(cm_driver_t *driver, cm_intake_t *intake, cm_kafka_ends_t *ends, cm_err_t *err)
{
    unread_t left;

    /* Only the second signal ends waits for Kafka now, so that partitions can still be assigned
     * after the first. */
    cm_pipeline_set_hurries(&driver->env, true);
    intake->kafka.stop = driver->env.hurry;
    int rc = read_on(driver, intake, ends, &left, err);
    intake->kafka.stop = driver->env.stop;
    cm_pipeline_set_hurries(&driver->env, false);
    if (rc == 0)
        rc = cm_pipeline_commit(driver->pipeline, err);
    print_unread(intake, &left);
    return rc;
}
