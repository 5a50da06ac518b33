/* The range of offsets in each partition of a topic that brokers have acknowledged to this process,
 * so that it can read its own last events before it ends. Any number of threads. */
#ifndef CM_KAFKA_ENDS_H
#define CM_KAFKA_ENDS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* Must not be moved. */
typedef struct cm_kafka_ends {
    pthread_mutex_t lock;
    int64_t *begins, *ends; /* by partition number; an end of 0: nothing was acknowledged */
    size_t count;
} cm_kafka_ends_t;

void cm_kafka_ends_init(cm_kafka_ends_t *ends);

/* Notes that the message at this offset is acknowledged. A negative offset means that it is not
 * known, and is ignored. */
void cm_kafka_ends_note(cm_kafka_ends_t *ends, int32_t partition, int64_t offset);

/* One more than the highest partition that has acknowledged messages. */
size_t cm_kafka_ends_count(cm_kafka_ends_t *ends);

/* The offset after the last acknowledged message; 0: there is none. */
int64_t cm_kafka_ends_get(cm_kafka_ends_t *ends, int32_t partition);

/* The offset of the first acknowledged message; 0 when there is none. */
int64_t cm_kafka_ends_begin(cm_kafka_ends_t *ends, int32_t partition);

void cm_kafka_ends_free(cm_kafka_ends_t *ends);

#endif
