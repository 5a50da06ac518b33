#include "pipeline/outlet.h"

#include "pipeline/accounts.h"
#include "sink/kafka/sink.h"
#include "store/open.h"

int cm_outlet_open(cm_outlet_t *outlet, const cm_pipeline_env_t *env, const char *data_dir,
                   const cm_sink_options_t *options, uint8_t *secret, cm_err_t *err)
{
    const cm_sink_kafka_options_t kafka = {.settings = &outlet->kafka,
                                           .waiter = &outlet->waiter.waiter,
                                           .clock = env->clock,
                                           .refused = cm_letters_take,
                                           .refused_context = &outlet->letters,
                                           .seal = secret != NULL ? cm_store_seal : NULL,
                                           .seal_context = secret};

    outlet->sink = NULL;
    outlet->kafka = cm_kafka_settings_of(&options->kafka, env->log, env->stop);
    cm_kafka_waiter_start(&outlet->waiter, env->stop);
    cm_letters_open(&outlet->letters, env, data_dir, NULL);
    return cm_sink_kafka_open(&kafka, &outlet->sink, err);
}

void cm_outlet_print(const cm_outlet_t *outlet, const cm_account_t *account, FILE *json)
{
    cm_buf_t text = CM_BUF_INIT;
    cm_sink_kafka_report_t report;

    cm_sink_kafka_report(outlet->sink, &report);
    if (json != NULL) {
        cm_buf_add_char(&text, '{');
        cm_accounts_add_json(&text, account);
        cm_buf_add_char(&text, ',');
        cm_sink_kafka_report_add_json(&text, &report);
        cm_buf_add_text(&text, "}\n");
    } else {
        cm_accounts_add_lines(&text, account, "clickmill dead list --from kafka");
        cm_sink_kafka_report_add_line(&text, &report);
    }
    fputs(text.data, json != NULL ? json : outlet->letters.env.messages);
    cm_buf_free(&text);
}

void cm_outlet_close(cm_outlet_t *outlet)
{
    cm_sink_close(outlet->sink);
    cm_letters_close(&outlet->letters);
}
