#include "serve/head.h"

#include "base/str.h"

#include <string.h>

typedef struct head {
    int hosts, lengths, codings;
    bool bad_name, bad_length, bad_coding;
} head_t;

/* A name is a token: letters, digits and these signs (RFC 9110, section 5.6.2). libmicrohttpd 0.9
 * takes a blank before the colon for a part of the name. */
static bool is_name(cm_str_t name)
{
    static const char signs[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name.len; i++) {
        const char c = name.data[i];
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && memchr(signs, c, sizeof signs - 1) == NULL)
            return false;
    }
    return name.len > 0;
}

static bool is_number(cm_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.len > 0;
}

static enum MHD_Result check_field(void *context, enum MHD_ValueKind kind, const char *name_text,
                                   const char *value_text)
{
    head_t *head = context;
    const cm_str_t name = cm_str(name_text), value = cm_str(value_text);
    (void)kind;

    if (!is_name(name)) {
        head->bad_name = true;
    } else if (cm_str_equal_nocase(name, CM_STR("Host"))) {
        head->hosts++;
    } else if (cm_str_equal_nocase(name, CM_STR("Content-Length"))) {
        head->lengths++;
        head->bad_length |= !is_number(value);
    } else if (cm_str_equal_nocase(name, CM_STR("Transfer-Encoding"))) {
        head->codings++;
        head->bad_coding |= !cm_str_equal_nocase(value, CM_STR("chunked"));
    }
    return MHD_YES;
}

const char *cm_head_fault(struct MHD_Connection *connection, const char *version)
{
    head_t head = {.hosts = 0};

    MHD_get_connection_values(connection, MHD_HEADER_KIND, check_field, &head);
    if (head.bad_name)
        return "the name of a header is not correct; there must be no blank before the colon";
    if (head.hosts > 1)
        return "a request must not have more than one Host header";
    if (head.hosts == 0 && strcmp(version, "HTTP/1.0") != 0)
        return "an HTTP/1.1 request must have a Host header";
    if (head.lengths + head.codings > 1)
        return "a request must not have more than one Content-Length or Transfer-Encoding";
    if (head.bad_length)
        return "Content-Length must be a number";
    if (head.bad_coding)
        return "Transfer-Encoding must be chunked";
    return NULL;
}

int cm_head_strictness(void)
{
    return strncmp(MHD_get_version(), "0.", 2) == 0 ? 0 : 1;
}

bool cm_head_only_reads(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool cm_head_has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    const char *coding =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");

    return coding != NULL || (length != NULL && strcmp(length, "0") != 0);
}
