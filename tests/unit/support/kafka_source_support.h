/* A source from a topic on mock brokers: events put into its partitions, and counted when they come
 * out of it. */
#ifndef CM_TESTS_UNIT_KAFKA_SOURCE_SUPPORT_H
#define CM_TESTS_UNIT_KAFKA_SOURCE_SUPPORT_H

#include "kafka_mock.h"

#include "source/kafka/source.h"

enum { PARTITIONS = 3 };

/* A mock group lets its first member wait 3 s, and each later member the session timeout less 1 s.
 */
void start_cluster(mock_t *mock, int partitions);

/* Puts events 0..count of ten users into the partitions in turn. */
void put_events(mock_t *mock, int from, int count);

cm_source_t *open_source(const mock_t *mock, cm_source_kafka_options_t options);

/* Counts how often each event was seen. */
typedef struct seen {
    int *times;
    int count;
    uint64_t batches, rejected, gone;
} seen_t;

seen_t seen_new(int count);

void see(seen_t *seen, const cm_batch_t *batch);

int total(const seen_t *seen);

void assert_each_once(seen_t *seen);

/* Reads to the end; acknowledges each batch when asked to. */
void read_all(cm_source_t *source, seen_t *seen, bool acknowledge);

typedef struct owner {
    int64_t positions[PARTITIONS]; /* what the store has */
    int asked, drained;
    cm_source_t *source;
    seen_t *seen;
} owner_t;

int owner_drain(void *context, cm_err_t *err);

#endif
