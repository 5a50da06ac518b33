#include "serve/authority.h"

cm_str_t cm_authority_host(cm_str_t authority)
{
    if (authority.len == 0) /* its data may be NULL, which memchr() does not accept */
        return CM_STR("");
    const char *end = memchr(authority.data, authority.data[0] == '[' ? ']' : ':', authority.len);
    if (end == NULL)
        return authority;
    return (cm_str_t){authority.data, (size_t)(end - authority.data) + (*end == ']')};
}

bool cm_authority_is_local(cm_str_t host)
{
    return cm_str_equal_nocase(host, CM_STR("localhost")) ||
           cm_str_equal(host, CM_STR("127.0.0.1")) || cm_str_equal(host, CM_STR("[::1]"));
}
