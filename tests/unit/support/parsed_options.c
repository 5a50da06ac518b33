#include "parsed_options.h"

void parse_option(parsed_options_t *parsed, const cm_option_t *rows, void *target,
                  const char *option, const char *value)
{
    char program[] = "clickmill", *argv[] = {program, (char *)option, (char *)value};
    char *arguments[3];
    int argument_count;
    cm_err_t err;

    parsed->table = cm_options_compose(rows);
    assert_ok(cm_options_defaults(parsed->table, target, &parsed->values, &err), err);
    const cm_option_t *tables[] = {parsed->table};
    cm_option_values_t *values[] = {&parsed->values};
    assert_ok(cm_options_parse(tables, values, 1, option != NULL ? 3 : 1, argv, &argument_count,
                               arguments, &err),
              err);
}

void parsed_options_free(parsed_options_t *parsed)
{
    cm_options_free(&parsed->values);
    free(parsed->table);
}
