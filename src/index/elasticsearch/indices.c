#include "base/clock.h"
#include "index/elasticsearch/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    TRIES = 5,      /* while other programs create the same indices */
    DIGITS = 6,     /* of an index's number at least */
    PAGE = 5000,    /* documents */
    LAST_MS = 1000, /* for searches that have resolved the alias and not begun yet */
};

static cm_index_request_t waiting(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                  const cm_waiter_t *waiter, cm_err_t *err)
{
    return (cm_index_request_t){
        .client = client, .settings = settings, .waits = true, .waiter = waiter, .err = err};
}

int cm_index_elasticsearch_find(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter,
                                cm_index_elasticsearch_indices_t *indices, cm_err_t *err)
{
    cm_index_request_t request = waiting(client, settings, waiter, err);
    return cm_index_request_find(&request, indices);
}

/* ---- numbered indices ---- */

/* The number of ALIAS-000123, or 0. */
static long number_of(const char *alias, cm_str_t name)
{
    size_t len = strlen(alias);
    int64_t number = 0;

    if (name.len < len + 1 + DIGITS || name.len > len + 1 + 9 ||
        memcmp(name.data, alias, len) != 0 || name.data[len] != '-')
        return 0;
    cm_str_t digits = {name.data + len + 1, name.len - len - 1};
    return cm_str_to_i64(digits, &number) && number > 0 ? (long)number : 0;
}

static void add_name(cm_buf_t *names, cm_str_t name)
{
    cm_buf_add_str(names, name);
    cm_buf_add_char(names, '\0');
}

/* The numbered indices of an alias. */
typedef struct numbered {
    const char *alias;
    long highest;
    cm_buf_t unused; /* names of those that no alias leads to, each with its NUL */
} numbered_t;

static int take_numbered(void *context, const cm_index_seen_t *seen)
{
    numbered_t *numbered = context;
    long number = number_of(numbered->alias, seen->name);

    if (number > numbered->highest)
        numbered->highest = number;
    if (number > 0 && seen->aliases == 0)
        add_name(&numbered->unused, seen->name);
    return 0;
}

static int list(cm_index_request_t *request, numbered_t *numbered)
{
    int rc = cm_index_request(request, CM_REQUEST_MISSING, "listing indices", "GET", CM_STR(""),
                              "/%s-*/_alias?expand_wildcards=all", numbered->alias);
    if (rc < 0 || request->reply.status == CM_REQUEST_MISSING)
        return rc;
    return cm_index_seen_each(request->reply.body, take_numbered, numbered, request->err);
}

/* Creates ALIAS-NUMBER; `*made` is false when it exists already. */
static int make(cm_index_request_t *request, cm_index_elasticsearch_part_t part, long number,
                bool aliased, char *name, bool *made)
{
    static const char *const type_at[] = {"error", "type", NULL};
    const char *alias = cm_index_elasticsearch_alias(request->settings, part);
    cm_buf_t body = CM_BUF_INIT;
    char doing[CM_INDEX_NAME + 32], type[64];

    snprintf(name, CM_INDEX_NAME, "%s-%0*ld", alias, DIGITS, number);
    snprintf(doing, sizeof doing, "making the index %s", name);
    cm_index_elasticsearch_add_index(&body, part, aliased ? alias : NULL);
    /* A short wait for its shards: writing waits for them anyway, and reports it. */
    int rc = cm_index_request(request, CM_REQUEST_REFUSED, doing, "PUT",
                              (cm_str_t){body.data, body.len}, "/%s?timeout=2s", name);
    cm_buf_free(&body);
    *made = rc == 0 && request->reply.status < 300;
    if (rc < 0 || *made)
        return rc;
    if (cm_document_text_at(request->reply.body, type_at, type, sizeof type) &&
        strcmp(type, "resource_already_exists_exception") == 0)
        return 0;
    return cm_elastic_fail(request->settings, &request->reply, doing, request->err);
}

/* ---- preparing ---- */

static int put_templates(cm_index_request_t *request)
{
    cm_buf_t body = CM_BUF_INIT;

    int rc = cm_index_elasticsearch_check_names(request->settings, request->err);
    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        const char *alias =
            cm_index_elasticsearch_alias(request->settings, (cm_index_elasticsearch_part_t)part);
        cm_buf_clear(&body);
        cm_index_elasticsearch_add_component(&body, request->settings,
                                             (cm_index_elasticsearch_part_t)part);
        rc = cm_index_request(request, CM_REQUEST_SUCCESS, "writing the index's template", "PUT",
                              (cm_str_t){body.data, body.len}, "/_component_template/%s", alias);
        if (rc < 0)
            break;
        cm_buf_clear(&body);
        cm_index_elasticsearch_add_template(&body, request->settings,
                                            (cm_index_elasticsearch_part_t)part);
        rc = cm_index_request(request, CM_REQUEST_SUCCESS, "writing the index's template", "PUT",
                              (cm_str_t){body.data, body.len}, "/_index_template/%s", alias);
    }
    cm_buf_free(&body);
    return rc;
}

/* The numbers are read before the aliases: a program that creates an index meanwhile takes the same
 * number, so that no alias gets two. `*again`: another program was faster; repeat. */
static int make_missing(cm_index_request_t *request, cm_index_elasticsearch_indices_t *indices,
                        bool *again)
{
    numbered_t numbered[CM_PART_COUNT] = {{0}};
    int rc = 0;

    *again = false;
    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        numbered[part].alias =
            cm_index_elasticsearch_alias(request->settings, (cm_index_elasticsearch_part_t)part);
        rc = list(request, &numbered[part]);
        cm_buf_free(&numbered[part].unused);
    }
    if (rc == 0)
        rc = cm_index_request_find(request, indices);
    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        char *name = cm_index_elasticsearch_part(indices, (cm_index_elasticsearch_part_t)part);
        bool made = true;
        if (name[0] == '\0')
            rc = make(request, (cm_index_elasticsearch_part_t)part, numbered[part].highest + 1,
                      true, name, &made);
        *again |= !made;
    }
    return rc;
}

int cm_index_elasticsearch_prepare(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                   const cm_waiter_t *waiter,
                                   cm_index_elasticsearch_indices_t *indices, cm_err_t *err)
{
    cm_index_request_t request = waiting(client, settings, waiter, err);
    bool again = indices->cells[0] == '\0' || indices->totals[0] == '\0';

    int rc = put_templates(&request);
    for (int i = 0; rc == 0 && again && i < TRIES; i++)
        rc = make_missing(&request, indices, &again);
    if (rc == 0 && again)
        rc = cm_fail(err, CM_EBUSY,
                     "another program creates indices of the alias %s; try again later",
                     settings->index);
    return rc;
}

/* ---- rebuilding ---- */

static int delete_all(cm_index_request_t *request, const cm_buf_t *names)
{
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < names->len; at += strlen(names->data + at) + 1)
        rc = cm_index_request(request, CM_REQUEST_MISSING, "deleting an index of before", "DELETE",
                              CM_STR(""), "/%s", names->data + at);
    return rc;
}

int cm_index_elasticsearch_make_next(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                     const cm_waiter_t *waiter,
                                     cm_index_elasticsearch_indices_t *next, cm_err_t *err)
{
    cm_index_request_t request = waiting(client, settings, waiter, err);
    long number = 0;

    *next = (cm_index_elasticsearch_indices_t){0};
    int rc = put_templates(&request);
    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        numbered_t numbered = {
            .alias = cm_index_elasticsearch_alias(settings, (cm_index_elasticsearch_part_t)part)};
        rc = list(&request, &numbered);
        if (rc == 0)
            rc = delete_all(&request, &numbered.unused);
        if (numbered.highest > number)
            number = numbered.highest;
        cm_buf_free(&numbered.unused);
    }
    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        char *name = cm_index_elasticsearch_part(next, (cm_index_elasticsearch_part_t)part);
        bool made = false;
        for (int i = 1; rc == 0 && !made && i <= TRIES; i++)
            rc =
                make(&request, (cm_index_elasticsearch_part_t)part, number + i, false, name, &made);
        if (rc == 0 && !made)
            rc = cm_fail(err, CM_EBUSY, "another program creates indices of the alias %s",
                         settings->index);
    }
    return rc;
}

/* The actions that move an alias. */
typedef struct moving {
    const char *alias, *next;
    cm_buf_t *actions;
    /* Names of what is to be deleted after it, each with its NUL; those of earlier attempts, whose
     * answers were lost, stay. */
    cm_buf_t *old;
} moving_t;

/* A numbered index is deleted later, when no alias leads readers to it; an index with the name of
 * the alias is deleted at once. An index of another name only loses the alias. */
static int leave(void *context, const cm_index_seen_t *seen)
{
    const moving_t *moving = context;
    int len = (int)seen->name.len;

    if (cm_str_equal(seen->name, cm_str(moving->next)))
        return 0;
    if (cm_str_equal(seen->name, cm_str(moving->alias))) {
        cm_buf_printf(moving->actions, "{\"remove_index\":{\"index\":\"%.*s\"}},", len,
                      seen->name.data);
        return 0;
    }
    cm_buf_add_text(moving->actions, "{\"remove\":{\"index\":");
    cm_buf_add_json(moving->actions, seen->name);
    cm_buf_printf(moving->actions, ",\"alias\":\"%s\"}},", moving->alias);
    if (number_of(moving->alias, seen->name) > 0)
        add_name(moving->old, seen->name);
    return 0;
}

static int add_actions(cm_index_request_t *request, const cm_index_elasticsearch_indices_t *next,
                       cm_buf_t *actions, cm_buf_t *old)
{
    cm_index_elasticsearch_indices_t names = *next;
    int rc = 0;

    cm_buf_clear(actions);
    cm_buf_add_text(actions, "{\"actions\":[");
    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        moving_t moving = {
            .alias = cm_index_elasticsearch_alias(request->settings,
                                                  (cm_index_elasticsearch_part_t)part),
            .next = cm_index_elasticsearch_part(&names, (cm_index_elasticsearch_part_t)part),
            .actions = actions,
            .old = old};
        rc = cm_index_request(request, CM_REQUEST_MISSING, "looking for the index", "GET",
                              CM_STR(""), "/%s/_mapping", moving.alias);
        if (rc == 0 && request->reply.status != CM_REQUEST_MISSING)
            rc = cm_index_seen_each(request->reply.body, leave, &moving, request->err);
        cm_buf_printf(actions, "{\"add\":{\"index\":\"%s\",\"alias\":\"%s\"}}%s", moving.next,
                      moving.alias, part + 1 < CM_PART_COUNT ? "," : "]}");
    }
    return rc;
}

static int same_epoch(void *context, const cm_index_seen_t *seen)
{
    const cm_index_elasticsearch_indices_t *next = context;
    return cm_str_equal(seen->epoch, cm_str(next->epoch)) ? 0 : 1;
}

/* Two programs that rebuild at once take each other's indices for unfinished ones and delete them.
 * What is written afterwards creates new indices, which hold a part and lack the epoch. */
static int check_epoch(cm_index_request_t *request, const cm_index_elasticsearch_indices_t *next)
{
    cm_index_elasticsearch_indices_t wanted = *next;

    int rc = cm_index_request(request, CM_REQUEST_SUCCESS, "looking for the index", "GET",
                              CM_STR(""), "/%s,%s/_mapping", next->cells, next->totals);
    if (rc == 0)
        rc = cm_index_seen_each(request->reply.body, same_epoch, &wanted, request->err);
    return rc <= 0
               ? rc
               : cm_fail(request->err, CM_EBUSY,
                         "another program has begun to rebuild %s meanwhile; try again when that "
                         "has ended",
                         request->settings->index);
}

int cm_index_elasticsearch_swap(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter,
                                const cm_index_elasticsearch_indices_t *next, cm_err_t *err)
{
    cm_index_request_t request = waiting(client, settings, waiter, err);
    cm_buf_t actions = CM_BUF_INIT, old = CM_BUF_INIT;
    bool done = false;

    int rc = cm_index_elasticsearch_refresh(client, waiter, next, err);
    if (rc == 0)
        rc = check_epoch(&request, next);
    /* 404: the alias no longer leads to the old index, for example because the answer to the first
     * attempt was lost. */
    for (int i = 1; rc == 0 && !done && i <= TRIES; i++) {
        rc = add_actions(&request, next, &actions, &old);
        if (rc == 0)
            rc = cm_index_request(&request, i < TRIES ? CM_REQUEST_MISSING : CM_REQUEST_SUCCESS,
                                  "moving the aliases", "POST",
                                  (cm_str_t){actions.data, actions.len}, "/_aliases");
        done = rc == 0 && request.reply.status < 300;
    }
    if (rc == 0 && old.len > 0) {
        cm_sleep_ms(LAST_MS);
        rc = delete_all(&request, &old);
    }
    cm_buf_free(&actions);
    cm_buf_free(&old);
    return rc;
}

/* ---- discarding ---- */

static int ours_or_unmarked(void *context, const cm_index_seen_t *seen)
{
    const cm_index_elasticsearch_indices_t *made = context;
    return seen->epoch.len == 0 || cm_str_equal(seen->epoch, cm_str(made->epoch)) ? 0 : 1;
}

int cm_index_elasticsearch_discard(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                   const cm_index_elasticsearch_indices_t *made, cm_err_t *err)
{
    cm_index_request_t request = {.client = client, .settings = settings, .err = err};
    cm_index_elasticsearch_indices_t names = *made;
    int rc = 0;

    for (int part = 0; rc >= 0 && part < CM_PART_COUNT; part++) {
        const char *name = cm_index_elasticsearch_part(&names, (cm_index_elasticsearch_part_t)part);
        if (name[0] == '\0')
            continue;
        rc = cm_index_request(&request, CM_REQUEST_MISSING, "looking for the index", "GET",
                              CM_STR(""), "/%s/_mapping", name);
        if (rc < 0 || request.reply.status == CM_REQUEST_MISSING)
            continue;
        rc = cm_index_seen_each(request.reply.body, ours_or_unmarked, &names, err);
        if (rc == 0)
            rc = cm_index_request(&request, CM_REQUEST_MISSING, "deleting the index", "DELETE",
                                  CM_STR(""), "/%s", name);
    }
    return rc < 0 ? rc : 0;
}

/* ---- the rest ---- */

int cm_index_elasticsearch_set_epoch(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                     const cm_waiter_t *waiter,
                                     cm_index_elasticsearch_indices_t *indices, const char *epoch,
                                     cm_err_t *err)
{
    cm_index_request_t request = waiting(client, settings, waiter, err);
    char body[CM_INDEX_EPOCH + 64];

    int len = snprintf(body, sizeof body, "{\"_meta\":{\"clickmill\":{\"epoch\":\"%.*s\"}}}",
                       CM_INDEX_EPOCH, epoch);
    int rc = cm_index_request(&request, CM_REQUEST_SUCCESS, "marking the index as ours", "PUT",
                              (cm_str_t){body, (size_t)len}, "/%s,%s/_mapping", indices->cells,
                              indices->totals);
    if (rc == 0)
        snprintf(indices->epoch, sizeof indices->epoch, "%s", epoch);
    return rc;
}

int cm_index_elasticsearch_new_epoch(char epoch[CM_INDEX_EPOCH + 1], cm_err_t *err)
{
    unsigned char random[CM_INDEX_EPOCH / 2];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return cm_fail(err, CM_EINTERNAL, "the system gives no random bytes");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    return 0;
}

int cm_index_elasticsearch_refresh(cm_elastic_t *client, const cm_waiter_t *waiter,
                                   const cm_index_elasticsearch_indices_t *indices, cm_err_t *err)
{
    cm_index_request_t request = waiting(client, NULL, waiter, err);
    return cm_index_request(&request, CM_REQUEST_SUCCESS, "making answers visible", "POST",
                            CM_STR(""), "/%s,%s/_refresh", indices->cells, indices->totals);
}

int cm_index_elasticsearch_each(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                                const cm_waiter_t *waiter, const char *index, cm_document_fn take,
                                void *context, cm_err_t *err)
{
    cm_index_request_t request = waiting(client, settings, waiter, err);
    cm_buf_t body = CM_BUF_INIT;

    cm_buf_printf(&body,
                  "{\"size\":%d,\"sort\":[\"_doc\"],\"query\":{\"bool\":{\"must_not\":"
                  "{\"term\":{\"dimension\":\"freshness\"}}}}}",
                  PAGE);
    int rc = cm_index_request_scroll(&request, "reading the index", index,
                                     (cm_str_t){body.data, body.len}, take, context);
    cm_buf_free(&body);
    return rc;
}
