/* What `doctor` wants to know of the index on Elasticsearch. */
#include "index/elasticsearch/request.h"

#include <stdio.h>

static int read_health(cm_index_request_t *talk, cm_index_elasticsearch_facts_t *facts)
{
    static const char *const status_at[] = {"status", NULL};
    const cm_index_elasticsearch_indices_t *indices = &facts->indices;
    const char *comma = indices->cells[0] != '\0' && indices->totals[0] != '\0' ? "," : "";

    int rc = cm_index_request(talk, CM_REQUEST_SUCCESS, "asking for the health", "GET", CM_STR(""),
                              "/_cluster/health/%s%s%s", indices->cells, comma, indices->totals);
    if (rc == 0 &&
        !cm_document_text_at(talk->reply.body, status_at, facts->health, sizeof facts->health))
        rc = cm_fail(talk->err, CM_EIO, "the server's answer has no health; is it Elasticsearch?");
    return rc;
}

int cm_index_elasticsearch_probe(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                 cm_index_elasticsearch_facts_t *facts, cm_err_t *err)
{
    cm_index_request_t talk = {.client = client, .settings = settings, .err = err};

    *facts = (cm_index_elasticsearch_facts_t){0};
    /* cm_elastic_about() would wait. */
    int rc = cm_index_request(&talk, CM_REQUEST_SUCCESS, "asking for the version", "GET",
                              CM_STR(""), "/");
    if (rc == 0)
        rc = cm_elastic_about(client, NULL, &facts->about, err);
    if (rc == 0)
        rc = cm_index_request_find(&talk, &facts->indices);
    if (rc == 0)
        rc = read_health(&talk, facts);
    return rc;
}

typedef struct checking {
    cm_index_elasticsearch_part_t part;
    int wrong;
    cm_buf_t sentence;
} checking_t;

static int check_index(void *context, const cm_index_seen_t *seen)
{
    checking_t *checking = context;

    checking->wrong += cm_index_elasticsearch_compare(seen, checking->part, &checking->sentence);
    return 0;
}

int cm_index_elasticsearch_check_mapping(cm_elastic_t *client,
                                         const cm_elastic_settings_t *settings,
                                         const cm_index_elasticsearch_indices_t *indices,
                                         cm_err_t *err)
{
    cm_index_request_t talk = {.client = client, .settings = settings, .err = err};
    cm_index_elasticsearch_indices_t names = *indices;
    int rc = 0;

    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        checking_t checking = {.part = (cm_index_elasticsearch_part_t)part};
        const char *name = cm_index_elasticsearch_part(&names, (cm_index_elasticsearch_part_t)part);
        if (name[0] == '\0')
            continue;
        rc = cm_index_request(&talk, CM_REQUEST_SUCCESS, "reading the mapping", "GET", CM_STR(""),
                              "/%s/_mapping", name);
        if (rc == 0)
            rc = cm_index_seen_each(talk.reply.body, check_index, &checking, err);
        if (rc == 0 && checking.wrong > 0)
            rc = cm_fail(err, CM_EUSAGE,
                         "the index %s: %s; `clickmill process --index elasticsearch --rebuild` "
                         "makes it anew",
                         name, checking.sentence.data);
        cm_buf_free(&checking.sentence);
    }
    return rc;
}
