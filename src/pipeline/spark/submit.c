#include "pipeline/spark/submit.h"

#include "base/secret.h"
#include "pipeline/spark/version.h"

#include <stdlib.h>
#include <unistd.h>

/* The path of spark-submit; empty when there is none. */
static void find_program(const cm_spark_options_t *options, cm_buf_t *path)
{
    const char *home = getenv("SPARK_HOME"), *places = getenv("PATH");

    if (options->submit != NULL) {
        cm_buf_add_text(path, options->submit);
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

int cm_spark_submit_find(const cm_pipeline_env_t *env, const cm_spark_options_t *options,
                         cm_spark_submit_t *submit, cm_err_t *err)
{
    find_program(options, &submit->path);
    submit->packages = options->packages;
    if (submit->path.len == 0)
        return cm_fail(err, CM_EUSAGE,
                       "%s is not there: install Spark 3.5 and Java 17 (`pip install "
                       "pyspark==3.5.7`) and name it with --spark-submit, or use --engine mill, "
                       "which needs neither",
                       options->submit != NULL ? options->submit : "spark-submit");
    /* A user who names connectors knows the release of this Spark. */
    int rc = options->packages != NULL
                 ? 0
                 : cm_spark_find_connector(env->stop, submit->path.data, &submit->packages, err);
    if (rc == 0)
        cm_debug(env->log, CM_DEBUG_SPARK, "spark-submit found", "path=%s packages=%s given=%s",
                 submit->path.data, submit->packages, options->packages != NULL ? "yes" : "no");
    return rc;
}

/* Downloads go to the directory of the user's other caches. */
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

static void add_properties(const cm_option_map_t *properties, cm_child_t *child)
{
    cm_buf_t text = CM_BUF_INIT;

    for (size_t i = 0; i < properties->count; i++) {
        const cm_option_pair_t *pair = &properties->pairs[i];
        if (cm_secret_is(pair->text))
            continue;
        cm_buf_clear(&text);
        cm_buf_printf(&text, "%s=%s", pair->name, pair->text);
        cm_child_argument(child, "--conf");
        cm_child_argument(child, text.data);
    }
    cm_buf_free(&text);
}

void cm_spark_submit_arguments(const cm_spark_submit_t *submit, const cm_spark_options_t *options,
                               cm_child_t *child)
{
    cm_child_argument(child, submit->path.data);
    if (options->master != NULL) {
        cm_child_argument(child, "--master");
        cm_child_argument(child, options->master);
    }
    if (submit->packages[0] != '\0' && strcmp(submit->packages, "none") != 0) {
        cm_child_argument(child, "--packages");
        cm_child_argument(child, submit->packages);
        add_cache(child);
    }
    add_properties(&options->properties, child);
}

void cm_spark_submit_add_own_files(const cm_spark_options_t *options, cm_child_t *child)
{
    for (size_t i = 0; i < options->properties.count; i++) {
        const cm_option_pair_t *pair = &options->properties.pairs[i];
        if (strcmp(pair->name, "spark.submit.pyFiles") != 0 || pair->text[0] == '\0')
            continue;
        cm_child_extend(child, ",");
        cm_child_extend(child, pair->text);
    }
}

void cm_spark_submit_free(cm_spark_submit_t *submit)
{
    cm_buf_free(&submit->path);
    *submit = CM_SPARK_SUBMIT_INIT;
}
