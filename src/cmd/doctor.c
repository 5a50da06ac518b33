/* clickmill doctor: is everything that the configuration names there and right? */
#include "base/progress.h"
#include "cassandra/check.h"
#include "cmd/commands.h"
#include "enrich/geo.h"
#include "kafka/options.h"
#include "kafka/probe.h"
#include "serve/collecting.h"
#include "sink/options.h"
#include "store/open.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef struct doctor_options {
    bool fix;
    int sink; /* cm_sink_choice_t */
    cm_store_options_t store;
    int index; /* cm_index_choice_t */
    cm_kafka_options_t kafka;
    cm_elastic_options_t elastic;
    cm_collect_given_t collect;
} doctor_options_t;

static const cm_option_t options[] = {
    {.name = "fix",
     .type = CM_OPT_FLAG,
     .offset = offsetof(doctor_options_t, fix),
     .help = "make topics, keyspace, table and indices that are missing"},
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, sink),
     .rows = cm_sink_option},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, store),
     .rows = cm_store_option},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, index),
     .rows = cm_index_option},
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, kafka),
     .rows = cm_kafka_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, kafka),
     .rows = cm_kafka_option_rows},
    {.name = "cassandra",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, elastic),
     .rows = cm_elastic_option_rows},
    {.name = "collect",
     .type = CM_OPT_ROWS,
     .offset = offsetof(doctor_options_t, collect),
     .rows = cm_collect_option_rows},
    {.name = NULL},
};

enum { FREE_BYTES = 1 << 30 };

/* What became of a check. */
typedef enum finding {
    RIGHT,
    FIXED, /* it was missing, and was made */
    NOTE,  /* nothing is wrong, but it is worth knowing */
    WRONG,
} finding_t;

static const char *const finding_names[] = {"right", "fixed", "note", "wrong"};

typedef struct doctor {
    cm_app_t *app;
    const doctor_options_t *asked;
    cm_buf_t json;
    int checks, wrong;
    int code; /* of the first that is wrong */
} doctor_t;

static void say(doctor_t *doctor, finding_t finding, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(doctor_t *doctor, finding_t finding, const char *subject, const char *format, ...)
{
    char text[CM_ERR_TEXT + 100];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    doctor->checks++;
    if (!doctor->app->global.json) {
        fprintf(doctor->app->out, "%-5s  %-13s  %s\n", finding_names[finding], subject, text);
        fflush(doctor->app->out); /* the next one may take long */
        return;
    }
    cm_buf_printf(&doctor->json,
                  "%s{\"state\":\"%s\",\"subject\":\"%s\",\"text\":", doctor->checks > 1 ? "," : "",
                  finding_names[finding], subject);
    cm_buf_add_json(&doctor->json, cm_str(text));
    cm_buf_add_char(&doctor->json, '}');
}

/* Says what is wrong with the sentence of an error. */
static void complain(doctor_t *doctor, const char *subject, int code, const char *text)
{
    if (doctor->wrong++ == 0)
        doctor->code = code;
    say(doctor, WRONG, subject, "%s", text);
}

/* ---- this machine ---- */

static void check_configuration(doctor_t *doctor)
{
    const char *file = doctor->app->global.config;

    if (file == NULL && access("clickmill.yaml", F_OK) == 0)
        file = "clickmill.yaml";
    /* A wrong one has ended the program before it came here. */
    if (file != NULL)
        say(doctor, RIGHT, "configuration", "%s is understood", file);
    else
        say(doctor, RIGHT, "configuration", "there is none: everything is as it comes");
}

static void check_space(doctor_t *doctor, const char *directory)
{
    struct statvfs about;

    if (statvfs(directory, &about) != 0)
        return;
    uint64_t bytes = (uint64_t)about.f_bavail * about.f_frsize;
    if (bytes < FREE_BYTES)
        say(doctor, NOTE, "data", "only %llu MB are free where %s is",
            (unsigned long long)(bytes >> 20), directory);
}

/* Nothing is there yet: can it be made? */
static void check_new_directory(doctor_t *doctor, const char *directory)
{
    const char *slash = strrchr(directory, '/');
    char parent[512], text[CM_ERR_TEXT];

    snprintf(parent, sizeof parent, "%.*s", slash != NULL ? (int)(slash - directory) : 1,
             slash != NULL ? directory : ".");
    const char *where = access(directory, F_OK) == 0 ? directory : parent[0] ? parent : "/";
    if (access(where, W_OK) == 0) {
        say(doctor, RIGHT, "data", "%s is made when it is needed first", directory);
        return;
    }
    snprintf(text, sizeof text,
             "%s cannot be made: %s: %s; choose another --data, or change the owner", directory,
             where, strerror(errno));
    complain(doctor, "data", CM_EIO, text);
}

static void check_data(doctor_t *doctor)
{
    const char *directory = doctor->app->global.data_dir;
    const cm_block_ref_t *blocks;
    cm_store_t *store = NULL;
    cm_reader_t *reader = NULL;
    cm_buf_t events = CM_BUF_INIT;
    size_t count;
    cm_err_t err;

    int rc = cm_store_open_directory_read(directory, &store, &err);
    if (rc == 0)
        rc = cm_store_reader(store, &reader, &err);
    if (rc == CM_EINPUT) {
        check_new_directory(doctor, directory);
        return;
    }
    if (rc == 0)
        rc = cm_reader_blocks(reader, &blocks, &count, &err);
    if (rc < 0) {
        complain(doctor, "data", rc, err.text);
    } else if (access(directory, W_OK) != 0) {
        snprintf(err.text, sizeof err.text, "%s cannot be written: %s", directory, strerror(errno));
        complain(doctor, "data", CM_EIO, err.text);
    } else {
        cm_buf_add_grouped(&events, cm_blocks_end(blocks, count));
        say(doctor, RIGHT, "data", "%s has %s events", directory, events.data);
        check_space(doctor, directory);
    }
    cm_reader_close(reader);
    cm_store_close(store);
    cm_buf_free(&events);
}

/* ---- Kafka ---- */

static void check_topic(doctor_t *doctor, const cm_kafka_settings_t *settings, const char *name,
                        const cm_kafka_topic_facts_t *facts)
{
    cm_err_t err;

    int rc = cm_kafka_check_topic(settings, name, facts, &err);
    if (rc == CM_EINPUT && settings->create)
        say(doctor, NOTE, "kafka", "%s", err.text);
    else if (rc < 0)
        complain(doctor, "kafka", rc, err.text);
    else
        say(doctor, facts->made ? FIXED : RIGHT, "kafka", "topic %s has %d partition%s, %d cop%s",
            name, facts->partitions, facts->partitions == 1 ? "" : "s", facts->replication,
            facts->replication == 1 ? "y" : "ies");
}

static void check_kafka(doctor_t *doctor)
{
    const cm_kafka_settings_t settings =
        cm_kafka_settings_of(&doctor->asked->kafka, &doctor->app->log, doctor->app->stop);
    cm_kafka_facts_t facts;
    cm_err_t err;

    int rc = cm_kafka_probe(&settings, doctor->asked->fix, &facts, &err);
    if (facts.brokers > 0)
        say(doctor, RIGHT, "kafka", "%s answers: %d broker%s; librdkafka here is %s",
            settings.brokers, facts.brokers, facts.brokers == 1 ? "" : "s", facts.library);
    if (rc < 0) {
        complain(doctor, "kafka", rc, err.text);
        return;
    }
    check_topic(doctor, &settings, settings.topic, &facts.topic);
    check_topic(doctor, &settings, settings.dead_topic, &facts.dead);
}

/* ---- Cassandra ---- */

static void say_cassandra(doctor_t *doctor, const cm_cassandra_settings_t *settings,
                          const cm_cassandra_report_t *report)
{
    const cm_cassandra_facts_t *facts = &report->facts;

    say(doctor, RIGHT, "cassandra",
        "%s answers: version %s, cluster %s, %d node%s in %d data centre%s, protocol v%d, %s",
        settings->hosts, facts->version, facts->cluster, facts->nodes, facts->nodes == 1 ? "" : "s",
        facts->dc_count, facts->dc_count == 1 ? "" : "s", facts->protocol,
        !settings->tls.enabled       ? "without TLS"
        : settings->tls.insecure     ? "TLS that trusts anybody"
        : settings->username != NULL ? "TLS and a password"
                                     : "TLS");
    if (report->table != CM_CASSANDRA_UNUSABLE)
        say(doctor, report->table == CM_CASSANDRA_MADE ? FIXED : RIGHT, "cassandra",
            "table %s.%s is the contract's; its keyspace has %s", settings->keyspace,
            settings->table, facts->replication);
    if (report->companion != CM_CASSANDRA_UNUSABLE)
        say(doctor, report->companion == CM_CASSANDRA_MADE ? FIXED : RIGHT, "cassandra",
            "table %s.%s_changes notes what is written (cassandra.only_writer)", settings->keyspace,
            settings->table);
}

static void check_cassandra(doctor_t *doctor)
{
    cm_store_settings_t store = cm_app_store_settings(doctor->app, &doctor->asked->store);
    cm_cassandra_report_t report;
    cm_err_t err;

    store.cassandra.log = NULL; /* what is wrong is said once */
    int rc = cm_cassandra_check(&store.cassandra, doctor->asked->fix, &report, &err);
    if (report.reached)
        say_cassandra(doctor, &store.cassandra, &report);
    if (rc == CM_EINPUT && store.cassandra.create)
        say(doctor, NOTE, "cassandra", "%s", err.text);
    else if (rc < 0)
        complain(doctor, "cassandra", rc, err.text);
}

/* ---- Elasticsearch ---- */

static void check_elastic(doctor_t *doctor)
{
    const cm_index_settings_t settings =
        cm_app_index_settings(doctor->app, CM_INDEX_ELASTICSEARCH, &doctor->asked->elastic);
    cm_index_facts_t facts = {.server = ""};
    cm_index_t *index = NULL;
    cm_err_t err;

    int rc = cm_index_open_writer(&settings, NULL, &index, &err);
    if (rc == 0)
        rc = cm_index_probe(index, doctor->asked->fix, &facts, &err);
    if (facts.server[0] != '\0')
        say(doctor, RIGHT, "elasticsearch", "%s", facts.server);
    if (rc < 0)
        complain(doctor, "elasticsearch", rc, err.text);
    else
        say(doctor,
            facts.created    ? FIXED
            : facts.complete ? RIGHT
                             : NOTE,
            "elasticsearch", "%s", facts.state);
    cm_index_close(index);
}

/* ---- collecting and enriching ---- */

static bool given(const cm_app_t *app, size_t offset)
{
    return cm_options_given(app->values, offset);
}

static void check_geoip(doctor_t *doctor)
{
    const char *file = doctor->asked->collect.enrich.geoip;
    cm_geo_t *geo = NULL;
    cm_err_t err;

    if (strcmp(file, "none") == 0) {
        say(doctor, RIGHT, "enrich", "countries and cities are not looked up");
        return;
    }
    int rc = cm_geo_open(file, &doctor->app->log, &geo, &err);
    if (rc < 0)
        complain(doctor, "enrich", rc, err.text);
    else
        say(doctor, RIGHT, "enrich", "%s is a GeoIP database", file);
    cm_geo_close(geo);
}

static void check_collect(doctor_t *doctor)
{
    const cm_collect_given_t *collect = &doctor->asked->collect;
    cm_err_t err;

    int rc = cm_collecting_check(collect, &err);
    if (rc < 0)
        complain(doctor, "collect", rc, err.text);
    else if (collect->sites == NULL)
        say(doctor, NOTE, "collect",
            "collect.sites names no site: pages of other servers may not send events");
    else
        say(doctor, RIGHT, "collect", "pages of %s may send events, and %zu servers by token",
            collect->sites, collect->tokens.count);
}

/* ---- all of it ---- */

static int run(cm_app_t *app, const void *asked, int argc, char **argv)
{
    doctor_t doctor = {.app = app, .asked = asked};

    (void)argc;
    (void)argv;
    check_configuration(&doctor);
    check_data(&doctor);
    if (doctor.asked->sink == CM_SINK_KAFKA ||
        given(app, offsetof(doctor_options_t, kafka.brokers)))
        check_kafka(&doctor);
    if (doctor.asked->store.engine == CM_STORE_CASSANDRA ||
        given(app, offsetof(doctor_options_t, store.cassandra.hosts)))
        check_cassandra(&doctor);
    if (doctor.asked->index == CM_INDEX_ELASTICSEARCH ||
        given(app, offsetof(doctor_options_t, elastic.hosts)) ||
        given(app, offsetof(doctor_options_t, elastic.cloud_id)))
        check_elastic(&doctor);
    if (given(app, offsetof(doctor_options_t, collect.enrich.geoip)))
        check_geoip(&doctor);
    if (given(app, offsetof(doctor_options_t, collect.sites)) ||
        given(app, offsetof(doctor_options_t, collect.proxies)) ||
        given(app, offsetof(doctor_options_t, collect.hosts)) ||
        given(app, offsetof(doctor_options_t, collect.tokens)) ||
        given(app, offsetof(doctor_options_t, collect.tls.cert)) ||
        given(app, offsetof(doctor_options_t, collect.tls.key)))
        check_collect(&doctor);
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
        "Looks at the configuration, the data directory, the GeoIP database and the collector's "
        "sites, tokens and certificate where they are given, and at Kafka, Cassandra and "
        "Elasticsearch "
        "where the configuration (sink: kafka, store: cassandra, index: elasticsearch), the "
        "environment or an option names them: whether they answer, let us in, and have the topics, "
        "the table and the indices of the contract. Each "
        "line says what is right, or what to do. Passwords are never shown.\n"
        "The exit status is 0 when nothing is wrong, else that of the first thing that is: 2 for "
        "credentials, TLS and settings, 3 for what is missing, 12 for servers that do not answer.\n"
        " clickmill doctor --config clickmill.cluster.yaml --fix",
    .options = options,
    .options_size = sizeof(doctor_options_t),
    .run = run,
};
