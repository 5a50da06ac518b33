#include "cmd/spooling.h"

#include <stdio.h>

enum { START_MS = 2000 }; /* until events are taken though Kafka has not answered */

static int open_kafka(void *context, const cm_waiter_t *waiter, cm_sink_t **sink, cm_err_t *err)
{
    const cm_spooling_t *spooling = context;
    const cm_kafka_sink_options_t options = {.settings = &spooling->kafka,
                                             .patient = true,
                                             .waiter = waiter,
                                             .clock = spooling->app->clock};

    return cm_kafka_sink_open(&options, sink, err);
}

int cm_spooling_open(cm_spooling_t *spooling, const cm_app_t *app, const cm_kafka_options_t *kafka,
                     int64_t max_bytes, cm_err_t *err)
{
    cm_buf_t directory = CM_BUF_INIT;

    cm_buf_printf(&directory, "%s/spool", app->global.data_dir);
    const cm_spool_options_t options = {.data_dir = directory.data,
                                        .clock = app->clock,
                                        .max_bytes = max_bytes,
                                        .open = open_kafka,
                                        .context = spooling,
                                        .start_ms = START_MS};
    spooling->app = app;
    spooling->kafka = cm_kafka_settings_of(app, kafka);
    int rc = cm_spool_open(&options, &spooling->spool, err);
    cm_buf_free(&directory);
    return rc;
}

void cm_spooling_note(cm_spooling_t *spooling, cm_collecting_t *collecting)
{
    char text[400] = "";

    if (spooling->spool == NULL)
        return;
    uint64_t kept = cm_spool_kept(spooling->spool);
    const char *reason = cm_spool_reason(spooling->spool);
    if (kept > 0 || reason[0] != '\0')
        snprintf(text, sizeof text, "%llu events are kept until Kafka has them%s%s",
                 (unsigned long long)kept, reason[0] != '\0' ? ": " : "", reason);
    cm_collecting_notice(collecting, text);
}

void cm_spooling_close(cm_spooling_t *spooling)
{
    if (spooling->spool != NULL)
        cm_sink_close(cm_spool_sink(spooling->spool));
    spooling->spool = NULL;
}
