/* GET /pixel.gif: an image that counts a page view, or an event of another name. */
#include "serve/collector_inside.h"
#include "serve/head.h"

#include <stdlib.h>

#define PROP "props." /* what names of parameters for props begin with */

static const unsigned char gif[] = {
    'G', 'I', 'F', '8', '9', 'a',  1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xf9, 4,
    1,   0,   0,   0,   0,   0x2c, 0, 0, 0, 0, 1,    0, 1, 0, 0, 2, 2,    0x44, 1,    0,    0x3b,
};

enum MHD_Result cm_collector_reply_pixel(cm_collector_request_t *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof gif, (void *)(uintptr_t)gif, MHD_RESPMEM_PERSISTENT);

    if (response != NULL) {
        MHD_add_response_header(response, "Content-Type", "image/gif");
        MHD_add_response_header(response, "Cache-Control", "no-store");
        MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "cross-origin");
        cm_collector_add_cookie(request, response);
    }
    return cm_collector_send(request, MHD_HTTP_OK, response);
}

static bool wants_privacy(const cm_collector_request_t *request)
{
    return cm_str_equal(cm_str(cm_sender_header(request->connection, "DNT")), CM_STR("1")) ||
           cm_str_equal(cm_str(cm_sender_header(request->connection, "Sec-GPC")), CM_STR("1"));
}

static cm_str_t argument(const cm_collector_request_t *request, const char *name)
{
    return cm_str(MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name));
}

static enum MHD_Result add_prop(void *context, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    cm_posted_image_t *image = context;
    (void)kind;

    if (strncmp(name, PROP, sizeof PROP - 1) != 0)
        return MHD_YES;
    image->props = cm_realloc(image->props, (image->prop_count + 1) * sizeof *image->props);
    image->props[image->prop_count++] =
        (cm_prop_t){.key = cm_str(name + sizeof PROP - 1), .value = cm_str(value), .is_text = true};
    return MHD_YES;
}

static void read_image(cm_collector_request_t *request, cm_str_t url)
{
    cm_posted_image_t image = {
        .url = url, .user_id = argument(request, "user_id"), .name = argument(request, "name")};

    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, add_prop, &image);
    cm_collector_read_pixel(request, &image);
    free(image.props);
}

static enum MHD_Result take_pixel(cm_collector_request_t *request, const char *method)
{
    enum MHD_Result result = MHD_YES;
    cm_str_t referrer = cm_str(cm_sender_header(request->connection, "Referer")),
             url = argument(request, "url");

    request->pixel = request->sender.page = true;
    if (!cm_head_only_reads(method))
        return cm_collector_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET or HEAD", "Allow",
                                   "GET, HEAD");
    if (strcmp(method, "HEAD") == 0 || wants_privacy(request))
        return cm_collector_reply_pixel(request);
    cm_str_t origin = cm_sites_origin(referrer.len > 0 ? referrer : url);
    if (url.len == 0)
        url = referrer;
    if (url.len == 0)
        return cm_collector_refuse(
            request, MHD_HTTP_BAD_REQUEST,
            "the page is unknown: there is neither a Referer header nor a parameter url", NULL,
            NULL);
    /* Without a Referer the page is only known from the request's URL, in which every page can name
     * this server: so only the list of sites counts. */
    if (request->collector->rules.demo || /* the demo shop does not use this image */
        !(referrer.len > 0 ? cm_sender_site(&request->collector->rules, request->connection, origin)
                           : cm_sites_allow(request->collector->rules.sites, origin)))
        return cm_collector_refuse_site(request, origin);
    cm_sender_locate(&request->collector->rules, request->connection, &request->sender);
    if (!cm_collector_within_rate(request, &result) || !cm_collector_has_room(request, &result))
        return result;
    cm_sender_visitor(&request->collector->rules, request->connection, &request->sender);
    read_image(request, url);
    return cm_collector_settle_at_once(request);
}

const cm_collector_endpoint_t cm_collector_pixel = {NULL, take_pixel};
