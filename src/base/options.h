/* Options: one table feeds the parser, --help, the manual page, shell completion, the reference
 * and the configuration file.
 *
 * A command keeps its options in a plain struct; each row of its table names a field by offset.
 * Values come, later ones winning, from: the row's default, the configuration file (`key`), the
 * environment (`env`), the command line. Texts belong to the cm_options_values_t that parsed them
 * and live as long as it. Not for use by several threads at once. */
#ifndef CM_BASE_OPTIONS_H
#define CM_BASE_OPTIONS_H

#include "base/err.h"
#include "base/str.h"

typedef enum cm_option_type {
    CM_OPT_FLAG,     /* bool; --name, --no-name */
    CM_OPT_INT,      /* int64_t in [min, max] */
    CM_OPT_REAL,     /* double in [min, max] */
    CM_OPT_TEXT,     /* const char *; NULL when not given and without a default */
    CM_OPT_CHOICE,   /* int: position in `choices` */
    CM_OPT_DURATION, /* int64_t ms; "500ms", "5s", "30m", "2h", "1d"; a bare number is seconds */
    CM_OPT_SIZE,     /* int64_t bytes; "64k", "512m", "2g" (powers of 1024); a bare number bytes */
} cm_option_type_t;

typedef struct cm_option {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* short name, 0 for none */
    cm_option_type_t type;
    size_t offset;       /* of the field in the command's struct */
    const char *arg;     /* how help shows the value: "N", "FILE"; NULL for flags */
    const char *def;     /* default as text, parsed like a given one; NULL: field stays zero */
    const char *choices; /* CM_OPT_CHOICE: "auto|jsonl|csv" */
    double min, max;     /* CM_OPT_INT, CM_OPT_REAL; both 0: no bounds */
    const char *key;     /* path in the configuration file, "http.listen"; NULL: none */
    const char *env;     /* environment variable; NULL: none */
    const char *help;    /* one line, no full stop */
} cm_option_t;

/* What belongs to one parsed command line: owns the option texts. */
typedef struct cm_option_values {
    void *target; /* the command's struct */
    bool *given;  /* per row of the table: was it set by file, environment or command line */
    char **texts; /* owned */
    size_t text_count;
} cm_option_values_t;

/* Sets every field of `target` to its default. */
int cm_options_defaults(const cm_option_t *table, void *target, cm_option_values_t *values,
                        cm_err_t *err);

/* Sets one option from text; `where` names the origin in the error ("clickmill.yaml:7", "--rate").
 */
int cm_options_set(const cm_option_t *table, const cm_option_t *option, cm_option_values_t *values,
                   const char *text, const char *where, cm_err_t *err);

/* Takes the options of the tables (global and command's) out of argv, wherever they stand; what is
 * left are the arguments, in order. "--" ends the options; "-" is an argument; "--name=value" and
 * "--name value" are the same; a negative number after an option is its value. An unknown option
 * is CM_EUSAGE with the nearest known name. */
int cm_options_parse(const cm_option_t *const *tables, cm_option_values_t *const *values,
                     size_t table_count, int argc, char **argv, int *argument_count,
                     char **arguments, cm_err_t *err);

/* Sets options from their environment variables. */
int cm_options_environment(const cm_option_t *table, cm_option_values_t *values, cm_err_t *err);

/* True when file, environment or command line has set the row whose field is at `offset`. */
bool cm_options_given(const cm_option_t *table, const cm_option_values_t *values, size_t offset);

void cm_options_free(cm_option_values_t *values);

/* Help text of one table: names, arguments, help, defaults, configuration keys; one paragraph a
 * row, at most 80 columns. */
void cm_options_add_help(cm_buf_t *buf, const cm_option_t *table);

/* The candidate that is nearest to `word` by edit distance, NULL when none is near. Candidates end
 * with NULL. */
const char *cm_nearest(const char *word, const char *const *candidates);

#endif
