// The shortest text of a number, from the C++ library. The way to do it in C, printf and strtod in
// a loop, took half the time of printing answers.
extern "C" {
#include "base/str.h"
}

#include <charconv>
#include <cmath>
#include <cstring>

template <typename Real> static void add_real(cm_buf_t *buf, Real value)
{
    char text[400]; // a double in fixed notation has at most 325 characters
    double size = std::fabs(value);
    // Without an exponent as long as the number is easy to read.
    auto format = size == 0 || (size >= 1e-5 && size < 1e17) ? std::chars_format::fixed
                                                             : std::chars_format::scientific;
    auto end = std::to_chars(text, text + sizeof text, value, format).ptr;
    size_t len = static_cast<size_t>(end - text);

    cm_buf_add(buf, text, len);
    if (std::isfinite(value) && memchr(text, '.', len) == nullptr &&
        memchr(text, 'e', len) == nullptr)
        cm_buf_add(buf, ".0", 2);
}

extern "C" void cm_buf_add_double(cm_buf_t *buf, double value)
{
    add_real(buf, value);
}

extern "C" void cm_buf_add_float(cm_buf_t *buf, float value)
{
    add_real(buf, value);
}
