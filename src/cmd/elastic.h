/* Options that say where the answers are kept and where Elasticsearch is, shared by all commands
 * that use it. */
#ifndef CM_CMD_ELASTIC_H
#define CM_CMD_ELASTIC_H

#include "cmd/app.h"
#include "index/elasticsearch.h"

/* Which index: also the position in its row's choices. */
typedef enum cm_index_choice {
    CM_INDEX_EMBEDDED,
    CM_INDEX_ELASTICSEARCH,
} cm_index_choice_t;

/* The row of an option table for an int that is the member `m` of struct `s`. */
#define CM_INDEX_ROW(s, m)                                                                         \
    {                                                                                              \
        .name = "index", .type = CM_OPT_CHOICE, .offset = offsetof(s, m), .arg = "INDEX",          \
        .def = "embedded", .choices = "embedded|elasticsearch", .key = "index",                    \
        .help = "where the answers are kept"                                                       \
    }

typedef struct cm_elastic_given {
    const char *hosts, *cloud_id, *index, *totals;
    const char *username, *password, *api_key, *ca;
    int64_t shards, replicas, connections, bulk_bytes, timeout;
    bool insecure, gzip;
} cm_elastic_given_t;

/* The rows of an option table for a cm_elastic_given_t that is the member `m` of struct `s`. */
#define CM_ELASTIC_ROWS(s, m)                                                                      \
    {.name = "elasticsearch-hosts",                                                                \
     .type = CM_OPT_TEXT,                                                                          \
     .offset = offsetof(s, m.hosts),                                                               \
     .arg = "URL,...",                                                                             \
     .def = "http://127.0.0.1:9200",                                                               \
     .key = "elasticsearch.hosts",                                                                 \
     .aliases = "elasticsearch.host",                                                              \
     .env = "ELASTICSEARCH_HOSTS",                                                                 \
     .help = "Elasticsearch's or OpenSearch's nodes, some of them are enough"},                    \
        {.name = "elasticsearch-cloud-id",                                                         \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.cloud_id),                                                        \
         .arg = "ID",                                                                              \
         .key = "elasticsearch.cloud_id",                                                          \
         .help = "Elastic Cloud's name for a deployment, in the place of hosts"},                  \
        {.name = "elasticsearch-index",                                                            \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.index),                                                           \
         .arg = "ALIAS",                                                                           \
         .def = "clickstream_data_index",                                                          \
         .key = "elasticsearch.index",                                                             \
         .help = "alias of the answers"},                                                          \
        {.name = "elasticsearch-totals",                                                           \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.totals),                                                          \
         .arg = "ALIAS",                                                                           \
         .def = "clickstream_totals_index",                                                        \
         .key = "elasticsearch.totals",                                                            \
         .help = "alias of the answers per url, per country and of the whole site"},               \
        {.name = "elasticsearch-username",                                                         \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.username),                                                        \
         .arg = "NAME",                                                                            \
         .key = "elasticsearch.username",                                                          \
         .help = "user name; ${NAME} and file:PATH are understood"},                               \
        {.name = "elasticsearch-password",                                                         \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.password),                                                        \
         .arg = "PASSWORD",                                                                        \
         .secret = CM_SECRET,                                                                      \
         .key = "elasticsearch.password",                                                          \
         .help = "its password; ${NAME} and file:PATH are understood"},                            \
        {.name = "elasticsearch-api-key",                                                          \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.api_key),                                                         \
         .arg = "KEY",                                                                             \
         .secret = CM_SECRET,                                                                      \
         .key = "elasticsearch.api_key",                                                           \
         .help = "API key in the place of both, id:key or as the server gives it; ${NAME} and "    \
                 "file:PATH are understood"},                                                      \
        {.name = "elasticsearch-ca",                                                               \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.ca),                                                              \
         .arg = "FILE",                                                                            \
         .key = "elasticsearch.ca",                                                                \
         .help = "certificates (PEM) that servers are checked against; else the system's"},        \
        {.name = "elasticsearch-insecure",                                                         \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.insecure),                                                        \
         .key = "elasticsearch.insecure",                                                          \
         .help = "take any certificate: only for tests"},                                          \
        {.name = "elasticsearch-shards",                                                           \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.shards),                                                          \
         .arg = "N",                                                                               \
         .def = "1",                                                                               \
         .min = 1,                                                                                 \
         .max = 1024,                                                                              \
         .key = "elasticsearch.shards",                                                            \
         .help = "shards of an index that is made"},                                               \
        {.name = "elasticsearch-replicas",                                                         \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.replicas),                                                        \
         .arg = "N",                                                                               \
         .def = "-1",                                                                              \
         .min = -1,                                                                                \
         .max = 100,                                                                               \
         .key = "elasticsearch.replicas",                                                          \
         .help = "further copies of an index that is made; -1: as the server is configured"},      \
        {.name = "elasticsearch-connections",                                                      \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.connections),                                                     \
         .arg = "N",                                                                               \
         .def = "2",                                                                               \
         .min = 1,                                                                                 \
         .max = 64,                                                                                \
         .key = "elasticsearch.connections",                                                       \
         .help = "bulk requests at once"},                                                         \
        {.name = "elasticsearch-bulk-bytes",                                                       \
         .type = CM_OPT_SIZE,                                                                      \
         .offset = offsetof(s, m.bulk_bytes),                                                      \
         .arg = "SIZE",                                                                            \
         .def = "6m",                                                                              \
         .min = 1024,                                                                              \
         .max = 100 << 20,                                                                         \
         .key = "elasticsearch.bulk_bytes",                                                        \
         .help = "size of a bulk request, before it is compressed"},                               \
        {.name = "elasticsearch-gzip",                                                             \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.gzip),                                                            \
         .key = "elasticsearch.gzip",                                                              \
         .help = "compress what is sent; when not given: unless it stays on this machine"},        \
    {                                                                                              \
        .name = "elasticsearch-timeout", .type = CM_OPT_DURATION,                                  \
        .offset = offsetof(s, m.timeout), .arg = "TIME", .def = "60s", .min = 100, .max = 3600e3,  \
        .key = "elasticsearch.timeout", .help = "how long a request may take"                      \
    }

/* The settings that the options mean; they borrow from both. */
cm_elastic_settings_t cm_elastic_settings_of(const cm_app_t *app, const cm_elastic_given_t *given);

/* Opens the index that `choice` (cm_index_choice_t) means for reading. */
int cm_index_open_chosen(const cm_app_t *app, int choice, const cm_elastic_settings_t *settings,
                         cm_index_t **index, cm_err_t *err);

#endif
