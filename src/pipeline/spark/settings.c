#include "pipeline/spark/settings.h"

#include "base/secret.h"

/* Appends a member of an object whose values are strings. */
static void add(cm_buf_t *json, const char *name, cm_str_t value)
{
    if (json->data[json->len - 1] != '{')
        cm_buf_add_char(json, ',');
    cm_buf_add_json(json, cm_str(name));
    cm_buf_add_char(json, ':');
    cm_buf_add_json(json, value);
}

/* The same with the value that `text` refers to (base/secret.h); nothing where it is NULL. */
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

static void add_cassandra(cm_buf_t *json, const cm_cassandra_settings_t *settings)
{
    char port[16];

    snprintf(port, sizeof port, "%d", settings->port);
    add(json, "spark.cassandra.connection.host", cm_str(settings->hosts));
    add(json, "spark.cassandra.connection.port", cm_str(port));
    if (settings->local_dc != NULL)
        add(json, "spark.cassandra.connection.localDC", cm_str(settings->local_dc));
    add(json, "spark.cassandra.input.consistency.level",
        cm_str(cm_cql_consistency_name(settings->consistency)));
    /* The connector's defaults are too short for a table under load. */
    add(json, "spark.cassandra.connection.timeoutMS", CM_STR("60000"));
    add(json, "spark.cassandra.read.timeoutMS", CM_STR("120000"));
    if (settings->tls.enabled)
        add(json, "spark.cassandra.connection.ssl.enabled", CM_STR("true"));
}

static void add_elastic(cm_buf_t *json, const cm_elastic_settings_t *settings, const char *host)
{
    const char *next = settings->cloud_id != NULL ? host : settings->hosts;
    bool first = true;

    cm_buf_add_text(json, "\"hosts\":[");
    for (size_t len; *next != '\0'; next += len + (next[len] == ',')) {
        len = strcspn(next, ",");
        const cm_str_t url = cm_str_trim((cm_str_t){next, len});
        if (url.len == 0)
            continue;
        cm_buf_add_text(json, first ? "" : ",");
        cm_buf_add_json(json, url);
        first = false;
    }
    cm_buf_add_text(json, settings->insecure ? "],\"insecure\":true" : "]");
}

static int add_elastic_secrets(cm_buf_t *json, const cm_elastic_settings_t *settings, cm_err_t *err)
{
    cm_buf_t user = CM_BUF_INIT, password = CM_BUF_INIT, authorization = CM_BUF_INIT;

    int rc = cm_elastic_credentials(settings, &user, &password, &authorization, err);
    if (rc == 0 && user.len > 0) {
        add(json, "username", (cm_str_t){user.data, user.len});
        add(json, "password", (cm_str_t){password.data, password.len});
    } else if (rc == 0 && authorization.len > 0) {
        add(json, "authorization", (cm_str_t){authorization.data, authorization.len});
    }
    cm_buf_free(&user);
    cm_buf_free(&password);
    cm_buf_free(&authorization);
    return rc;
}

static int add_secrets(cm_buf_t *json, const cm_spark_job_t *job, cm_err_t *err)
{
    const cm_option_map_t *map = &job->options->properties;

    cm_buf_add_text(json, ",\"secrets\":{\"options\":{");
    int rc = add_secret(json, "spark.cassandra.auth.username", job->cassandra->username,
                        "cassandra.username", err);
    if (rc == 0)
        rc = add_secret(json, "spark.cassandra.auth.password", job->cassandra->password,
                        "cassandra.password", err);
    for (size_t i = 0; rc == 0 && i < map->count; i++) {
        if (cm_secret_is(map->pairs[i].text))
            rc = add_secret(json, map->pairs[i].name, map->pairs[i].text, "spark.properties", err);
    }
    cm_buf_add_text(json, "},\"elastic\":{");
    if (rc == 0)
        rc = add_elastic_secrets(json, job->elastic, err);
    cm_buf_add_text(json, "}}");
    return rc;
}

static void add_windows(cm_buf_t *json, unsigned windows)
{
    bool first = true;

    cm_buf_add_text(json, ",\"windows\":[");
    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        if (!cm_window_in(windows, w))
            continue;
        cm_buf_printf(json, "%s\"%s\"", first ? "" : ",", cm_index_window_names[w]);
        first = false;
    }
    cm_buf_add_char(json, ']');
}

static void add_output(cm_buf_t *json, const cm_spark_job_t *job,
                       const cm_index_elasticsearch_indices_t *indices)
{
    cm_buf_add_text(json, ",\"output\":{\"elasticsearch\":{");
    add(json, "index", cm_str(job->elastic->index));
    add(json, "totals", cm_str(job->elastic->totals));
    add(json, "cells_index", cm_str(indices->cells));
    add(json, "totals_index", cm_str(indices->totals));
    cm_buf_add_text(json, job->rebuild ? ",\"rebuild\":true}}" : "}}");
}

int cm_spark_add_settings(cm_buf_t *json, const cm_spark_job_t *job,
                          const cm_index_elasticsearch_indices_t *indices, const char *host,
                          cm_err_t *err)
{
    cm_buf_add_text(json, "{\"input\":{\"cassandra\":{");
    add(json, "keyspace", cm_str(job->cassandra->keyspace));
    add(json, "table", cm_str(job->cassandra->table));
    cm_buf_add_text(json, job->cassandra->extended ? ",\"extended\":true}}" : "}}");
    add_windows(json, job->windows);
    cm_buf_printf(json, ",\"session_timeout\":%lld", (long long)job->session_timeout_ms / 1000);
    if (job->daily)
        cm_buf_add_text(json, ",\"visitors\":\"daily\"");
    add_output(json, job, indices);
    cm_buf_add_text(json, ",\"options\":{");
    add_cassandra(json, job->cassandra);
    cm_buf_add_text(json, "},\"elastic\":{");
    add_elastic(json, job->elastic, host);
    cm_buf_add_text(json, "},\"ca\":{");
    if (job->cassandra->tls.ca_file != NULL)
        add(json, "cassandra", cm_str(job->cassandra->tls.ca_file));
    if (job->elastic->ca_file != NULL)
        add(json, "elasticsearch", cm_str(job->elastic->ca_file));
    cm_buf_add_char(json, '}');
    int rc = add_secrets(json, job, err);
    cm_buf_add_char(json, '}');
    return rc;
}

int cm_spark_check_settings(const cm_cassandra_settings_t *cassandra, cm_err_t *err)
{
    const cm_cql_tls_t *tls = &cassandra->tls;

    if (tls->cert_file != NULL || tls->key_file != NULL)
        return cm_fail(err, CM_EUSAGE,
                       "--engine spark does not read cassandra.tls.cert: put certificate and key "
                       "into a PKCS12 file and name it with --spark-property "
                       "spark.cassandra.connection.ssl.keyStore.path=FILE, keyStore.type=PKCS12, "
                       "keyStore.password=file:PATH and clientAuth.enabled=true");
    if (tls->enabled && tls->insecure)
        return cm_fail(err, CM_EUSAGE,
                       "--engine spark always checks Cassandra's certificate: name its authority "
                       "with cassandra.tls.ca instead of cassandra.tls.insecure, or use "
                       "--engine mill");
    return 0;
}
