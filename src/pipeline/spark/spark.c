#include "pipeline/spark/spark.h"

#include "base/json.h"
#include "base/progress.h"
#include "base/secret.h"
#include "cassandra/schema.h"
#include "pipeline/accounts.h"
#include "pipeline/spark/child.h"
#include "pipeline/spark/version.h"

#include <stdlib.h>
#include <unistd.h>

/* spark/clickstream_job.py, see scripts/embed_file.py */
extern const char cm_spark_job[], cm_spark_job_end[];

#define SETTINGS "settings.json" /* holds passwords */

/* ---- settings ---- */

/* Appends a member of an object of texts. */
static void add(cm_buf_t *json, const char *name, cm_str_t value)
{
    if (json->data[json->len - 1] != '{')
        cm_buf_add_char(json, ',');
    cm_buf_add_json(json, cm_str(name));
    cm_buf_add_char(json, ':');
    cm_buf_add_json(json, value);
}

static int add_secret(cm_buf_t *json, const char *name, const char *text, const char *where,
                      cm_err_t *err)
{
    cm_buf_t value = CM_BUF_INIT;
    int rc = 0;

    if (text == NULL)
        return 0;
    if ((rc = cm_secret_read(text, where, &value, err)) == 0)
        add(json, name, (cm_str_t){value.data, value.len});
    cm_buf_free(&value);
    return rc;
}

/* In the order of the choices of --cassandra-consistency. */
static const char *const consistencies[] = {
    "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "LOCAL_ONE",
};

static void add_cassandra(cm_buf_t *json, const cm_cassandra_options_t *given)
{
    char port[16];

    snprintf(port, sizeof port, "%lld", (long long)given->port);
    add(json, "spark.cassandra.connection.host", cm_str(given->hosts));
    add(json, "spark.cassandra.connection.port", cm_str(port));
    if (given->local_dc != NULL)
        add(json, "spark.cassandra.connection.localDC", cm_str(given->local_dc));
    add(json, "spark.cassandra.input.consistency.level", cm_str(consistencies[given->consistency]));
    /* A busy table takes its time. */
    add(json, "spark.cassandra.connection.timeoutMS", CM_STR("60000"));
    add(json, "spark.cassandra.read.timeoutMS", CM_STR("120000"));
    if (given->tls)
        add(json, "spark.cassandra.connection.ssl.enabled", CM_STR("true"));
}

static void add_elastic(cm_buf_t *json, const cm_elastic_options_t *given, const char *host)
{
    const char *from = given->cloud_id != NULL ? host : given->hosts;
    bool first = true;

    cm_buf_add_text(json, "\"hosts\":[");
    for (size_t len; *from != '\0'; from += len + (from[len] == ',')) {
        len = strcspn(from, ",");
        const cm_str_t url = cm_str_trim((cm_str_t){from, len});
        if (url.len == 0)
            continue;
        cm_buf_add_text(json, first ? "" : ",");
        cm_buf_add_json(json, url);
        first = false;
    }
    cm_buf_add_text(json, given->insecure ? "],\"insecure\":true" : "]");
}

static int add_secrets(cm_buf_t *json, const cm_spark_options_t *options,
                       const cm_elastic_settings_t *settings, cm_err_t *err)
{
    const cm_cassandra_options_t *cassandra = options->cassandra;
    const cm_option_map_t *map = &options->spark->properties;
    cm_buf_t user = CM_BUF_INIT, password = CM_BUF_INIT, authorization = CM_BUF_INIT;

    cm_buf_add_text(json, ",\"secrets\":{\"options\":{");
    int rc = add_secret(json, "spark.cassandra.auth.username", cassandra->username,
                        "cassandra.username", err);
    if (rc == 0)
        rc = add_secret(json, "spark.cassandra.auth.password", cassandra->password,
                        "cassandra.password", err);
    for (size_t i = 0; rc == 0 && i < map->count; i++) {
        if (cm_secret_is(map->pairs[i].text))
            rc = add_secret(json, map->pairs[i].name, map->pairs[i].text, "spark.properties", err);
    }
    cm_buf_add_text(json, "},\"elastic\":{");
    if (rc == 0)
        rc = cm_elastic_credentials(settings, &user, &password, &authorization, err);
    if (rc == 0 && user.len > 0) {
        add(json, "username", (cm_str_t){user.data, user.len});
        add(json, "password", (cm_str_t){password.data, password.len});
    } else if (rc == 0 && authorization.len > 0) {
        add(json, "authorization", (cm_str_t){authorization.data, authorization.len});
    }
    cm_buf_add_text(json, "}}");
    cm_buf_free(&user);
    cm_buf_free(&password);
    cm_buf_free(&authorization);
    return rc;
}

static void add_output(cm_buf_t *json, const cm_spark_options_t *options,
                       const cm_index_elasticsearch_indices_t *indices)
{
    cm_buf_add_text(json, "\"output\":{\"elasticsearch\":{");
    add(json, "index", cm_str(options->elastic->index));
    add(json, "totals", cm_str(options->elastic->totals));
    add(json, "cells_index", cm_str(indices->cells));
    add(json, "totals_index", cm_str(indices->totals));
    cm_buf_add_text(json, options->rebuild ? ",\"rebuild\":true}}" : "}}");
}

static int make_settings(cm_app_t *app, const cm_spark_options_t *options,
                         const cm_elastic_settings_t *settings,
                         const cm_index_elasticsearch_indices_t *indices, const char *host,
                         cm_buf_t *json)
{
    cm_buf_add_text(json, "{\"input\":{\"cassandra\":{");
    add(json, "keyspace", cm_str(options->cassandra->keyspace));
    add(json, "table", cm_str(options->cassandra->table));
    cm_buf_add_text(json, "}},\"windows\":[");
    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        if (cm_window_in(options->windows, w))
            cm_buf_printf(json, "%s\"%s\"", json->data[json->len - 1] == '[' ? "" : ",",
                          cm_index_window_names[w]);
    }
    cm_buf_printf(json, "],\"session_timeout\":%lld,",
                  (long long)app->global.session_timeout / 1000);
    add_output(json, options, indices);
    cm_buf_add_text(json, ",\"options\":{");
    add_cassandra(json, options->cassandra);
    cm_buf_add_text(json, "},\"elastic\":{");
    add_elastic(json, options->elastic, host);
    cm_buf_add_text(json, "},\"ca\":{");
    if (options->cassandra->ca != NULL)
        add(json, "cassandra", cm_str(options->cassandra->ca));
    if (options->elastic->ca != NULL)
        add(json, "elasticsearch", cm_str(options->elastic->ca));
    cm_buf_add_char(json, '}');
    int rc = add_secrets(json, options, settings, &app->err);
    cm_buf_add_char(json, '}');
    return rc;
}

/* ---- the command line ---- */

/* What runs the job. */
typedef struct found {
    cm_buf_t submit;
    const char *packages;
} found_t;

/* Where spark-submit is; empty when it is nowhere. */
static void find_submit(const cm_spark_given_t *given, cm_buf_t *path)
{
    const char *home = getenv("SPARK_HOME"), *places = getenv("PATH");

    if (given->submit != NULL) {
        cm_buf_add_text(path, given->submit);
    } else if (home != NULL) {
        cm_buf_printf(path, "%s/bin/spark-submit", home);
    } else {
        while (places != NULL && *places != '\0') {
            size_t len = strcspn(places, ":");
            cm_buf_clear(path);
            cm_buf_printf(path, "%.*s/spark-submit", (int)len, places);
            if (access(path->data, X_OK) == 0)
                return;
            places += len + (places[len] == ':');
        }
    }
    if (path->len == 0 || access(path->data, X_OK) != 0)
        cm_buf_clear(path);
}

static int find_spark(cm_app_t *app, const cm_spark_given_t *given, found_t *found)
{
    find_submit(given, &found->submit);
    found->packages = given->packages;
    if (found->submit.len == 0)
        return cm_fail(&app->err, CM_EUSAGE,
                       "%s is not there: install Spark 3.5 and Java 17 (`pip install "
                       "pyspark==3.5.7`) and name it with --spark-submit, or take --engine mill, "
                       "which needs neither",
                       given->submit != NULL ? given->submit : "spark-submit");
    /* Who names connectors knows which Spark it is. */
    return given->packages != NULL
               ? 0
               : cm_spark_find_connector(app, found->submit.data, &found->packages);
}

/* Downloads are kept where the user's other caches are. */
static void add_cache(cm_child_t *child)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    cm_buf_t text = CM_BUF_INIT;

    if (cache != NULL && cache[0] == '/')
        cm_buf_printf(&text, "spark.jars.ivy=%s/clickmill/ivy", cache);
    else if (home != NULL)
        cm_buf_printf(&text, "spark.jars.ivy=%s/.cache/clickmill/ivy", home);
    if (text.len > 0) {
        cm_child_argument(child, "--conf");
        cm_child_argument(child, text.data);
    }
    cm_buf_free(&text);
}

/* Passwords do not stand here: everybody on the machine can see it. */
static void make_command(cm_child_t *child, const cm_spark_given_t *given, const char *submit,
                         const char *packages)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_child_argument(child, submit);
    if (given->master != NULL) {
        cm_child_argument(child, "--master");
        cm_child_argument(child, given->master);
    }
    if (packages[0] != '\0' && strcmp(packages, "none") != 0) {
        cm_child_argument(child, "--packages");
        cm_child_argument(child, packages);
        add_cache(child);
    }
    for (size_t i = 0; i < given->properties.count; i++) {
        const cm_option_pair_t *pair = &given->properties.pairs[i];
        if (cm_secret_is(pair->text))
            continue;
        cm_buf_clear(&text);
        cm_buf_printf(&text, "%s=%s", pair->name, pair->text);
        cm_child_argument(child, "--conf");
        cm_child_argument(child, text.data);
    }
    cm_buf_free(&text);
}

/* ---- what the job says ---- */

typedef struct listening {
    cm_app_t *app;
    cm_json_parser_t *parser;
    cm_progress_t progress;
    char label[100];
    int64_t stage;
    cm_spark_account_t *done;
    const cm_child_t *child;
    bool ended;
    cm_buf_t failure; /* what the job says of its own end */
} listening_t;

static int64_t number_of(cm_json_t object, const char *name)
{
    cm_json_t found;
    int64_t value = 0;

    if (cm_json_get(object, name, &found))
        cm_json_i64(found, &value);
    return value;
}

static void take_progress(listening_t *self, cm_json_t about)
{
    const cm_app_t *app = self->app;
    int64_t stage = number_of(about, "stage"), tasks = number_of(about, "tasks");

    if (stage != self->stage) {
        cm_progress_end(&self->progress);
        self->stage = stage;
        snprintf(self->label, sizeof self->label, "Spark, stage %lld", (long long)stage);
        cm_progress_start(&self->progress, app->messages, app->terminal, self->label, "tasks");
    }
    int64_t done = number_of(about, "done");
    cm_progress_show(&self->progress, tasks > 0 ? (double)done / (double)tasks : -1,
                     (uint64_t)done);
}

static void take_line(void *context, cm_str_t line)
{
    listening_t *self = context;
    cm_json_t root, about;
    cm_str_t failure;

    if (!cm_json_parse(self->parser, line, &root))
        return;
    cm_child_remove(self->child, SETTINGS); /* the job speaks when it has read them */
    if (cm_json_get(root, "progress", &about))
        take_progress(self, about);
    if (cm_json_get(root, "failure", &about) && cm_json_text(about, &failure)) {
        cm_buf_clear(&self->failure);
        cm_buf_add_str(&self->failure, failure);
    }
    if (!cm_json_get(root, "account", &about))
        return;
    self->ended = true;
    *self->done = (cm_spark_account_t){.read = number_of(about, "read"),
                                       .rejected = number_of(about, "rejected"),
                                       .removed = number_of(about, "removed"),
                                       .answers = {.accepted = number_of(about, "accepted"),
                                                   .events = number_of(about, "events"),
                                                   .duplicates = number_of(about, "duplicates"),
                                                   .cells = number_of(about, "cells"),
                                                   .changed = true}};
}

static int run_job(cm_app_t *app, const cm_spark_options_t *options, const found_t *found,
                   const cm_buf_t *settings, cm_spark_account_t *done)
{
    listening_t listening = {.app = app, .parser = cm_json_parser_new(), .done = done, .stage = -1};
    cm_child_t child;

    listening.child = &child;
    cm_progress_start(&listening.progress, app->messages, app->terminal, "Spark starts", "tasks");
    int rc = cm_child_open(&child, &app->err);
    if (rc == 0) {
        make_command(&child, options->spark, found->submit.data, found->packages);
        rc = cm_child_file(&child, "clickstream_job.py",
                           (cm_str_t){cm_spark_job, (size_t)(cm_spark_job_end - cm_spark_job)},
                           &app->err);
    }
    if (rc == 0)
        rc = cm_child_file(&child, SETTINGS, (cm_str_t){settings->data, settings->len}, &app->err);
    if (rc == 0)
        rc = cm_child_run(&child, app->stop, take_line, &listening, &app->err);
    cm_progress_end(&listening.progress);
    if (rc == CM_EIO && listening.failure.len > 0)
        rc = cm_fail(&app->err, CM_EIO, "the Spark job: %s", listening.failure.data);
    cm_buf_free(&listening.failure);
    if (rc == 0 && !listening.ended)
        rc = cm_fail(&app->err, CM_EIO, "the Spark job ended without its account");
    if (rc == 0 && done->rejected > 0)
        fprintf(app->messages,
                "%lld rows are no events of the contract and were left out; `clickmill export "
                "--store cassandra` names the first\n",
                (long long)done->rejected);
    cm_child_close(&child);
    cm_json_parser_free(listening.parser);
    return rc;
}

/* ---- all of it ---- */

/* What the connectors have not, but we have: better said than left out in silence. */
static int check_settings(const cm_cassandra_options_t *given, cm_err_t *err)
{
    if (given->cert != NULL || given->key != NULL)
        return cm_fail(err, CM_EUSAGE,
                       "--engine spark takes no cassandra.tls.cert: put certificate and key into a "
                       "PKCS12 file and name it with --spark-property "
                       "spark.cassandra.connection.ssl.keyStore.path=FILE, keyStore.type=PKCS12, "
                       "keyStore.password=file:PATH and clientAuth.enabled=true");
    if (given->tls && given->insecure)
        return cm_fail(err, CM_EUSAGE,
                       "--engine spark always checks Cassandra's certificate: name its authority "
                       "with cassandra.tls.ca in the place of cassandra.tls.insecure, or take "
                       "--engine mill");
    return 0;
}

/* What is wrong with Cassandra is found out before Spark has been started for it, and said as
 * elsewhere. */
static int check_cassandra(cm_app_t *app, const cm_cassandra_options_t *given)
{
    const cm_cassandra_settings_t settings = cm_cassandra_settings_of(given, &app->log, app->stop);
    const cm_store_cassandra_options_t options = {.settings = &settings, .only_read = true};
    cm_store_t *store;

    int rc = cm_store_cassandra_open(&options, &store, &app->err);
    if (rc == 0)
        cm_sink_close(&store->sink);
    return rc;
}

/* The indices that are written, and which of them there were before. */
typedef struct target {
    cm_index_elasticsearch_indices_t indices,
        made; /* made: names only of those that this run has made */
} target_t;

static int find_indices(cm_app_t *app, const cm_elastic_settings_t *settings, bool rebuild,
                        cm_elastic_t *client, target_t *target)
{
    cm_index_elasticsearch_indices_t *indices = &target->indices, before = {0};
    char epoch[CM_EPOCH + 1];
    cm_err_t *err = &app->err;
    int rc;

    if (rebuild) {
        rc = cm_index_elasticsearch_make_next(client, settings, NULL, indices, err);
    } else {
        rc = cm_index_elasticsearch_find(client, settings, NULL, indices, err);
        before = *indices;
        if (rc == 0)
            rc = cm_index_elasticsearch_prepare(client, settings, NULL, indices, err);
    }
    target->made = *indices;
    if (before.cells[0] != '\0')
        target->made.cells[0] = '\0';
    if (before.totals[0] != '\0')
        target->made.totals[0] = '\0';
    if (rc == 0)
        rc = cm_index_elasticsearch_new_epoch(epoch, err);
    if (rc == 0)
        rc = cm_index_elasticsearch_set_epoch(client, settings, NULL, indices, epoch, err);
    memcpy(target->made.epoch, indices->epoch, sizeof indices->epoch);
    return rc;
}

/* No index shall be left that was made for a job that failed. The settings' own stop may be why it
 * failed, and would end this as well. */
static void discard(cm_app_t *app, const cm_elastic_settings_t *settings, target_t *target)
{
    cm_elastic_settings_t lasting = *settings;
    cm_elastic_t *client = NULL;
    cm_err_t err;

    if (target->made.cells[0] == '\0' && target->made.totals[0] == '\0')
        return;
    lasting.stop = NULL;
    int rc = cm_elastic_open(&lasting, &client, &err);
    if (rc == 0)
        rc = cm_index_elasticsearch_discard(client, &lasting, &target->made, &err);
    if (rc < 0)
        fprintf(app->messages,
                "the indices that were made for this job (%s %s) are still there: %s\n",
                target->made.cells, target->made.totals, err.text);
    cm_elastic_close(client);
}

int cm_spark_process(cm_app_t *app, const cm_spark_options_t *options, cm_spark_account_t *done)
{
    const cm_elastic_settings_t settings =
        cm_elastic_settings_of(options->elastic, app->values, &app->log, app->stop);
    found_t found = {.submit = CM_BUF_INIT};
    cm_buf_t json = CM_BUF_INIT;
    cm_elastic_t *client = NULL;
    target_t target = {0};

    int rc = find_spark(app, options->spark, &found);
    if (rc == 0)
        rc = check_settings(options->cassandra, &app->err);
    if (rc == 0)
        rc = check_cassandra(app, options->cassandra);
    if (rc == 0)
        rc = cm_elastic_open(&settings, &client, &app->err);
    if (rc == 0)
        rc = find_indices(app, &settings, options->rebuild, client, &target);
    if (rc == 0)
        rc =
            make_settings(app, options, &settings, &target.indices, cm_elastic_host(client), &json);
    if (rc == 0)
        rc = run_job(app, options, &found, &json, done);
    if (rc == 0)
        rc = options->rebuild
                 ? cm_index_elasticsearch_swap(client, &settings, NULL, &target.indices, &app->err)
                 : cm_index_elasticsearch_refresh(client, NULL, &target.indices, &app->err);
    if (rc < 0)
        discard(app, &settings, &target);
    cm_elastic_close(client);
    cm_buf_free(&found.submit);
    cm_buf_free(&json);
    return rc;
}

void cm_spark_print(cm_app_t *app, const cm_spark_account_t *done, double seconds)
{
    cm_buf_t json = CM_BUF_INIT;

    if (!app->global.json) {
        cm_app_print_answers(app, &done->answers, seconds);
        if (done->removed > 0)
            fprintf(app->messages, "%lld documents that no event leads to any more were removed\n",
                    (long long)done->removed);
        return;
    }
    cm_accounts_add_answers_json(&json, &done->answers, seconds);
    json.data[json.len - 1] = ','; /* into the object */
    cm_buf_printf(&json, "\"read\":%lld,\"rejected\":%lld,\"removed\":%lld}", (long long)done->read,
                  (long long)done->rejected, (long long)done->removed);
    fprintf(app->out, "%s\n", json.data);
    fflush(app->out);
    cm_buf_free(&json);
}
