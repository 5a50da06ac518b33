/* Options: one table feeds the parser, --help, the manual page, shell completion, the reference
 * and the configuration file.
 *
 * A command keeps its options in a plain struct; each row of its table names a field by its offset.
 * An engine or a part of the program declares its own options as an array of rows for its own
 * struct, beside its code; the table of a command composes such arrays (CM_OPT_ROWS).
 *
 * Values come from the row's default, the configuration file (`key`), the environment (`env`) and
 * the command line; the later one of this list wins. They may be set in any order, because every
 * row remembers where its value came from. The strings belong to the cm_option_values_t that parsed
 * them and live as long as it. Not for use by several threads at once. */
#ifndef CM_BASE_OPTIONS_H
#define CM_BASE_OPTIONS_H

#include "base/err.h"
#include "base/lookup.h"
#include "base/str.h"

typedef enum cm_option_type {
    CM_OPT_FLAG,     /* bool; --name, --no-name */
    CM_OPT_INT,      /* int64_t in [min, max] */
    CM_OPT_REAL,     /* double in [min, max] */
    CM_OPT_TEXT,     /* const char *; NULL when not given and without a default */
    CM_OPT_CHOICE,   /* int: position in `choices` */
    CM_OPT_DURATION, /* int64_t ms; "500ms", "5s", "30m", "2h", "1d"; a bare number is seconds */
    CM_OPT_SIZE,     /* int64_t bytes; "64k", "512m", "2g" (powers of 1024); a bare number bytes */
    CM_OPT_MAP,      /* cm_option_map_t; "NAME=VALUE", may be given many times; in the file every
                        key below `key` is a name */
    CM_OPT_TEXTS,    /* cm_option_texts_t; a text, may be given many times */
    CM_OPT_ROWS,     /* no value: the table `rows` stands here, for the struct at `offset` */
} cm_option_type_t;

/* Whether a value may be given on the command line, where every user of the machine can read it
 * (`ps`): a secret only as ${NAME} or file:PATH (base/secret.h). */
typedef enum cm_secrecy {
    CM_NO_SECRET,
    CM_SECRET,         /* the text, of a CM_OPT_MAP every value */
    CM_SECRET_BY_NAME, /* of a CM_OPT_MAP the values whose names say so */
} cm_secrecy_t;

typedef struct cm_option {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* short name, 0 for none */
    cm_option_type_t type;
    size_t offset;       /* of the field in the command's struct */
    const char *arg;     /* how help shows the value: "N", "FILE"; NULL for flags */
    const char *def;     /* default as text, parsed like a given one; NULL: field stays zero */
    const char *choices; /* CM_OPT_CHOICE: "auto|jsonl|csv" */
    double min, max; /* of numbers, of ms, of bytes; both 0: no bounds; max INFINITY: no upper */
    const char *key; /* path in the configuration file, "http.listen"; NULL: none */
    const char *aliases; /* other keys that mean the same, "http.address|listen"; NULL: none */
    const char *env;     /* environment variable; NULL: none */
    cm_secrecy_t secret;
    const char *help; /* one line, no full stop */
    const struct cm_option
        *rows; /* CM_OPT_ROWS; `name` then only says in the source what they are */
} cm_option_t;

/* Where a value came from, the weakest first. */
typedef enum cm_origin {
    CM_FROM_DEFAULT,
    CM_FROM_FILE,
    CM_FROM_ENVIRONMENT,
    CM_FROM_COMMAND_LINE,
} cm_origin_t;

/* One NAME=VALUE of a CM_OPT_MAP. */
typedef struct cm_option_pair {
    const char *name, *text;
    const char *where; /* "clickmill.yaml:7: kafka.properties.acks", for what is wrong with it */
    cm_origin_t origin;
} cm_option_pair_t;

/* The pairs in the order of their first mention; of a name given twice the stronger origin counts,
 * of equals the last. */
typedef struct cm_option_map {
    cm_option_pair_t *pairs;
    size_t count;
} cm_option_map_t;

/* The texts in their order, NULL at the end (`list` is NULL where there are none); those of the
 * strongest origin. */
typedef struct cm_option_texts {
    const char **list;
    size_t count;
} cm_option_texts_t;

/* What belongs to one parsed command line: owns the option texts. */
typedef struct cm_option_values {
    const cm_option_t *table; /* NULL: no options */
    void *target;             /* the command's struct */
    cm_origin_t *origins;     /* per row of the table */
    void **owned;             /* texts, lists of them, and pairs of maps */
    size_t owned_count;
    cm_lookup_t names; /* of the pairs of its maps */
} cm_option_values_t;

#define CM_OPTION_VALUES_INIT ((cm_option_values_t){.target = NULL})

/* A table composed of others: every CM_OPT_ROWS is replaced by the rows that it stands for, with
 * their offsets moved. All functions below want such a table, or one without CM_OPT_ROWS. The
 * caller frees it; texts stay those of the arrays. NULL for NULL. */
cm_option_t *cm_options_compose(const cm_option_t *table);

/* Sets every field of `target` to its default. `table` may be NULL: no options. Fails only when a
 * default in the table is wrong. */
int cm_options_defaults(const cm_option_t *table, void *target, cm_option_values_t *values,
                        cm_err_t *err);

/* Sets one option from text, unless a stronger origin has set it: then the text is only checked.
 * `where` names the origin in the error ("clickmill.yaml:7: http.port", "--rate"). CM_EUSAGE, also
 * for a secret that stands on the command line as it is. */
int cm_options_set(const cm_option_t *table, const cm_option_t *option, cm_option_values_t *values,
                   const char *text, cm_origin_t origin, const char *where, cm_err_t *err);

/* Checks that the text would be a value of the option, as cm_options_set() does. */
int cm_options_check(const cm_option_t *option, const char *text, const char *where, cm_err_t *err);

/* The row with this long name, or with this configuration key (or alias, or a key below that of a
 * map); NULL when there is none. */
const cm_option_t *cm_options_by_name(const cm_option_t *table, const char *name);
const cm_option_t *cm_options_by_key(const cm_option_t *table, const char *key);

/* The position in argv of the first word that is neither an option of `table` nor its value: the
 * command. argc when there is none, CM_EUSAGE when an option is unknown. Starts at argv[1]. */
int cm_options_find_argument(const cm_option_t *table, int argc, char **argv, cm_err_t *err);

/* Takes the options of the tables (global and command's) out of argv[0..argc), wherever they stand;
 * what is left are the arguments, in order (`arguments` has room for argc). "--" ends the options;
 * "-" is an argument; "--name=value" and "--name value" are the same, and so are "-n value" and
 * "-nvalue"; a negative number after an option is its value, another word with a dash is not. Given
 * several times, the last one wins. An unknown option is CM_EUSAGE with the nearest known name. */
int cm_options_parse(const cm_option_t *const *tables, cm_option_values_t *const *values,
                     size_t table_count, int argc, char **argv, int *argument_count,
                     char **arguments, cm_err_t *err);

/* Sets options from their environment variables; an empty one counts as not set. */
int cm_options_environment(const cm_option_t *table, cm_option_values_t *values, cm_err_t *err);

/* True when file, environment or command line has set the row whose field is at `offset`. */
bool cm_options_given(const cm_option_values_t *values, size_t offset);

void cm_options_free(cm_option_values_t *values);

/* Help text of one table: names, arguments, help, defaults, configuration keys; one paragraph a
 * row, at most 80 columns. */
void cm_options_add_help(cm_buf_t *buf, const cm_option_t *table);

/* Appends "auto, jsonl, csv" of a CM_OPT_CHOICE. */
void cm_options_add_choices(cm_buf_t *buf, const cm_option_t *option);

/* Appends help, choices and "[default ...; key ...; environment ...]" of one row, in one line. */
void cm_options_add_facts(cm_buf_t *buf, const cm_option_t *option);

/* Appends text broken at spaces to at most 80 columns (of ASCII); the cursor stands at `column`,
 * further lines are indented by `indent`. Ends with a newline. */
void cm_options_add_wrapped(cm_buf_t *buf, const char *text, int column, int indent);

#endif
