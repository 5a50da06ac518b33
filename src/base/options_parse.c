/* The command line: finds the options among its words, and their values. */
#include "base/options_inside.h"

#include "base/nearest.h"

#include <ctype.h>
#include <stdlib.h>

/* Where the parser stands. */
typedef struct parser {
    const cm_option_t *const *tables;
    cm_option_values_t *const *values; /* NULL: options are recognised, not set */
    size_t table_count;
    int argc;
    char **argv;
    int at; /* next word */
} parser_t;

static bool is_negative_number(const char *word)
{
    return word[0] == '-' &&
           (isdigit((unsigned char)word[1]) || (word[1] == '.' && isdigit((unsigned char)word[2])));
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !is_negative_number(word);
}

static const cm_option_t *find_name(const parser_t *p, const char *name, size_t *table)
{
    for (*table = 0; *table < p->table_count; ++*table) {
        const cm_option_t *option = cm_options_by_name(p->tables[*table], name);
        if (option != NULL)
            return option;
    }
    return NULL;
}

static const cm_option_t *find_letter(const parser_t *p, char letter, size_t *table)
{
    for (*table = 0; *table < p->table_count; ++*table) {
        for (const cm_option_t *o = p->tables[*table]; o != NULL && o->name != NULL; o++) {
            if (o->letter == letter)
                return o;
        }
    }
    return NULL;
}

static int fail_unknown(const parser_t *p, const char *name, cm_err_t *err)
{
    bool negated = strncmp(name, "no-", 3) == 0;
    size_t count = 0;

    for (size_t t = 0; t < p->table_count; t++) {
        for (const cm_option_t *o = p->tables[t]; o != NULL && o->name != NULL; o++)
            count++;
    }
    const char **names = cm_alloc((count + 1) * sizeof *names);
    count = 0;
    for (size_t t = 0; t < p->table_count; t++) {
        for (const cm_option_t *o = p->tables[t]; o != NULL && o->name != NULL; o++) {
            if (!negated || o->type == CM_OPT_FLAG)
                names[count++] = o->name;
        }
    }
    names[count] = NULL;
    const char *near = cm_nearest(negated ? name + 3 : name, names);
    if (near != NULL)
        cm_fail(err, CM_EUSAGE, "unknown option --%.*s; did you mean --%s%s?",
                cm_option_shown(name), name, negated ? "no-" : "", near);
    else
        cm_fail(err, CM_EUSAGE, "unknown option --%.*s; --help lists the known ones",
                cm_option_shown(name), name);
    free(names);
    return CM_EUSAGE;
}

static int set(const parser_t *p, size_t table, const cm_option_t *option, const char *text,
               const char *where, cm_err_t *err)
{
    if (p->values == NULL)
        return 0;
    return cm_options_set(p->tables[table], option, p->values[table], text, CM_FROM_COMMAND_LINE,
                          where, err);
}

/* Takes the next word as the value of the option that the user wrote as `where`. */
static int take_value(parser_t *p, const cm_option_t *option, const char *where, const char **text,
                      cm_err_t *err)
{
    if (p->at < p->argc && !is_option(p->argv[p->at])) {
        *text = p->argv[p->at++];
        return 0;
    }
    if (p->at < p->argc)
        return cm_fail(err, CM_EUSAGE,
                       "%s wants a value (%s) before %.*s; a value that begins with a dash is "
                       "written --%s=VALUE",
                       where, option->arg, cm_option_shown(p->argv[p->at]), p->argv[p->at],
                       option->name);
    return cm_fail(err, CM_EUSAGE, "%s wants a value (%s)", where, option->arg);
}

/* One "--name", "--name=value", "--name value" or "--no-name". */
static int parse_long(parser_t *p, const char *word, cm_err_t *err)
{
    const char *equals = strchr(word, '=');
    char *name = cm_strdup(word + 2), *where = cm_strdup(word);
    const char *text = equals != NULL ? equals + 1 : NULL;
    bool on = true;
    size_t table;
    int rc = 0;

    if (equals != NULL) {
        name[equals - word - 2] = '\0';
        where[equals - word] = '\0';
    }
    const cm_option_t *option = find_name(p, name, &table);
    if (option == NULL && strncmp(name, "no-", 3) == 0) {
        option = find_name(p, name + 3, &table);
        if (option != NULL && option->type != CM_OPT_FLAG)
            option = NULL;
        on = false;
    }
    if (option == NULL) {
        rc = fail_unknown(p, name, err);
    } else if (option->type == CM_OPT_FLAG) {
        if (text != NULL)
            rc = cm_fail(err, CM_EUSAGE, "%s takes no value; write --%s or --no-%s", where,
                         option->name, option->name);
        else
            rc = set(p, table, option, on ? "true" : "false", where, err);
    } else {
        if (text == NULL)
            rc = take_value(p, option, where, &text, err);
        if (rc == 0)
            rc = set(p, table, option, text, where, err);
    }
    free(where);
    free(name);
    return rc;
}

/* A word of short options: "-j", "-jv" (flags), "-n5", "-n 5". */
static int parse_short(parser_t *p, const char *word, cm_err_t *err)
{
    for (const char *c = word + 1; *c != '\0'; c++) {
        char where[3] = {'-', *c, '\0'};
        size_t table;
        int rc = 0;
        const cm_option_t *option = find_letter(p, *c, &table);
        if (option == NULL)
            return cm_fail(err, CM_EUSAGE, "unknown option -%.*s; --help lists the known ones",
                           cm_option_shown(c), c);
        if (option->type != CM_OPT_FLAG) {
            const char *text = c + 1;
            if (*text == '\0')
                rc = take_value(p, option, where, &text, err);
            return rc < 0 ? rc : set(p, table, option, text, where, err);
        }
        rc = set(p, table, option, "true", where, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_option(parser_t *p, cm_err_t *err)
{
    const char *word = p->argv[p->at++];

    return word[1] == '-' ? parse_long(p, word, err) : parse_short(p, word, err);
}

int cm_options_find_argument(const cm_option_t *table, int argc, char **argv, cm_err_t *err)
{
    parser_t p = {&table, NULL, 1, argc, argv, 1};

    while (p.at < argc && is_option(argv[p.at]) && strcmp(argv[p.at], "--") != 0) {
        int rc = parse_option(&p, err);
        if (rc < 0)
            return rc;
    }
    return p.at;
}

int cm_options_parse(const cm_option_t *const *tables, cm_option_values_t *const *values,
                     size_t table_count, int argc, char **argv, int *argument_count,
                     char **arguments, cm_err_t *err)
{
    parser_t p = {tables, values, table_count, argc, argv, 0};
    bool options = true;

    *argument_count = 0;
    while (p.at < argc) {
        if (options && strcmp(argv[p.at], "--") == 0) {
            options = false;
            p.at++;
        } else if (options && is_option(argv[p.at])) {
            int rc = parse_option(&p, err);
            if (rc < 0)
                return rc;
        } else {
            arguments[(*argument_count)++] = argv[p.at++];
        }
    }
    return 0;
}
