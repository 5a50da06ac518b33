#include "base/terminal.h"

typedef struct range {
    uint32_t first, last;
} range_t;

static const range_t steering[] = {{0x00, 0x1F}, {0x7F, 0x9F}, {0x2028, 0x202E}, {0x2066, 0x2069}};

static const range_t combining[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF},
                                    {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};

static const range_t wide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},
                               {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                               {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
                               {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

#define IN(ranges, c) in_ranges(ranges, sizeof(ranges) / sizeof(ranges)[0], c)

static bool in_ranges(const range_t *ranges, size_t count, uint32_t c)
{
    for (size_t i = 0; i < count; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    }
    return false;
}

/* The length of the first character, whose code point becomes `*c`; 0 when it is not UTF-8. */
static size_t decode(cm_str_t text, uint32_t *c)
{
    unsigned char lead = (unsigned char)text.data[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    if (text.len < len || !cm_utf8_valid(text.data, len))
        return 0;
    *c = len == 1 ? lead : lead & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++)
        *c = *c << 6 | ((unsigned char)text.data[i] & 0x3F);
    return len;
}

void cm_terminal_add(cm_buf_t *buf, cm_str_t text)
{
    while (text.len > 0) {
        uint32_t c = 0;
        size_t len = decode(text, &c);
        if (len == 0 || IN(steering, c))
            cm_buf_add_text(buf, "\xEF\xBF\xBD");
        else
            cm_buf_add(buf, text.data, len);
        len += len == 0;
        text = (cm_str_t){text.data + len, text.len - len};
    }
}

size_t cm_terminal_columns(cm_str_t text)
{
    size_t columns = 0;

    while (text.len > 0) {
        uint32_t c = 0;
        size_t len = decode(text, &c);
        columns += IN(wide, c) ? 2 : IN(combining, c) ? 0 : 1;
        len += len == 0;
        text = (cm_str_t){text.data + len, text.len - len};
    }
    return columns;
}

void cm_terminal_add_padded(cm_buf_t *buf, cm_str_t text, size_t width, bool right)
{
    const size_t columns = cm_terminal_columns(text), gap = width > columns ? width - columns : 0;

    if (!right)
        cm_buf_add_str(buf, text);
    for (size_t i = 0; i < gap; i++)
        cm_buf_add_char(buf, ' ');
    if (right)
        cm_buf_add_str(buf, text);
}
