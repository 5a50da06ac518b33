#include "kafka_sink_support.h"

#include "base/clock.h"

static int64_t fixed_time(void *self)
{
    (void)self;
    return INT64_C(1767225600123);
}

static const cm_clock_t fixed_clock = {fixed_time, NULL};

cm_sink_t *open_sink(const mock_t *mock, cm_sink_kafka_options_t options)
{
    cm_sink_t *sink = NULL;
    cm_err_t err;

    options.settings = &mock->settings;
    options.clock = &fixed_clock;
    assert_ok(cm_sink_kafka_open(&options, &sink, &err), err);
    return sink;
}

void add_events(cm_batch_t *batch, int from, int count)
{
    char text[80];

    for (int i = from; i < from + count; i++) {
        snprintf(text, sizeof text, "user%d", i % 10);
        cm_str_t user = cm_arena_copy(&batch->arena, cm_str(text));
        snprintf(text, sizeof text, "https://x/%d", i);
        cm_str_t url = cm_arena_copy(&batch->arena, cm_str(text));
        cm_event_t event = test_event("", 1000 + i, "", "Chile", NULL);
        event.user_id = user;
        event.url = url;
        test_add(batch, event);
    }
}

cm_sink_kafka_report_t report_of(const cm_sink_t *sink)
{
    cm_sink_kafka_report_t report;
    cm_sink_kafka_report(sink, &report);
    return report;
}
