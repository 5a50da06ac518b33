#include "kafka/ends.h"

#include "base/str.h"

#include <stdlib.h>

void cm_kafka_ends_init(cm_kafka_ends_t *ends)
{
    *ends = (cm_kafka_ends_t){.count = 0};
    pthread_mutex_init(&ends->lock, NULL);
}

void cm_kafka_ends_note(cm_kafka_ends_t *ends, int32_t partition, int64_t offset)
{
    const size_t index = (size_t)partition;

    if (partition < 0 || offset < 0)
        return;
    pthread_mutex_lock(&ends->lock);
    if (index >= ends->count) {
        ends->begins = cm_realloc(ends->begins, (index + 1) * sizeof *ends->begins);
        ends->ends = cm_realloc(ends->ends, (index + 1) * sizeof *ends->ends);
        for (; ends->count <= index; ends->count++)
            ends->begins[ends->count] = ends->ends[ends->count] = 0;
    }
    if (ends->ends[index] == 0 || offset < ends->begins[index])
        ends->begins[index] = offset;
    if (offset >= ends->ends[index])
        ends->ends[index] = offset + 1;
    pthread_mutex_unlock(&ends->lock);
}

size_t cm_kafka_ends_count(cm_kafka_ends_t *ends)
{
    pthread_mutex_lock(&ends->lock);
    const size_t count = ends->count;
    pthread_mutex_unlock(&ends->lock);
    return count;
}

static int64_t get(cm_kafka_ends_t *ends, int64_t *const *of, int32_t partition)
{
    int64_t offset = 0;

    pthread_mutex_lock(&ends->lock);
    if (partition >= 0 && (size_t)partition < ends->count)
        offset = (*of)[partition];
    pthread_mutex_unlock(&ends->lock);
    return offset;
}

int64_t cm_kafka_ends_get(cm_kafka_ends_t *ends, int32_t partition)
{
    return get(ends, &ends->ends, partition);
}

int64_t cm_kafka_ends_begin(cm_kafka_ends_t *ends, int32_t partition)
{
    return get(ends, &ends->begins, partition);
}

void cm_kafka_ends_free(cm_kafka_ends_t *ends)
{
    free(ends->begins);
    free(ends->ends);
    ends->begins = ends->ends = NULL;
    ends->count = 0;
    pthread_mutex_destroy(&ends->lock);
}
