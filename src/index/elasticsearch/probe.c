/* Probing the server and the index, for `doctor`. */
#include "index/elasticsearch/inside.h"

#include <stdio.h>

/* What one round of requests finds. */
typedef struct found {
    cm_elastic_about_t about;
    cm_index_elasticsearch_indices_t indices;
    char health[16]; /* "green", "yellow", "red": of the indices, of the cluster without any */
} found_t;

static int read_health(cm_index_request_t *request, found_t *found)
{
    static const char *const status_at[] = {"status", NULL};
    const cm_index_elasticsearch_indices_t *indices = &found->indices;
    const char *comma = indices->cells[0] != '\0' && indices->totals[0] != '\0' ? "," : "";

    int rc =
        cm_index_request(request, CM_REQUEST_SUCCESS, "asking for the health", "GET", CM_STR(""),
                         "/_cluster/health/%s%s%s", indices->cells, comma, indices->totals);
    if (rc == 0 &&
        !cm_document_text_at(request->reply.body, status_at, found->health, sizeof found->health))
        rc = cm_fail(request->err, CM_EIO,
                     "the server's answer has no health; is it Elasticsearch?");
    return rc;
}

static int examine(const cm_index_elasticsearch_t *self, found_t *found, cm_err_t *err)
{
    cm_index_request_t request = cm_index_elasticsearch_request(self, err);

    *found = (found_t){.health = ""};
    /* First, because cm_elastic_about() would wait for a server that does not answer. */
    int rc = cm_index_request(&request, CM_REQUEST_SUCCESS, "asking for the version", "GET",
                              CM_STR(""), "/");
    if (rc == 0)
        rc = cm_elastic_about(self->client, NULL, &found->about, err);
    if (rc == 0)
        rc = cm_index_request_find(&request, &found->indices);
    if (rc == 0)
        rc = read_health(&request, found);
    return rc;
}

/* ---- the mapping ---- */

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

/* Whether the mappings are what they should be. CM_EUSAGE names the fields that differ. */
static int check_mapping(const cm_index_elasticsearch_t *self,
                         const cm_index_elasticsearch_indices_t *indices, cm_err_t *err)
{
    cm_index_request_t request = cm_index_elasticsearch_request(self, err);
    cm_index_elasticsearch_indices_t names = *indices;
    int rc = 0;

    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        checking_t checking = {.part = (cm_index_elasticsearch_part_t)part};
        const char *name = cm_index_elasticsearch_part(&names, checking.part);
        if (name[0] == '\0')
            continue;
        rc = cm_index_request(&request, CM_REQUEST_SUCCESS, "reading the mapping", "GET",
                              CM_STR(""), "/%s/_mapping", name);
        if (rc == 0)
            rc = cm_index_seen_each(request.reply.body, check_index, &checking, err);
        if (rc == 0 && checking.wrong > 0)
            rc = cm_fail(err, CM_EUSAGE,
                         "the index %s: %s; `clickmill process --index elasticsearch --rebuild` "
                         "makes it again",
                         name, checking.sentence.data);
        cm_buf_free(&checking.sentence);
    }
    return rc;
}

/* ---- the facts ---- */

static void say_server(const cm_index_elasticsearch_t *self, const cm_elastic_about_t *about,
                       cm_index_facts_t *facts)
{
    const cm_elastic_settings_t *settings = &self->settings;

    if (about->name[0] != '\0')
        snprintf(facts->server, sizeof facts->server, "%s answers: %s, %s",
                 cm_elastic_host(self->client), about->name,
                 settings->api_key != NULL    ? "with an API key"
                 : settings->username != NULL ? "with a password"
                                              : "without credentials");
}

static void say_state(const cm_index_elasticsearch_t *self, const found_t *found,
                      cm_index_facts_t *facts)
{
    const cm_elastic_settings_t *settings = &self->settings;

    if (facts->complete)
        snprintf(facts->state, sizeof facts->state,
                 "%s leads to %s, %s to %s; their mappings are right, their health is %s",
                 settings->index, found->indices.cells, settings->totals, found->indices.totals,
                 found->health);
    else
        snprintf(facts->state, sizeof facts->state,
                 "%s and %s are not both there; make them with --fix, or they are made when "
                 "`clickmill process --index elasticsearch` runs first",
                 settings->index, settings->totals);
}

static bool are_complete(const cm_index_elasticsearch_indices_t *indices)
{
    return indices->cells[0] != '\0' && indices->totals[0] != '\0';
}

int cm_index_elasticsearch_probe(cm_index_t *index, bool create, cm_index_facts_t *facts,
                                 cm_err_t *err)
{
    const cm_index_elasticsearch_t *self = (const cm_index_elasticsearch_t *)index;
    found_t found;

    *facts = (cm_index_facts_t){.server = ""};
    int rc = examine(self, &found, err);
    say_server(self, &found.about, facts);
    const bool before = are_complete(&found.indices);
    if (rc == 0 && create) {
        rc = cm_index_elasticsearch_prepare(self->client, &self->settings, NULL, &found.indices,
                                            err);
        if (rc == 0)
            rc = examine(self, &found, err);
    }
    if (rc == 0)
        rc = check_mapping(self, &found.indices, err);
    if (rc == 0 && strcmp(found.health, "red") == 0)
        rc = cm_fail(err, CM_EAWAY,
                     "the health of %s is red: some of its shards are nowhere; are all nodes "
                     "running, and have they space?",
                     found.indices.cells[0] != '\0' ? self->settings.index : "the cluster");
    if (rc < 0)
        return rc;
    facts->complete = are_complete(&found.indices);
    facts->created = facts->complete && !before;
    say_state(self, &found, facts);
    return 0;
}
