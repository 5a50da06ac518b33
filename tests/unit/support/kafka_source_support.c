#include "kafka_source_support.h"

void start_cluster(mock_t *mock, int partitions)
{
    mock_start(mock, partitions);
    mock_property(mock, "session.timeout.ms", "3200");
    mock_property(mock, "heartbeat.interval.ms", "100");
}

void put_events(mock_t *mock, int from, int count)
{
    char text[200], key[20];

    for (int i = from; i < from + count; i++) {
        snprintf(key, sizeof key, "user%d", i % 10);
        snprintf(text, sizeof text,
                 "{\"user_id\": \"%s\", \"timestamp\": %d, \"url\": \"/%d\", \"city\": \"Lima\"}",
                 key, 1000 + i, i);
        mock_put(mock, "t", i % PARTITIONS, key, cm_str(text));
    }
    mock_flush(mock);
}

cm_source_t *open_source(const mock_t *mock, cm_source_kafka_options_t options)
{
    cm_source_t *source = NULL;
    cm_err_t err;

    options.settings = &mock->settings;
    assert_ok(cm_source_kafka_open(&options, &source, &err), err);
    return source;
}

seen_t seen_new(int count)
{
    return (seen_t){.times = calloc((size_t)count, sizeof(int)), .count = count};
}

void see(seen_t *seen, const cm_batch_t *batch)
{
    seen->batches++;
    seen->rejected += batch->dead_count;
    seen->gone += batch->account.gone;
    for (size_t i = 0; i < batch->count; i++) {
        const cm_str_t url = batch->events[i].url;
        char text[20];
        snprintf(text, sizeof text, "%.*s", (int)url.len, url.data); /* other bytes may follow it */
        long number = strtol(text + 1, NULL, 10);
        assert_in_range(number, 0, seen->count - 1);
        assert_int_equal(batch->events[i].timestamp, 1000 + number);
        seen->times[number]++;
    }
}

int total(const seen_t *seen)
{
    int sum = 0;
    for (int i = 0; i < seen->count; i++)
        sum += seen->times[i];
    return sum;
}

void assert_each_once(seen_t *seen)
{
    for (int i = 0; i < seen->count; i++) {
        if (seen->times[i] != 1)
            fail_msg("event %d was seen %d times", i, seen->times[i]);
    }
    free(seen->times);
}

void read_all(cm_source_t *source, seen_t *seen, bool acknowledge)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int more;

    do {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        if (more < 0)
            fail_msg("%s", err.text);
        see(seen, &batch);
        if (acknowledge)
            assert_ok(source->ops->acknowledge(source, seen->batches, &err), err);
    } while (more > 0);
    cm_batch_free(&batch);
}

int owner_drain(void *context, cm_err_t *err)
{
    owner_t *owner = context;
    owner->drained++;
    return owner->source->ops->acknowledge(owner->source, owner->seen->batches, err);
}
