#include "cmd/process_spark.h"

#include "pipeline/accounts.h"
#include "store/open.h"

static void print_account(cm_app_t *app, const cm_spark_account_t *account, double seconds)
{
    cm_buf_t json = CM_BUF_INIT;

    cm_app_print_left_out(app, (uint64_t)account->rejected);
    if (!app->global.json) {
        cm_app_print_answers(app, &account->answers, seconds);
        if (account->removed > 0)
            fprintf(app->messages, "%lld documents that no event leads to any more were removed\n",
                    (long long)account->removed);
        return;
    }
    cm_accounts_add_answers_json(&json, &account->answers, seconds);
    json.data[json.len - 1] = ','; /* into the object */
    cm_buf_printf(&json, "\"read\":%lld,\"rejected\":%lld,\"removed\":%lld}",
                  (long long)account->read, (long long)account->rejected,
                  (long long)account->removed);
    fprintf(app->out, "%s\n", json.data);
    fflush(app->out);
    cm_buf_free(&json);
}

int cm_processing_by_spark(cm_app_t *app, const cm_spark_job_t *job)
{
    const cm_pipeline_env_t env = cm_app_env(app);
    int64_t started = cm_clock_ticks_ns();
    cm_store_t *store; /* its lock stops a second run of a schedule */
    cm_spark_account_t account;

    if (job->cassandra == NULL || job->elastic == NULL)
        return cm_fail(&app->err, CM_EUSAGE,
                       "--engine spark reads from Cassandra and writes to Elasticsearch: give "
                       "--store cassandra and --index elasticsearch, or take --engine mill");
    int rc = cm_store_open_directory(app->global.data_dir, app->clock, &store, &app->err);
    if (rc < 0)
        return rc;
    rc = cm_spark_process(&env, job, &account, &app->err);
    cm_sink_close(&store->sink);
    if (rc == CM_ESTOP)
        fprintf(app->messages, "stopped; what Spark had not written yet is not in the index\n");
    if (rc == 0)
        print_account(app, &account, (double)(cm_clock_ticks_ns() - started) / 1e9);
    return rc;
}
