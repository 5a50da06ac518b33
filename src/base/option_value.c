/* Reading one value of an option, and the sentence for one that is wrong. */
#include "base/options_inside.h"

#include "base/nearest.h"
#include "base/secret.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct unit {
    const char *name;
    double factor;
} unit_t;

/* Largest first, because help shows a value in the largest unit that divides it. */
static const unit_t durations[] = {
    {"d", 86400e3}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}, {"ms", 1}, {NULL, 0},
};
static const unit_t sizes[] = {
    {"t", 1099511627776.0},
    {"g", 1073741824.0},
    {"m", 1048576.0},
    {"k", 1024.0},
    {"", 1},
    {NULL, 0},
};
/* As much of a wrong value as a sentence can bear, in bytes. */
int cm_option_shown(const char *text)
{
    return cm_utf8_head(cm_str(text), 80);
}

/* A decimal number without exponent at the start of `text`; `rest` is what follows it. */
static bool parse_decimal(const char *text, double *value, const char **rest)
{
    size_t whole = strspn(text, "0123456789");
    size_t len = whole;

    if (text[len] == '.') {
        size_t fraction = strspn(text + len + 1, "0123456789");
        if (whole + fraction == 0)
            return false;
        len += 1 + fraction;
    }
    if (len == 0)
        return false;
    *value = strtod(text, NULL);
    *rest = text + len;
    return true;
}

static bool parse_with_unit(const unit_t *units, double bare, const char *text, int64_t *value)
{
    const char *rest;
    double number, factor = bare;

    if (!parse_decimal(text, &number, &rest))
        return false;
    if (rest[0] != '\0') {
        const unit_t *unit = units;
        while (unit->name != NULL && strcasecmp(unit->name, rest) != 0)
            unit++;
        if (unit->name == NULL)
            return false;
        factor = unit->factor;
    }
    number *= factor;
    if (!(number < 9e18) || number != floor(number))
        return false;
    *value = (int64_t)number;
    return true;
}

static bool parse_real(const char *text, double *value)
{
    char *end;

    /* strtod would also take white space, "inf", "nan" and hexadecimal. */
    if (text[0] == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0')
        return false;
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

static bool parse_flag(const char *text, bool *value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* Position of `text` among "a|b|c", -1 when it is not one of them. */
int cm_option_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);

    for (int i = 0;; i++) {
        size_t here = strcspn(choices, "|");
        if (here == len && memcmp(choices, text, len) == 0)
            return i;
        if (choices[here] == '\0')
            return -1;
        choices += here + 1;
    }
}

static bool in_bounds(const cm_option_t *option, double value)
{
    if (option->min == 0 && option->max == 0)
        return true;
    return value >= option->min && value <= option->max;
}

bool cm_option_read(const cm_option_t *option, const char *text, cm_option_value_t *value)
{
    switch (option->type) {
    case CM_OPT_FLAG:
        return parse_flag(text, &value->flag);
    case CM_OPT_INT:
        return cm_str_to_i64(cm_str(text), &value->integer) &&
               in_bounds(option, (double)value->integer);
    case CM_OPT_REAL:
        return parse_real(text, &value->real) && in_bounds(option, value->real);
    case CM_OPT_TEXT:
    case CM_OPT_TEXTS:
        value->text = text;
        return true;
    case CM_OPT_MAP:
        value->text = text;
        return text[0] != '=' && strchr(text, '=') != NULL;
    case CM_OPT_CHOICE:
        value->choice = cm_option_choice(option->choices, text);
        return value->choice >= 0;
    case CM_OPT_DURATION:
        return parse_with_unit(durations, 1e3, text, &value->integer) &&
               in_bounds(option, (double)value->integer);
    case CM_OPT_SIZE:
        return parse_with_unit(sizes, 1, text, &value->integer) &&
               in_bounds(option, (double)value->integer);
    case CM_OPT_ROWS: /* not in a composed table */
        break;
    }
    return false;
}

static void add_with_unit(cm_buf_t *buf, const unit_t *units, double value)
{
    while (units[1].name != NULL && (value == 0 || fmod(value, units->factor) != 0))
        units++;
    cm_buf_printf(buf, "%.15g%s", value / units->factor, units->name);
}

static void add_bound(cm_buf_t *buf, const cm_option_t *option, double value)
{
    if (option->type == CM_OPT_DURATION)
        add_with_unit(buf, durations, value);
    else if (option->type == CM_OPT_SIZE)
        add_with_unit(buf, sizes, value);
    else
        cm_buf_printf(buf, "%.15g", value);
}

void cm_options_add_choices(cm_buf_t *buf, const cm_option_t *option)
{
    for (const char *c = option->choices; *c != '\0'; c++)
        cm_buf_add(buf, *c == '|' ? ", " : c, *c == '|' ? 2 : 1);
}

/* "a whole number from 1 to 10", as in "--count wants ...". */
static void add_wanted(cm_buf_t *buf, const cm_option_t *option)
{
    static const char *const kinds[] = {
        [CM_OPT_FLAG] = "true or false",
        [CM_OPT_INT] = "a whole number",
        [CM_OPT_REAL] = "a number",
        [CM_OPT_TEXT] = "a text",
        [CM_OPT_CHOICE] = "one of ",
        [CM_OPT_DURATION] = "a duration (such as 500ms, 5s, 30m, 2h or 1d)",
        [CM_OPT_SIZE] = "a size in bytes (such as 64k, 512m or 2g)",
        [CM_OPT_MAP] = "NAME=VALUE",
        [CM_OPT_TEXTS] = "a text",
    };

    cm_buf_add_text(buf, kinds[option->type]);
    if (option->type == CM_OPT_CHOICE)
        cm_options_add_choices(buf, option);
    if (option->min == 0 && option->max == 0)
        return;
    cm_buf_add_text(buf, isinf(option->max) ? " of at least " : " from ");
    add_bound(buf, option, option->min);
    if (!isinf(option->max)) {
        cm_buf_add_text(buf, " to ");
        add_bound(buf, option, option->max);
    }
}

/* The choice that was probably meant, as "; did you mean csv?". */
static void add_nearest_choice(cm_buf_t *buf, const cm_option_t *option, const char *text)
{
    enum { MOST = 32 };
    char *copy = cm_strdup(option->choices), *rest = copy;
    const char *names[MOST + 1];
    size_t count = 0;

    for (char *name = strsep(&rest, "|"); name != NULL && count < MOST; name = strsep(&rest, "|"))
        names[count++] = name;
    names[count] = NULL;
    const char *near = cm_nearest(text, names);
    if (near != NULL)
        cm_buf_printf(buf, "; did you mean %s?", near);
    free(copy);
}

int cm_option_fail(const cm_option_t *option, const char *text, const char *where, cm_err_t *err)
{
    cm_buf_t buf = CM_BUF_INIT;

    cm_buf_printf(&buf, "%s wants ", where);
    add_wanted(&buf, option);
    if (option->secret != CM_SECRET)
        cm_buf_printf(&buf, ", not \"%.*s\"", cm_option_shown(text), text);
    if (option->type == CM_OPT_CHOICE)
        add_nearest_choice(&buf, option, text);
    cm_fail(err, CM_EUSAGE, "%s", buf.data);
    cm_buf_free(&buf);
    return CM_EUSAGE;
}

/* What of the text is secret; NULL: nothing. */
static const char *secret_of(const cm_option_t *option, const char *text)
{
    const size_t name_len = option->type == CM_OPT_MAP ? strcspn(text, "=") : 0;

    if (option->secret == CM_NO_SECRET ||
        (option->secret == CM_SECRET_BY_NAME && !cm_secret_is_name((cm_str_t){text, name_len})))
        return NULL;
    return option->type == CM_OPT_MAP ? text + name_len + 1 : text;
}

int cm_option_check_secret(const cm_option_t *option, const char *text, const char *where,
                           cm_err_t *err)
{
    const char *secret = secret_of(option, text);

    if (secret == NULL || secret[0] == '\0' || cm_secret_is(secret))
        return 0;
    return cm_fail(err, CM_EUSAGE,
                   "%s: every user of this machine can read a secret that is given on the command "
                   "line; write '%.*s${NAME}' for an environment variable or %.*sfile:PATH for "
                   "what a file holds, or set %s in the configuration file",
                   where, (int)(secret - text), text, (int)(secret - text), text, option->key);
}

int cm_options_check(const cm_option_t *option, const char *text, const char *where, cm_err_t *err)
{
    cm_option_value_t value;

    return cm_option_read(option, text, &value) ? 0 : cm_option_fail(option, text, where, err);
}
