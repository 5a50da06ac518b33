#include "serve/authority.h"

cm_str_t cm_authority_host(cm_str_t host)
{
    if (host.len == 0) /* whose data may be NULL, which is nothing for memchr() */
        return CM_STR("");
    const char *end = memchr(host.data, host.data[0] == '[' ? ']' : ':', host.len);
    if (end == NULL)
        return host;
    return (cm_str_t){host.data, (size_t)(end - host.data) + (*end == ']')};
}

bool cm_authority_is_local(cm_str_t name)
{
    return cm_str_equal_nocase(name, CM_STR("localhost")) ||
           cm_str_equal(name, CM_STR("127.0.0.1")) || cm_str_equal(name, CM_STR("[::1]"));
}
