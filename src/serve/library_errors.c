/* Errors that libmicrohttpd answers by itself, as JSON. When it refuses a request (a head that is
 * too long, an incorrect chunk) it replies with a page of HTML, and no option changes that. So this
 * program defines the functions with which the library makes these pages: the loader prefers the
 * program's definition, also for the library's own calls. All other calls are passed on. */
#include "serve/reply.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

/* Declared only by libmicrohttpd 1.0, which makes its pages with it. */
struct MHD_Response *MHD_create_response_from_buffer_static(size_t size, const void *buffer);

typedef struct MHD_Response *(*from_buffer_fn)(size_t size, void *buffer,
                                               enum MHD_ResponseMemoryMode mode);

/* By the titles of the pages. All other pages say that the request is not correct HTTP. */
static const struct {
    const char *title, *body;
} replacements[] = {
    {"Request too big", "{\"error\":\"the head of the request is too long\"}\n"},
    {"Request content too large", "{\"error\":\"the body is too large\"}\n"},
    {"Requested HTTP version", "{\"error\":\"the request must be HTTP/1.1 or HTTP/1.0\"}\n"},
    {"&quot;Host:&quot;", "{\"error\":\"an HTTP/1.1 request must have a Host header\"}\n"},
    {"Unsupported Transfer-Encoding", "{\"error\":\"Transfer-Encoding must be chunked\"}\n"},
    {"Internal server error", "{\"error\":\"the request cannot be answered\"}\n"},
    {"", "{\"error\":\"the request is not correct HTTP\"}\n"},
};

/* The body that replaces a page of the library; NULL when the data is not such a page. */
static const char *replacement(const char *data, size_t len)
{
    static const char head[] = "<html><head><title>";
    const size_t skip = sizeof head - 1;
    size_t i = 0;

    if (data == NULL || len < skip || memcmp(data, head, skip) != 0)
        return NULL;
    while (strncmp(data + skip, replacements[i].title, strlen(replacements[i].title)) != 0)
        i++;
    return replacements[i].body;
}

static from_buffer_fn library_function(void)
{
    static _Atomic(from_buffer_fn) found;
    from_buffer_fn function = atomic_load_explicit(&found, memory_order_relaxed);

    if (function == NULL) {
        function = (from_buffer_fn)dlsym(RTLD_NEXT, "MHD_create_response_from_buffer");
        atomic_store_explicit(&found, function, memory_order_relaxed);
    }
    return function;
}

static struct MHD_Response *replace(const char *body)
{
    struct MHD_Response *response =
        library_function()(strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
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
    const char *body = mode == MHD_RESPMEM_PERSISTENT ? replacement(buffer, size) : NULL;

    if (body == NULL)
        return library_function()(size, buffer, mode);
    /* libmicrohttpd 0.9.75 sends the head of this answer twice, and its body after that. Without a
     * body the first head is a complete answer, and clients read no further. */
    return replace(memmem(buffer, size, twice, sizeof twice - 1) != NULL ? "" : body);
}

struct MHD_Response *MHD_create_response_from_buffer_static(size_t size, const void *buffer)
{
    const char *body = replacement(buffer, size);

    return body != NULL
               ? replace(body)
               : library_function()(size, (void *)(uintptr_t)buffer, MHD_RESPMEM_PERSISTENT);
}
