#include "base/host.h"

#include <idn2.h>

static bool is_ascii(cm_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((signed char)text.data[i] <= 0)
            return false;
    }
    return true;
}

static bool add_international(cm_buf_t *buf, cm_str_t name)
{
    cm_buf_t text = CM_BUF_INIT;
    char *ascii = NULL;

    cm_buf_add_str(&text, name);
    bool good = idn2_to_ascii_8z(text.data, &ascii, IDN2_NONTRANSITIONAL) == IDN2_OK;
    if (good)
        cm_buf_add_text(buf, ascii);
    idn2_free(ascii);
    cm_buf_free(&text);
    return good;
}

void cm_host_add(cm_buf_t *buf, cm_str_t name)
{
    const size_t from = buf->len;

    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--;
    if (is_ascii(name) || memchr(name.data, '\0', name.len) != NULL ||
        !add_international(buf, name))
        cm_buf_add_str(buf, name);
    for (size_t i = from; i < buf->len; i++) {
        if (buf->data[i] >= 'A' && buf->data[i] <= 'Z')
            buf->data[i] |= 0x20;
    }
    /* The dot may have been another character than ASCII's dot. */
    if (buf->len > from + 1 && buf->data[buf->len - 1] == '.')
        buf->len--;
}
