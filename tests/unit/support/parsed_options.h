/* The options of a part, read from a command line into a struct of the test as a command's are.
 * Functions assert that they succeed. */
#ifndef CM_TESTS_PARSED_OPTIONS_H
#define CM_TESTS_PARSED_OPTIONS_H

#include "support.h"

#include "base/options.h"

typedef struct parsed_options {
    cm_option_t *table; /* composed */
    cm_option_values_t values;
} parsed_options_t;

/* Fills `target` with the defaults of `rows` and, where `option` is not NULL, gives it this value.
 * The strings live until parsed_options_free(). */
void parse_option(parsed_options_t *parsed, const cm_option_t *rows, void *target,
                  const char *option, const char *value);

void parsed_options_free(parsed_options_t *parsed);

#endif
