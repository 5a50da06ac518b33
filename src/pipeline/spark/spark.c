#include "pipeline/spark/spark.h"

#include "base/json.h"
#include "base/progress.h"
#include "index/elasticsearch/elasticsearch.h"
#include "pipeline/spark/child.h"
#include "pipeline/spark/settings.h"
#include "pipeline/spark/submit.h"
#include "store/cassandra/store.h"

/* Two files of spark/, embedded by scripts/embed_file.py: the program that spark-submit runs, and
 * the package of the job as a zip file. */
extern const char cm_spark_program[], cm_spark_program_end[];
extern const char cm_spark_package[], cm_spark_package_end[];

#define SETTINGS "settings.json" /* contains passwords */

/* ---- the output of the job ---- */

typedef struct listener {
    const cm_pipeline_env_t *env;
    const cm_child_t *child;
    cm_json_parser_t *parser;
    cm_progress_t progress;
    char label[100];
    int64_t stage;
    cm_spark_account_t *account;
    bool ended;       /* the account is there */
    cm_buf_t failure; /* the sentence with which the job explains its failure */
} listener_t;

static int64_t number_of(cm_json_t object, const char *name)
{
    cm_json_t found;
    int64_t value = 0;

    if (cm_json_get(object, name, &found))
        cm_json_i64(found, &value);
    return value;
}

static void take_progress(listener_t *self, cm_json_t about)
{
    int64_t stage = number_of(about, "stage"), tasks = number_of(about, "tasks");

    if (stage != self->stage) {
        cm_progress_end(&self->progress);
        self->stage = stage;
        snprintf(self->label, sizeof self->label, "Spark, stage %lld", (long long)stage);
        cm_progress_start(&self->progress, self->env->messages, self->env->terminal, self->label,
                          "tasks");
    }
    int64_t done = number_of(about, "done");
    cm_progress_show(&self->progress, tasks > 0 ? (double)done / (double)tasks : -1,
                     (uint64_t)done);
}

static void take_account(listener_t *self, cm_json_t about)
{
    self->ended = true;
    *self->account = (cm_spark_account_t){.read = number_of(about, "read"),
                                          .rejected = number_of(about, "rejected"),
                                          .removed = number_of(about, "removed"),
                                          .answers = {.accepted = number_of(about, "accepted"),
                                                      .events = number_of(about, "events"),
                                                      .duplicates = number_of(about, "duplicates"),
                                                      .cells = number_of(about, "cells"),
                                                      .changed = true}};
}

static void take_line(void *context, cm_str_t line)
{
    listener_t *self = context;
    cm_json_t root, about;
    cm_str_t failure;

    if (!cm_json_parse(self->parser, line, &root))
        return;
    cm_child_remove(self->child, SETTINGS); /* the job reads them before it prints anything */
    if (cm_json_get(root, "progress", &about))
        take_progress(self, about);
    if (cm_json_get(root, "failure", &about) && cm_json_text(about, &failure)) {
        cm_buf_clear(&self->failure);
        cm_buf_add_str(&self->failure, failure);
    }
    if (cm_json_get(root, "account", &about))
        take_account(self, about);
}

/* ---- the child process ---- */

static int prepare(cm_child_t *child, const cm_spark_job_t *job, const cm_spark_submit_t *submit,
                   const cm_buf_t *settings, cm_err_t *err)
{
    cm_spark_submit_arguments(submit, job->options, child);
    cm_child_argument(child, "--py-files");
    int rc = cm_child_file(
        child, "clickstream.zip",
        (cm_str_t){cm_spark_package, (size_t)(cm_spark_package_end - cm_spark_package)}, err);
    if (rc == 0)
        cm_spark_submit_add_own_files(job->options, child);
    if (rc == 0)
        rc = cm_child_file(
            child, "clickstream_job.py",
            (cm_str_t){cm_spark_program, (size_t)(cm_spark_program_end - cm_spark_program)}, err);
    if (rc == 0)
        rc = cm_child_file(child, SETTINGS, (cm_str_t){settings->data, settings->len}, err);
    return rc;
}

static int run_job(const cm_pipeline_env_t *env, const cm_spark_job_t *job,
                   const cm_spark_submit_t *submit, const cm_buf_t *settings,
                   cm_spark_account_t *account, cm_err_t *err)
{
    cm_child_t child;
    listener_t listener = {.env = env,
                           .child = &child,
                           .parser = cm_json_parser_new(),
                           .account = account,
                           .stage = -1};

    cm_progress_start(&listener.progress, env->messages, env->terminal, "Spark starts", "tasks");
    int rc = cm_child_open(&child, err);
    if (rc == 0)
        rc = prepare(&child, job, submit, settings, err);
    if (rc == 0) {
        cm_debug(env->log, CM_DEBUG_SPARK, "job starts", "files=%s arguments=%d", child.directory,
                 child.argument_count);
        rc = cm_child_run(&child, env->stop, take_line, &listener, err);
        cm_debug(env->log, CM_DEBUG_SPARK, "job ended", "code=%d account=%s", rc,
                 listener.ended ? "yes" : "no");
    }
    cm_progress_end(&listener.progress);
    if (rc == CM_EIO && listener.failure.len > 0)
        rc = cm_fail(err, CM_EIO, "the Spark job: %s", listener.failure.data);
    if (rc == 0 && !listener.ended)
        rc = cm_fail(err, CM_EIO, "the Spark job ended without its account");
    cm_buf_free(&listener.failure);
    cm_child_close(&child);
    cm_json_parser_free(listener.parser);
    return rc;
}

/* ---- Cassandra and Elasticsearch ---- */

/* A problem with Cassandra is found before Spark starts, and is reported as by other commands. */
static int check_cassandra(const cm_cassandra_settings_t *settings, cm_err_t *err)
{
    const cm_store_cassandra_options_t options = {.settings = settings, .only_read = true};
    cm_store_t *store;

    int rc = cm_store_cassandra_open(&options, &store, err);
    if (rc == 0)
        cm_sink_close(&store->sink);
    return rc;
}

/* The indices that the job writes, and the names of those that this run has created. */
typedef struct target {
    cm_index_elasticsearch_indices_t indices, created;
} target_t;

static int find_indices(const cm_elastic_settings_t *settings, bool rebuild, cm_elastic_t *client,
                        target_t *target, cm_err_t *err)
{
    cm_index_elasticsearch_indices_t *indices = &target->indices, before = {0};
    char epoch[CM_INDEX_EPOCH + 1];
    int rc;

    if (rebuild) {
        rc = cm_index_elasticsearch_make_next(client, settings, NULL, indices, err);
    } else {
        rc = cm_index_elasticsearch_find(client, settings, NULL, indices, err);
        before = *indices;
        if (rc == 0)
            rc = cm_index_elasticsearch_prepare(client, settings, NULL, indices, err);
    }
    target->created = *indices;
    if (before.cells[0] != '\0')
        target->created.cells[0] = '\0';
    if (before.totals[0] != '\0')
        target->created.totals[0] = '\0';
    if (rc == 0)
        rc = cm_index_elasticsearch_new_epoch(epoch, err);
    if (rc == 0)
        rc = cm_index_elasticsearch_set_epoch(client, settings, NULL, indices, epoch, err);
    memcpy(target->created.epoch, indices->epoch, sizeof indices->epoch);
    return rc;
}

/* Deletes the indices that were created for a job that failed. The stop of the settings is left
 * out: it may be the reason of the failure, and would end this as well. */
static void discard(const cm_pipeline_env_t *env, const cm_elastic_settings_t *settings,
                    target_t *target)
{
    cm_elastic_settings_t lasting = *settings;
    cm_elastic_t *client = NULL;
    cm_err_t err;

    if (target->created.cells[0] == '\0' && target->created.totals[0] == '\0')
        return;
    lasting.stop = NULL;
    int rc = cm_elastic_open(&lasting, &client, &err);
    if (rc == 0)
        rc = cm_index_elasticsearch_discard(client, &lasting, &target->created, &err);
    if (rc < 0)
        fprintf(env->messages,
                "the indices that were created for this job (%s %s) still exist: %s\n",
                target->created.cells, target->created.totals, err.text);
    cm_elastic_close(client);
}

int cm_spark_process(const cm_pipeline_env_t *env, const cm_spark_job_t *job,
                     cm_spark_account_t *account, cm_err_t *err)
{
    const cm_elastic_settings_t *settings = job->elastic;
    cm_spark_submit_t submit = CM_SPARK_SUBMIT_INIT;
    cm_buf_t json = CM_BUF_INIT;
    cm_elastic_t *client = NULL;
    target_t target = {0};

    int rc = cm_spark_submit_find(env, job->options, &submit, err);
    if (rc == 0)
        rc = cm_spark_check_settings(job->cassandra, err);
    if (rc == 0)
        rc = check_cassandra(job->cassandra, err);
    if (rc == 0)
        rc = cm_elastic_open(settings, &client, err);
    if (rc == 0)
        rc = find_indices(settings, job->rebuild, client, &target, err);
    if (rc == 0)
        cm_debug(env->log, CM_DEBUG_SPARK, "indices chosen", "cells=%s totals=%s rebuild=%s",
                 target.indices.cells, target.indices.totals, job->rebuild ? "yes" : "no");
    if (rc == 0)
        rc = cm_spark_add_settings(&json, job, &target.indices, cm_elastic_host(client), err);
    if (rc == 0)
        rc = run_job(env, job, &submit, &json, account, err);
    if (rc == 0)
        rc = job->rebuild
                 ? cm_index_elasticsearch_swap(client, settings, NULL, &target.indices, err)
                 : cm_index_elasticsearch_refresh(client, NULL, &target.indices, err);
    if (rc < 0)
        discard(env, settings, &target);
    cm_elastic_close(client);
    cm_spark_submit_free(&submit);
    cm_buf_free(&json);
    return rc;
}
