/* What tests of the file source share: opening a file whose visitors are hashed with a known key.
 */
#ifndef CM_TESTS_UNIT_FILE_SUPPORT_H
#define CM_TESTS_UNIT_FILE_SUPPORT_H

#include "temp_file.h"

#include "source/file/file.h"
#include "source/visitor.h"

/* The bytes 0 to 31. */
extern const uint8_t test_file_key[CM_VISITOR_KEY];

/* Opens the file with that key, and asserts that this succeeds. */
cm_source_t *test_file_open(cm_file_options_t options);

#endif
