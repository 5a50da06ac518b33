/* What libmicrohttpd refuses by itself (a head that is too long, a chunk that is none) it answers
 * with pages of HTML, and no option changes them. Here every error is JSON. So this program has the
 * functions that the library makes those pages with: the loader takes the program's before the
 * library's own, for the library's calls as well. All else that they are asked for is passed on. */
#include "serve/reply.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

/* Declared by libmicrohttpd 1.0 only, which makes its pages with it. */
struct MHD_Response *MHD_create_response_from_buffer_static(size_t size, const void *buffer);

typedef struct MHD_Response *(*from_buffer_fn)(size_t size, void *buffer,
                                               enum MHD_ResponseMemoryMode mode);

/* By the titles of the pages; those that are not here say in many ways that it is no HTTP. */
static const struct {
    const char *title, *body;
} refusals[] = {
    {"Request too big", "{\"error\":\"the head of the request is too long\"}\n"},
    {"Request content too large", "{\"error\":\"the body is too large\"}\n"},
    {"Requested HTTP version", "{\"error\":\"the request is HTTP/1.1 or HTTP/1.0\"}\n"},
    {"&quot;Host:&quot;", "{\"error\":\"a request of HTTP/1.1 has a Host header\"}\n"},
    {"Unsupported Transfer-Encoding", "{\"error\":\"Transfer-Encoding is chunked\"}\n"},
    {"Internal server error", "{\"error\":\"the request cannot be answered\"}\n"},
    {"", "{\"error\":\"the request is not correct HTTP\"}\n"},
};

/* What stands for a page of the library; NULL when this is none of them. */
static const char *refusal(const char *data, size_t len)
{
    static const char head[] = "<html><head><title>";
    const size_t skip = sizeof head - 1;
    size_t i = 0;

    if (data == NULL || len < skip || memcmp(data, head, skip) != 0)
        return NULL;
    while (strncmp(data + skip, refusals[i].title, strlen(refusals[i].title)) != 0)
        i++;
    return refusals[i].body;
}

static from_buffer_fn the_library_s(void)
{
    static _Atomic(from_buffer_fn) found;
    from_buffer_fn function = atomic_load_explicit(&found, memory_order_relaxed);

    if (function == NULL) {
        function = (from_buffer_fn)dlsym(RTLD_NEXT, "MHD_create_response_from_buffer");
        atomic_store_explicit(&found, function, memory_order_relaxed);
    }
    return function;
}

static struct MHD_Response *refuse(const char *body)
{
    struct MHD_Response *response =
        the_library_s()(strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return NULL;
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    cm_reply_secure(response);
    return response;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
                                                     enum MHD_ResponseMemoryMode mode)
{
    static const char twice[] = "<b>Content-Length</b>";
    const char *body = mode == MHD_RESPMEM_PERSISTENT ? refusal(buffer, size) : NULL;

    if (body == NULL)
        return the_library_s()(size, buffer, mode);
    /* libmicrohttpd 0.9.75 sends the head of this answer twice, and its body after that: without a
     * body the first head is a whole answer, behind which nobody reads on. */
    return refuse(memmem(buffer, size, twice, sizeof twice - 1) != NULL ? "" : body);
}

struct MHD_Response *MHD_create_response_from_buffer_static(size_t size, const void *buffer)
{
    const char *body = refusal(buffer, size);

    return body != NULL ? refuse(body)
                        : the_library_s()(size, (void *)(uintptr_t)buffer, MHD_RESPMEM_PERSISTENT);
}
