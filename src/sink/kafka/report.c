#include "sink/kafka/sink.h"

#include "base/progress.h"

void cm_sink_kafka_report_add_json(cm_buf_t *buf, const cm_sink_kafka_report_t *report)
{
    cm_buf_printf(
        buf,
        "\"kafka\":{\"acknowledged\":%llu,\"failed\":%llu,\"waiting\":%llu,\"refused\":%llu,"
        "\"dead\":%llu,\"reason\":",
        (unsigned long long)report->acknowledged, (unsigned long long)report->failed,
        (unsigned long long)report->waiting, (unsigned long long)report->refused,
        (unsigned long long)report->dead);
    if (report->reason[0] != '\0')
        cm_buf_add_json(buf, cm_str(report->reason));
    else
        cm_buf_add_text(buf, "null");
    cm_buf_add_char(buf, '}');
}

void cm_sink_kafka_report_add_line(cm_buf_t *line, const cm_sink_kafka_report_t *report)
{
    cm_buf_add_text(line, "Kafka has acknowledged ");
    cm_buf_add_grouped(line, (int64_t)report->acknowledged);
    cm_buf_add_text(line, " events");
    if (report->dead > 0) {
        cm_buf_add_text(line, " and ");
        cm_buf_add_grouped(line, (int64_t)report->dead);
        cm_buf_add_text(line, " dead letters");
    }
    if (report->refused > 0) {
        cm_buf_add_text(line, ", refuses ");
        cm_buf_add_grouped(line, (int64_t)report->refused);
        cm_buf_add_text(line, " (dead letters now: `clickmill dead list` shows them)");
    }
    if (report->failed > 0) {
        cm_buf_add_text(line, ", failed ");
        cm_buf_add_grouped(line, (int64_t)report->failed);
        cm_buf_printf(line, " (%s)", report->reason);
    }
    if (report->waiting > 0) {
        cm_buf_add_text(line, ", not known of ");
        cm_buf_add_grouped(line, (int64_t)report->waiting);
    }
    cm_buf_add_char(line, '\n');
}
