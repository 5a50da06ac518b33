#include "elastic/bulk.h"

#include "elastic/bulk_inside.h"

#include <stdlib.h>

enum {
    STEP_BYTES = 128 * 1024, /* put between two steps of the transfers */
    GZIP_LEVEL = 1,
    GZIP_WINDOW = 15 + 16, /* the largest window, with gzip's header */
    GZIP_MEMORY = 8,
};

/* ---- open and close ---- */

static int open_parts(cm_elastic_bulk_t *bulk, cm_err_t *err)
{
    const cm_elastic_settings_t *settings = bulk->options.settings;

    bulk->multi = curl_multi_init();
    bulk->json = cm_elastic_json_new();
    bulk->actions = cm_elastic_json_new();
    if (bulk->multi == NULL || bulk->json == NULL || bulk->actions == NULL)
        return cm_fail_memory(err);
    if (cm_elastic_access_compresses(&bulk->access)) {
        bulk->has_gzip = deflateInit2(&bulk->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                                      Z_DEFAULT_STRATEGY) == Z_OK;
        if (!bulk->has_gzip)
            return cm_fail_memory(err);
    }
    bulk->body_count = (size_t)(settings->connections > 1 ? settings->connections : 1) + 1;
    bulk->bodies = cm_alloc_zero(bulk->body_count, sizeof *bulk->bodies);
    for (size_t i = 0; i < bulk->body_count; i++) {
        bulk->bodies[i].host = i % bulk->access.host_count;
        bulk->bodies[i].easy = curl_easy_init();
        if (bulk->bodies[i].easy == NULL)
            return cm_fail_memory(err);
    }
    bulk->filling = &bulk->bodies[0];
    bulk->filling->state = CM_BODY_FILLING;
    bulk->limit = settings->bulk_bytes;
    return 0;
}

int cm_elastic_bulk_open(const cm_elastic_bulk_options_t *options, cm_elastic_bulk_t **bulk,
                         cm_err_t *err)
{
    cm_elastic_bulk_t *made = cm_alloc_zero(1, sizeof *made);

    made->options = *options;
    int rc = cm_elastic_access_open(&made->access, options->settings, err);
    if (rc == 0) {
        cm_elastic_wait_init(&made->wait, &made->access, options->waiter);
        rc = open_parts(made, err);
    }
    if (rc < 0)
        cm_elastic_bulk_close(made);
    else
        *bulk = made;
    return rc;
}

void cm_elastic_bulk_close(cm_elastic_bulk_t *bulk)
{
    if (bulk == NULL)
        return;
    for (size_t i = 0; i < bulk->body_count; i++) {
        cm_elastic_body_t *body = &bulk->bodies[i];
        if (body->state == CM_BODY_SENDING)
            curl_multi_remove_handle(bulk->multi, body->easy);
        curl_easy_cleanup(body->easy);
        cm_elastic_body_free(body);
    }
    free(bulk->bodies);
    curl_multi_cleanup(bulk->multi);
    if (bulk->has_gzip)
        deflateEnd(&bulk->gzip);
    cm_elastic_json_free(bulk->json);
    cm_elastic_json_free(bulk->actions);
    cm_elastic_ids_free(&bulk->ids);
    cm_elastic_access_close(&bulk->access);
    cm_buf_free(&bulk->line);
    free(bulk);
}

cm_elastic_bulk_counts_t cm_elastic_bulk_counts(const cm_elastic_bulk_t *bulk)
{
    return bulk->counts;
}

/* ---- putting ---- */

/* Sends the body that is filled as soon as a connection is free, and takes an empty one. */
static int turn_over(cm_elastic_bulk_t *bulk, cm_err_t *err)
{
    cm_elastic_body_t *full = bulk->filling;

    int rc = cm_elastic_bulk_wait(bulk, bulk->body_count - 2, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < bulk->body_count; i++) {
        if (bulk->bodies[i].state == CM_BODY_FREE)
            bulk->filling = &bulk->bodies[i];
    }
    bulk->filling->state = CM_BODY_FILLING;
    bulk->busy++;
    full->limit = bulk->limit;
    rc = cm_elastic_bulk_send(bulk, full, err);
    return rc < 0 ? rc : cm_elastic_bulk_step(bulk, err);
}

int cm_elastic_bulk_flush(cm_elastic_bulk_t *bulk, cm_err_t *err)
{
    int rc = 0;

    if (bulk->ended != 0)
        return cm_fail(err, bulk->ended, "%s", bulk->why.text);
    if (bulk->filling->count > 0)
        rc = turn_over(bulk, err);
    return rc < 0 ? rc : cm_elastic_bulk_wait(bulk, 0, err);
}

/* Writes the first line of a document into bulk->line. */
static cm_str_t write_action(cm_elastic_bulk_t *bulk, cm_str_t index, cm_str_t id, bool removes)
{
    cm_buf_t *line = &bulk->line;

    cm_buf_clear(line);
    cm_buf_add_text(line, removes ? "{\"delete\":{\"_index\":" : "{\"index\":{\"_index\":");
    cm_buf_add_json(line, index);
    cm_buf_add_text(line, ",\"_id\":");
    cm_buf_add_json(line, id);
    cm_buf_add_text(line, "}}");
    return (cm_str_t){line->data, line->len};
}

static int add(cm_elastic_bulk_t *bulk, cm_str_t index, cm_str_t id, cm_str_t document,
               bool removes, cm_err_t *err)
{
    const uint64_t hash = cm_elastic_id_hash(index, id);
    int rc = 0;

    if (bulk->ended != 0)
        return cm_fail(err, bulk->ended, "%s", bulk->why.text);
    /* An older version that is sent again later would replace this one. */
    if (cm_elastic_ids_has(&bulk->ids, hash))
        rc = cm_elastic_bulk_flush(bulk, err);
    if (rc < 0)
        return rc;
    cm_str_t action = write_action(bulk, index, id, removes);
    const size_t size = cm_elastic_body_size(action, document, removes);
    if (bulk->filling->count > 0 && bulk->filling->text.len + size > bulk->limit)
        rc = turn_over(bulk, err);
    if (rc < 0)
        return rc;
    cm_elastic_body_add(bulk->filling, action, document, removes, hash);
    cm_elastic_ids_add(&bulk->ids, hash);
    bulk->quiet += size;
    if (bulk->quiet < STEP_BYTES || bulk->busy == 0)
        return 0;
    bulk->quiet = 0;
    return cm_elastic_bulk_step(bulk, err);
}

int cm_elastic_bulk_put(cm_elastic_bulk_t *bulk, cm_str_t index, cm_str_t id, cm_str_t document,
                        cm_err_t *err)
{
    /* A second line would be read as the next document's first line. */
    if (memchr(document.data, '\n', document.len) != NULL || document.len > UINT32_MAX / 2)
        return cm_fail(err, CM_EINTERNAL, "a document for Elasticsearch is not one line");
    return add(bulk, index, id, document, false, err);
}

int cm_elastic_bulk_remove(cm_elastic_bulk_t *bulk, cm_str_t index, cm_str_t id, cm_err_t *err)
{
    return add(bulk, index, id, CM_STR(""), true, err);
}
