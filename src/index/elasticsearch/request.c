#include "index/elasticsearch/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES = 1024 };

/* How long the server keeps a search between two pages: also the longest pause of a reader of its
 * rows. */
#define KEEP "5m"

int cm_index_request(cm_index_request_t *request, int allowed, const char *doing,
                     const char *method, cm_str_t body, const char *path, ...)
{
    cm_elastic_settings_t unknown = {.hosts = NULL};
    char target[PATH_BYTES];
    va_list args;

    request->reply = (cm_elastic_reply_t){.status = 0};
    va_start(args, path);
    int len = vsnprintf(target, sizeof target, path, args);
    va_end(args);
    if (len >= (int)sizeof target)
        return cm_fail(request->err, CM_EINTERNAL, "%s: the names are too long", doing);
    int rc = request->waits
                 ? cm_elastic_request_retrying(request->client, method, target, body,
                                               request->waiter, &request->reply, request->err)
                 : cm_elastic_request(request->client, method, target, body, &request->reply,
                                      request->err);
    if (rc < 0 || request->reply.status < 300 || request->reply.status == allowed)
        return rc;
    unknown.hosts = cm_elastic_host(request->client);
    return cm_elastic_fail(request->settings ? request->settings : &unknown, &request->reply, doing,
                           request->err);
}

/* ---- aliases ---- */

/* The indices to which one alias leads. */
typedef struct found {
    const char *alias;
    char name[CM_INDEX_NAME], epoch[CM_INDEX_EPOCH + 1];
    int count;
    bool index; /* an index has the alias' name */
} found_t;

static int take_found(void *context, const cm_index_seen_t *seen)
{
    found_t *found = context;

    found->count++;
    found->index |= cm_str_equal(seen->name, cm_str(found->alias));
    snprintf(found->name, sizeof found->name, "%.*s", (int)seen->name.len, seen->name.data);
    if (seen->epoch.len == CM_INDEX_EPOCH)
        snprintf(found->epoch, sizeof found->epoch, "%.*s", CM_INDEX_EPOCH, seen->epoch.data);
    return 0;
}

static int find_part(cm_index_request_t *request, found_t *found)
{
    int rc = cm_index_request(request, CM_REQUEST_MISSING, "looking for the index", "GET",
                              CM_STR(""), "/%s/_mapping", found->alias);
    if (rc < 0 || request->reply.status == CM_REQUEST_MISSING)
        return rc;
    rc = cm_index_seen_each(request->reply.body, take_found, found, request->err);
    if (rc == 0 && found->index)
        return cm_fail(request->err, CM_EUSAGE,
                       "an index has the name of the alias %s: `clickmill "
                       "process --index elasticsearch --rebuild` replaces it; or name another "
                       "one with --elasticsearch-index or --elasticsearch-totals",
                       found->alias);
    if (rc == 0 && found->count > 1)
        return cm_fail(request->err, CM_EUSAGE,
                       "the alias %s leads to %d indices, such as %s, and must lead to one: remove "
                       "the others from it, or let `clickmill process --index elasticsearch "
                       "--rebuild` make a new one",
                       found->alias, found->count, found->name);
    return rc;
}

int cm_index_request_find(cm_index_request_t *request, cm_index_elasticsearch_indices_t *indices)
{
    found_t found[CM_PART_COUNT] = {{0}};

    *indices = (cm_index_elasticsearch_indices_t){0};
    int rc = cm_index_elasticsearch_check_names(request->settings, request->err);
    for (int part = 0; rc == 0 && part < CM_PART_COUNT; part++) {
        found[part].alias =
            cm_index_elasticsearch_alias(request->settings, (cm_index_elasticsearch_part_t)part);
        rc = find_part(request, &found[part]);
        if (rc == 0)
            memcpy(cm_index_elasticsearch_part(indices, (cm_index_elasticsearch_part_t)part),
                   found[part].name, sizeof found[part].name);
    }
    if (rc == 0 && strcmp(found[CM_PART_CELLS].epoch, found[CM_PART_TOTALS].epoch) == 0)
        memcpy(indices->epoch, found[CM_PART_CELLS].epoch, sizeof indices->epoch);
    return rc;
}

/* ---- scrolls ---- */

static void add_scroll_id(cm_buf_t *body, const cm_buf_t *id, bool keep)
{
    cm_buf_clear(body);
    cm_buf_add_text(body, keep ? "{\"scroll\":\"" KEEP "\",\"scroll_id\":" : "{\"scroll_id\":");
    cm_buf_add_json(body, (cm_str_t){id->data, id->len});
    cm_buf_add_char(body, '}');
}

/* Frees what the server keeps; it would also do so by itself, later. */
static void end_scroll(const cm_index_request_t *request, const cm_buf_t *id, cm_buf_t *body)
{
    cm_elastic_reply_t reply;
    cm_err_t ignored;

    if (id->len == 0)
        return;
    add_scroll_id(body, id, false);
    cm_elastic_request(request->client, "DELETE", "/_search/scroll",
                       (cm_str_t){body->data, body->len}, &reply, &ignored);
}

int cm_index_request_scroll(cm_index_request_t *request, const char *doing, const char *index,
                            cm_str_t body, cm_document_fn take, void *context)
{
    cm_buf_t id = CM_BUF_INIT, next = CM_BUF_INIT;
    cm_documents_page_t page = {.count = 0};
    int64_t walked = 0, total = 0;

    int rc =
        cm_index_request(request, CM_REQUEST_SUCCESS, doing, "POST", body,
                         "/%s/_search?scroll=" KEEP "&allow_partial_search_results=false", index);
    if (rc == 0)
        rc = cm_documents_page(request->reply.body, take, context, &id, &page, request->err);
    total = page.total;
    walked = (int64_t)page.count;
    while (rc == 0 && walked < total && page.count > 0) {
        add_scroll_id(&next, &id, true);
        rc = cm_index_request(request, CM_REQUEST_MISSING, doing, "POST",
                              (cm_str_t){next.data, next.len}, "/_search/scroll");
        if (rc == 0 && request->reply.status == CM_REQUEST_MISSING)
            rc = cm_fail(request->err, CM_EAWAY,
                         "%s: after %lld rows of %lld the server has let go of them, because the "
                         "index was replaced, or its reader paused for longer than " KEEP
                         "; try again",
                         doing, (long long)walked, (long long)total);
        if (rc == 0)
            rc = cm_documents_page(request->reply.body, take, context, &id, &page, request->err);
        walked += (int64_t)page.count;
    }
    /* The server skips a page that was requested twice because its answer was lost. */
    if (rc == 0 && walked != total)
        rc = cm_fail(request->err, CM_EAWAY,
                     "%s: %lld of %lld rows came, the others were lost on the way; try again",
                     doing, (long long)walked, (long long)total);
    end_scroll(request, &id, &next);
    cm_buf_free(&id);
    cm_buf_free(&next);
    return rc;
}
