#include "cmd/kafka.h"

#include "base/progress.h"
#include "pipeline/pipeline.h"

enum { GIVE_UP_MS = 5000 };

static int be_patient(void *context, uint64_t retries, const char *reason)
{
    cm_kafka_patience_t *self = context;
    int64_t now = cm_clock_ticks_ns();

    (void)retries;
    if (reason == NULL || !atomic_load(self->stop)) {
        self->stop_ns = 0;
        return 0;
    }
    if (self->stop_ns == 0)
        self->stop_ns = now;
    return now - self->stop_ns > GIVE_UP_MS * INT64_C(1000000) ? CM_EAWAY : 0;
}

void cm_kafka_patience_start(cm_kafka_patience_t *patience, const cm_app_t *app)
{
    *patience = (cm_kafka_patience_t){.waiter = {be_patient, patience}, .stop = app->stop};
}

static void add_json(cm_buf_t *buf, const cm_sink_kafka_report_t *report)
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

static void print_report(cm_app_t *app, const cm_sink_kafka_report_t *report)
{
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_add_text(&line, "Kafka has acknowledged ");
    cm_buf_add_grouped(&line, (int64_t)report->acknowledged);
    cm_buf_add_text(&line, " events");
    if (report->dead > 0) {
        cm_buf_add_text(&line, " and ");
        cm_buf_add_grouped(&line, (int64_t)report->dead);
        cm_buf_add_text(&line, " dead letters");
    }
    if (report->refused > 0) {
        cm_buf_add_text(&line, ", refuses ");
        cm_buf_add_grouped(&line, (int64_t)report->refused);
        cm_buf_add_text(&line, " (dead letters now: `clickmill dead list` shows them)");
    }
    if (report->failed > 0) {
        cm_buf_add_text(&line, ", failed ");
        cm_buf_add_grouped(&line, (int64_t)report->failed);
        cm_buf_printf(&line, " (%s)", report->reason);
    }
    if (report->waiting > 0) {
        cm_buf_add_text(&line, ", not known of ");
        cm_buf_add_grouped(&line, (int64_t)report->waiting);
    }
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
}

void cm_kafka_account_print(cm_app_t *app, const cm_account_t *account, const cm_sink_t *sink)
{
    cm_buf_t json = CM_BUF_INIT;
    cm_sink_kafka_report_t report;

    cm_sink_kafka_report(sink, &report);
    if (app->global.json) {
        cm_buf_add_char(&json, '{');
        cm_accounts_add_json(&json, account);
        cm_buf_add_char(&json, ',');
        add_json(&json, &report);
        fprintf(app->out, "%s}\n", json.data);
        cm_buf_free(&json);
        return;
    }
    cm_app_print_account_as(app, account, app->out, "clickmill dead list --from kafka");
    print_report(app, &report);
}
