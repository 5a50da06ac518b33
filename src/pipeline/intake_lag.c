/* What an intake says of the messages that are left to read. */
#include "pipeline/intake.h"

enum { NAMED = 6 }; /* partitions whose lag the line names, the largest */

/* Messages of a partition that are not read yet; -1 when that is not known: it was assigned just
 * now, or its broker does not tell. */
static int64_t lag_of(const cm_source_kafka_lag_t *lag)
{
    if (lag->position < 0 || lag->end < 0)
        return -1;
    return lag->end > lag->position ? lag->end - lag->position : 0;
}

/* Moves the largest lag behind `from` to its place. */
static void select_largest(cm_source_kafka_lag_t *lags, size_t count, size_t from)
{
    size_t largest = from;

    for (size_t i = from; i < count; i++) {
        if (lag_of(&lags[i]) > lag_of(&lags[largest]))
            largest = i;
    }
    cm_source_kafka_lag_t moved = lags[from];
    lags[from] = lags[largest];
    lags[largest] = moved;
}

void cm_intake_add_lags(cm_buf_t *line, cm_source_kafka_lag_t *lags, size_t count)
{
    int64_t sum = 0;
    size_t unknown = 0;

    for (size_t i = 0; i < count; i++) {
        const int64_t lag = lag_of(&lags[i]);
        sum += lag > 0 ? lag : 0;
        unknown += lag < 0;
    }
    if (count == 0)
        cm_buf_add_text(line, ", no partitions");
    else
        cm_buf_printf(line, ", %zu partitions", count);
    if (unknown == count) {
        cm_buf_add_text(line, ", lag unknown");
        return;
    }
    cm_buf_add_text(line, ", lag ");
    cm_buf_add_grouped(line, sum);
    for (size_t i = 0; i < count && i < NAMED; i++) {
        select_largest(lags, count, i);
        if (lag_of(&lags[i]) <= 0)
            break;
        cm_buf_printf(line, "%s%d: ", i == 0 ? " (" : ", ", (int)lags[i].partition);
        cm_buf_add_grouped(line, lag_of(&lags[i]));
        if (i + 1 == count || i + 1 == NAMED)
            cm_buf_add_text(line, i + 1 < count ? ", ...)" : ")");
    }
    /* The list ends early where no lag is left. */
    if (sum > 0 && line->data[line->len - 1] != ')')
        cm_buf_add_char(line, ')');
    if (unknown > 0)
        cm_buf_printf(line, ", unknown of %zu", unknown);
}

void cm_intake_add_lag(cm_buf_t *line, const cm_source_t *topic)
{
    cm_source_kafka_lag_t lags[CM_INTAKE_PARTITIONS];
    size_t count = cm_source_kafka_lags(topic, lags, CM_INTAKE_PARTITIONS);

    cm_intake_add_lags(line, lags, count < CM_INTAKE_PARTITIONS ? count : CM_INTAKE_PARTITIONS);
}

void cm_intake_add_reading(cm_buf_t *line, const cm_source_t *topic, const cm_driver_pace_t *pace)
{
    cm_buf_add_grouped(line, (int64_t)pace->count);
    cm_buf_add_text(line, " messages, ");
    cm_buf_add_grouped(line, (int64_t)((double)pace->lately / pace->seconds + 0.5));
    cm_buf_add_text(line, "/s");
    cm_intake_add_lag(line, topic);
}

void cm_intake_add_partitions_json(cm_buf_t *json, const cm_source_t *topic)
{
    cm_source_kafka_lag_t lags[CM_INTAKE_PARTITIONS];
    size_t count = cm_source_kafka_lags(topic, lags, CM_INTAKE_PARTITIONS);

    cm_buf_add_text(json, "\"partitions\":[");
    for (size_t i = 0; i < count && i < CM_INTAKE_PARTITIONS; i++) {
        const int64_t lag = lag_of(&lags[i]);
        cm_buf_printf(
            json, "%s{\"partition\":%d,\"position\":%lld,\"end\":%lld,\"lag\":", i > 0 ? "," : "",
            (int)lags[i].partition, (long long)lags[i].position, (long long)lags[i].end);
        if (lag < 0)
            cm_buf_add_text(json, "null}");
        else
            cm_buf_printf(json, "%lld}", (long long)lag);
    }
    cm_buf_add_char(json, ']');
}
