/* What tests of the Kafka sink share: a sink on mock brokers, and events to put. */
#ifndef CM_TESTS_UNIT_KAFKA_SINK_SUPPORT_H
#define CM_TESTS_UNIT_KAFKA_SINK_SUPPORT_H

#include "kafka_mock.h"

#include "sink/kafka/sink.h"

/* Opens a sink with these options on the mock's settings, and with a clock that stands still. */
cm_sink_t *open_sink(const mock_t *mock, cm_sink_kafka_options_t options);

/* Events of ten users, with texts of the batch's arena. */
void add_events(cm_batch_t *batch, int from, int count);

cm_sink_kafka_report_t report_of(const cm_sink_t *sink);

#endif
