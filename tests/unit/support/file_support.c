#include "file_support.h"

const uint8_t test_file_key[CM_VISITOR_KEY] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                               11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                               22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

cm_source_t *test_file_open(cm_file_options_t options)
{
    cm_source_t *source = NULL;
    cm_err_t err = {0, ""};

    options.visitor_key = test_file_key;
    int rc = cm_file_open(&options, &source, &err);
    assert_string_equal("", err.text);
    assert_int_equal(0, rc);
    return source;
}
