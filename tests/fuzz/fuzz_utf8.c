/* UTF-8, against a reader that decodes every code point and then looks at its number. */
#include "fuzz.h"

/* How many bytes shortest form needs. */
static int shortest(uint32_t point)
{
    return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

static bool naive_valid(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        int len = 1;
        uint32_t point = data[at];
        if (point >= 0xF8 || (point & 0xC0) == 0x80)
            return false;
        if (point >= 0x80) {
            len = point >= 0xF0 ? 4 : point >= 0xE0 ? 3 : 2;
            point &= 0x7Fu >> len;
        }
        for (int i = 1; i < len; i++) {
            if (at + (size_t)i >= size || data[at + (size_t)i] >> 6 != 2)
                return false;
            point = point << 6 | (data[at + (size_t)i] & 0x3F);
        }
        if (len != shortest(point) || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
            return false;
        at += (size_t)len;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* From every start in a word, because words are what is read at once; the starts inside a
     * character are invalid texts for free. */
    for (size_t from = 0; from <= 8 && from <= size; from++) {
        char *copy = fuzz_copy(data + from, size - from, 0, 0);
        FUZZ_CHECK(cm_utf8_valid(copy, size - from) == naive_valid(data + from, size - from));
        free(copy);
    }
    return 0;
}
