/* clickmill doctor: checks the configuration and every server that it names. */
#include "cmd/doctor.h"

#include "cmd/commands.h"
#include "sink/options.h"

#include <stdarg.h>

static const cm_option_t options[] = {
    {.name = "fix",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_doctor_options_t, fix),
     .help = "create topics, keyspace, table and indices that are missing"},
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, sink),
     .rows = cm_sink_option},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, store),
     .rows = cm_store_option},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, index),
     .rows = cm_index_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, sink),
     .rows = cm_sink_server_option_rows},
    {.name = "registry",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, sink) + offsetof(cm_sink_options_t, kafka),
     .rows = cm_kafka_registry_options},
    {.name = "cassandra",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, index),
     .rows = cm_index_server_option_rows},
    {.name = "collect",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_doctor_options_t, collect),
     .rows = cm_collect_option_rows},
    {.name = NULL},
};

static const char *const finding_names[] = {"right", "fixed", "note", "wrong"};

void cm_doctor_report(cm_doctor_t *doctor, cm_doctor_finding_t finding, const char *subject,
                      const char *format, ...)
{
    char text[CM_ERR_TEXT + 100];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    doctor->checks++;
    if (!doctor->app->global.json) {
        fprintf(doctor->app->out, "%-5s  %-13s  %s\n", finding_names[finding], subject, text);
        fflush(doctor->app->out); /* the next check may take long */
        return;
    }
    cm_buf_printf(&doctor->json,
                  "%s{\"state\":\"%s\",\"subject\":\"%s\",\"text\":", doctor->checks > 1 ? "," : "",
                  finding_names[finding], subject);
    cm_buf_add_json(&doctor->json, cm_str(text));
    cm_buf_add_char(&doctor->json, '}');
}

void cm_doctor_report_error(cm_doctor_t *doctor, const char *subject, int code, const char *text)
{
    if (doctor->wrong++ == 0)
        doctor->code = code;
    cm_doctor_report(doctor, CM_DOCTOR_WRONG, subject, "%s", text);
}

static bool given(const cm_app_t *app, size_t offset)
{
    return cm_options_given(app->values, offset);
}

static int run(cm_app_t *app, const void *asked, int argc, char **argv)
{
    cm_doctor_t doctor = {.app = app, .asked = asked};

    (void)argc;
    (void)argv;
    cm_doctor_check_configuration(&doctor);
    cm_doctor_check_data(&doctor);
    if (cm_sink_server_named(&doctor.asked->sink, app->values, offsetof(cm_doctor_options_t, sink)))
        cm_doctor_check_topics(&doctor);
    if (cm_store_server_named(&doctor.asked->store, app->values,
                              offsetof(cm_doctor_options_t, store)))
        cm_doctor_check_store(&doctor);
    if (cm_index_server_named(&doctor.asked->index, app->values,
                              offsetof(cm_doctor_options_t, index)))
        cm_doctor_check_index(&doctor);
    if (given(app, offsetof(cm_doctor_options_t, collect.enrich.geoip)))
        cm_doctor_check_geoip(&doctor);
    if (given(app, offsetof(cm_doctor_options_t, collect.sites)) ||
        given(app, offsetof(cm_doctor_options_t, collect.proxies)) ||
        given(app, offsetof(cm_doctor_options_t, collect.hosts)) ||
        given(app, offsetof(cm_doctor_options_t, collect.tokens)) ||
        given(app, offsetof(cm_doctor_options_t, collect.tls.cert)) ||
        given(app, offsetof(cm_doctor_options_t, collect.tls.key)))
        cm_doctor_check_collect(&doctor);
    if (app->global.json)
        fprintf(app->out, "{\"checks\":[%s],\"wrong\":%d}\n", doctor.json.data, doctor.wrong);
    cm_buf_free(&doctor.json);
    if (doctor.wrong > 0)
        return cm_fail(&app->err, doctor.code,
                       "%d of %d checks found something wrong; the lines above say what to do",
                       doctor.wrong, doctor.checks);
    return 0;
}

const cm_command_t cm_cmd_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "check the configuration and every engine it names",
    .details =
        "Checks the configuration, the data directory, the GeoIP database and the collector's "
        "sites, tokens and certificate where they are given, and Kafka, Cassandra and "
        "Elasticsearch where the configuration (sink: kafka, store: cassandra, index: "
        "elasticsearch), the environment or an option names them: whether they answer, accept "
        "the credentials, and have the topics, the table and the indices of the contract. Each "
        "line of the output says what is correct, or what to do. Passwords are never shown.\n"
        "The exit status is 0 when nothing is wrong, otherwise that of the first problem: 2 for "
        "credentials, TLS and settings, 3 for something missing, 12 for servers that do not "
        "answer.\n"
        " clickmill doctor --config clickmill.cluster.yaml --fix",
    .options = options,
    .options_size = sizeof(cm_doctor_options_t),
    .run = run,
};
