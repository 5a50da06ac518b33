#include "serve/assets.h"

#include "base/str.h"
#include "serve/reply.h"

#include <stdlib.h>

const cm_asset_t *cm_asset_find(const char *path)
{
    for (size_t i = 0; i < cm_asset_count; i++) {
        if (strcmp(cm_assets[i].path, path) == 0)
            return &cm_assets[i];
    }
    return NULL;
}

/* The weight of an Accept-Encoding element ("gzip;q=0.5") when it names gzip, else -1. */
static double gzip_weight(cm_str_t element)
{
    const char *semicolon = memchr(element.data, ';', element.len);
    cm_str_t name = {element.data, semicolon ? (size_t)(semicolon - element.data) : element.len};
    name = cm_str_trim(name);
    if (!cm_str_equal_nocase(name, CM_STR("gzip")) && !cm_str_equal(name, CM_STR("*")))
        return -1;
    if (semicolon == NULL)
        return 1;
    cm_str_t weight = {semicolon + 1, element.len - (size_t)(semicolon + 1 - element.data)};
    weight = cm_str_trim(weight);
    /* The list is followed by a NUL, so that strtod stops within it. */
    return weight.len > 2 && memcmp(weight.data, "q=", 2) == 0 ? strtod(weight.data + 2, NULL) : 1;
}

static bool takes_gzip(struct MHD_Connection *connection)
{
    const char *list = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept-Encoding");

    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ",");
        double weight = gzip_weight((cm_str_t){list, len});
        if (weight >= 0)
            return weight > 0;
        list += len + (list[len] == ',');
    }
    return false;
}

enum MHD_Result cm_asset_reply(struct MHD_Connection *connection, const cm_asset_t *asset)
{
    bool gzip = takes_gzip(connection);
    const cm_asset_body_t *body = gzip ? &asset->gzip : &asset->plain;
    bool known = cm_reply_matches(connection, body->tag);
    /* libmicrohttpd wants a pointer to non-const even where it only reads. */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        known ? 0 : body->len, (void *)(uintptr_t)body->data, MHD_RESPMEM_PERSISTENT);

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", asset->type);
    /* The browser keeps the file and asks each time whether it has changed, so that a new binary
     * takes effect at once. The files that every page of a busy site loads are not asked for each
     * time. */
    MHD_add_response_header(response, "Cache-Control",
                            asset->public ? "public, max-age=3600" : "no-cache");
    MHD_add_response_header(response, "ETag", body->tag);
    MHD_add_response_header(response, "Vary", "Accept-Encoding");
    if (gzip && !known)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    if (asset->public)
        cm_reply_secure_public(response);
    else
        cm_reply_secure(response);
    enum MHD_Result result =
        MHD_queue_response(connection, known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}
