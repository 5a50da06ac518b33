/* What the files of base/options share; not for others. Pure functions, for any thread. */
#ifndef CM_BASE_OPTIONS_INSIDE_H
#define CM_BASE_OPTIONS_INSIDE_H

#include "base/options.h"

/* A parsed value before it is stored; which member counts is the option's type. */
typedef union cm_option_value {
    bool flag;
    int choice;
    int64_t integer;
    double real;
    const char *text; /* CM_OPT_MAP: "name=value" */
} cm_option_value_t;

/* Reads the text as a value of the option. False when it is none. */
bool cm_option_read(const cm_option_t *option, const char *text, cm_option_value_t *value);

/* Says what the option wants instead of the text: CM_EUSAGE. */
int cm_option_fail(const cm_option_t *option, const char *text, const char *where, cm_err_t *err);

/* CM_EUSAGE when the text holds a secret in the clear. */
int cm_option_check_secret(const cm_option_t *option, const char *text, const char *where,
                           cm_err_t *err);

/* The position of `text` among `choices` ("a|b|c"), -1 when it is not one of them. */
int cm_option_choice(const char *choices, const char *text);

/* How many bytes of a wrong text a sentence can show. */
int cm_option_shown(const char *text);

#endif
