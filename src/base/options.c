#include "base/options.h"

#include "base/secret.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A parsed value before it is stored; which member counts is the option's type. */
typedef union value {
    bool flag;
    int choice;
    int64_t integer;
    double real;
    const char *text; /* CM_OPT_MAP: "name=value" */
} value_t;

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
static int shown(const char *text)
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
static int parse_choice(const char *choices, const char *text)
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

static bool parse_value(const cm_option_t *option, const char *text, value_t *value)
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
        value->text = text;
        return true;
    case CM_OPT_MAP:
        value->text = text;
        return text[0] != '=' && strchr(text, '=') != NULL;
    case CM_OPT_CHOICE:
        value->choice = parse_choice(option->choices, text);
        return value->choice >= 0;
    case CM_OPT_DURATION:
        return parse_with_unit(durations, 1e3, text, &value->integer) &&
               in_bounds(option, (double)value->integer);
    case CM_OPT_SIZE:
        return parse_with_unit(sizes, 1, text, &value->integer) &&
               in_bounds(option, (double)value->integer);
    }
    return false;
}

static void *own(cm_option_values_t *values, void *memory)
{
    const size_t count = values->owned_count;

    if ((count & (count - 1)) == 0) /* doubles its size */
        values->owned = cm_realloc(values->owned, (2 * count + 1) * sizeof *values->owned);
    values->owned[values->owned_count++] = memory;
    return memory;
}

/* Where the pair of that name stands in the map; at its end when it has none, which is noted. Names
 * of all maps of a table are in one list. */
static size_t place_of(const cm_option_map_t *map, cm_option_values_t *values, cm_str_t name)
{
    cm_buf_t key = CM_BUF_INIT;
    size_t at = map->count;

    cm_buf_printf(&key, "%zu ", (size_t)((const char *)map - (const char *)values->target));
    cm_buf_add_str(&key, name);
    if (!cm_lookup_find(&values->names, (cm_str_t){key.data, key.len}, &at))
        cm_lookup_add(&values->names, (cm_str_t){key.data, key.len}, at);
    cm_buf_free(&key);
    return at;
}

/* Adds a pair to the map, or replaces the one of its name unless that has a stronger origin. */
static void store_pair(cm_option_map_t *map, cm_option_values_t *values, const char *text,
                       cm_origin_t origin, const char *where)
{
    const size_t name_len = strcspn(text, "="), count = map->count;
    const size_t at = place_of(map, values, (cm_str_t){text, name_len});

    if (at < count && map->pairs[at].origin > origin)
        return;
    /* A new array, which doubles its size: the old one is owned until the end. */
    if (at == count && (count & (count - 1)) == 0) {
        cm_option_pair_t *pairs = own(values, cm_alloc((2 * count + 1) * sizeof *pairs));
        if (count > 0)
            memcpy(pairs, map->pairs, count * sizeof *pairs);
        map->pairs = pairs;
    }
    map->count += at == count;
    char *name = own(values, cm_strdup(text));
    name[name_len] = '\0';
    map->pairs[at] =
        (cm_option_pair_t){name, name + name_len + 1, own(values, cm_strdup(where)), origin};
}

static void store_value(const cm_option_t *option, cm_option_values_t *values, value_t value,
                        cm_origin_t origin, const char *where)
{
    void *field = (char *)values->target + option->offset;

    switch (option->type) {
    case CM_OPT_FLAG:
        *(bool *)field = value.flag;
        break;
    case CM_OPT_REAL:
        *(double *)field = value.real;
        break;
    case CM_OPT_CHOICE:
        *(int *)field = value.choice;
        break;
    case CM_OPT_INT:
    case CM_OPT_DURATION:
    case CM_OPT_SIZE:
        *(int64_t *)field = value.integer;
        break;
    case CM_OPT_TEXT:
        *(const char **)field = own(values, cm_strdup(value.text));
        break;
    case CM_OPT_MAP:
        store_pair(field, values, value.text, origin, where);
        break;
    }
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

static int fail_value(const cm_option_t *option, const char *text, const char *where, cm_err_t *err)
{
    cm_buf_t buf = CM_BUF_INIT;

    cm_buf_printf(&buf, "%s wants ", where);
    add_wanted(&buf, option);
    if (option->secret != CM_SECRET)
        cm_buf_printf(&buf, ", not \"%.*s\"", shown(text), text);
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

static int check_secret(const cm_option_t *option, const char *text, const char *where,
                        cm_err_t *err)
{
    const char *secret = secret_of(option, text);

    if (secret == NULL || secret[0] == '\0' || cm_secret_is(secret))
        return 0;
    return cm_fail(err, CM_EUSAGE,
                   "%s: everybody on this machine can read a secret that stands on the command "
                   "line; write '%.*s${NAME}' for an environment variable or %.*sfile:PATH for "
                   "what a file holds, or set %s in the configuration file",
                   where, (int)(secret - text), text, (int)(secret - text), text, option->key);
}

int cm_options_check(const cm_option_t *option, const char *text, const char *where, cm_err_t *err)
{
    value_t value;

    return parse_value(option, text, &value) ? 0 : fail_value(option, text, where, err);
}

int cm_options_set(const cm_option_t *table, const cm_option_t *option, cm_option_values_t *values,
                   const char *text, cm_origin_t origin, const char *where, cm_err_t *err)
{
    cm_origin_t *set = &values->origins[option - table];
    value_t value;

    if (!parse_value(option, text, &value))
        return fail_value(option, text, where, err);
    int rc = origin == CM_FROM_COMMAND_LINE ? check_secret(option, text, where, err) : 0;
    if (rc < 0)
        return rc;
    if (option->type == CM_OPT_MAP || origin >= *set)
        store_value(option, values, value, origin, where);
    if (origin >= *set)
        *set = origin;
    return 0;
}

int cm_options_defaults(const cm_option_t *table, void *target, cm_option_values_t *values,
                        cm_err_t *err)
{
    size_t count = 0;

    while (table != NULL && table[count].name != NULL)
        count++;
    *values = CM_OPTION_VALUES_INIT;
    values->target = target;
    values->origins = cm_alloc_zero(count, sizeof *values->origins);
    for (size_t i = 0; i < count; i++) {
        if (table[i].def == NULL)
            continue;
        int rc = cm_options_set(table, &table[i], values, table[i].def, CM_FROM_DEFAULT,
                                table[i].name, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int cm_options_environment(const cm_option_t *table, cm_option_values_t *values, cm_err_t *err)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++) {
        const char *text = o->env != NULL ? getenv(o->env) : NULL;
        if (text == NULL || text[0] == '\0')
            continue;
        int rc = cm_options_set(table, o, values, text, CM_FROM_ENVIRONMENT, o->env, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

bool cm_options_given(const cm_option_t *table, const cm_option_values_t *values, size_t offset)
{
    for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
        if (table[i].offset == offset)
            return values->origins[i] > CM_FROM_DEFAULT;
    }
    return false;
}

const cm_option_t *cm_options_by_name(const cm_option_t *table, const char *name)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++) {
        if (strcmp(o->name, name) == 0)
            return o;
    }
    return NULL;
}

static bool has_key(const cm_option_t *option, const char *key)
{
    size_t len = strlen(option->key);

    if (strncmp(option->key, key, len) != 0)
        return false;
    return option->type == CM_OPT_MAP ? key[len] == '.' && key[len + 1] != '\0' : key[len] == '\0';
}

static bool is_alias(const cm_option_t *option, const char *key)
{
    return option->aliases != NULL && parse_choice(option->aliases, key) >= 0;
}

const cm_option_t *cm_options_by_key(const cm_option_t *table, const char *key)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++) {
        if (o->key != NULL && (has_key(o, key) || is_alias(o, key)))
            return o;
    }
    return NULL;
}

void cm_options_free(cm_option_values_t *values)
{
    for (size_t i = 0; i < values->owned_count; i++)
        free(values->owned[i]);
    free(values->owned);
    free(values->origins);
    cm_lookup_free(&values->names);
    *values = CM_OPTION_VALUES_INIT;
}

/* ---- the command line ---- */

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
        cm_fail(err, CM_EUSAGE, "unknown option --%.*s; did you mean --%s%s?", shown(name), name,
                negated ? "no-" : "", near);
    else
        cm_fail(err, CM_EUSAGE, "unknown option --%.*s; --help lists the known ones", shown(name),
                name);
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
                       where, option->arg, shown(p->argv[p->at]), p->argv[p->at], option->name);
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
                           shown(c), c);
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

/* ---- the nearest name ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours, in three rows of the usual table. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len, size_t *rows)
{
    size_t width = b_len + 1;
    size_t *before = rows, *last = rows + width, *now = rows + 2 * width;

    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, before[j - 2] + 1);
            now[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b_len];
}

const char *cm_nearest(const char *word, const char *const *candidates)
{
    enum { LONGEST = 64 }; /* no name is longer, and a longer word is no misspelt name */
    size_t rows[3 * (LONGEST + 1)];
    size_t len = strlen(word);
    size_t near = len / 3 > 1 ? len / 3 : 1;
    const char *best = NULL;

    if (len < 2 || len > LONGEST) /* a single letter is near to everything */
        return NULL;
    for (; *candidates != NULL; candidates++) {
        size_t candidate_len = strlen(*candidates);
        if (candidate_len > LONGEST)
            continue;
        size_t d = distance(word, len, *candidates, candidate_len, rows);
        if (d < near || (d == near && best == NULL)) {
            best = *candidates;
            near = d;
        }
    }
    return best;
}

/* ---- help ---- */

enum { HELP_COLUMN = 26, HELP_WIDTH = 80 };

void cm_options_add_wrapped(cm_buf_t *buf, const char *text, int column, int indent)
{
    bool first = true;

    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (!first && column + 1 + len > HELP_WIDTH) {
            cm_buf_printf(buf, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            cm_buf_add_char(buf, ' ');
            column++;
        }
        cm_buf_add(buf, text, (size_t)len);
        column += len;
        text += len;
        text += strspn(text, " ");
        first = false;
    }
    cm_buf_add_char(buf, '\n');
}

void cm_options_add_facts(cm_buf_t *buf, const cm_option_t *option)
{
    const char *const names[] = {"default", "key", "environment"};
    const char *const values[] = {option->def, option->key, option->env};
    bool any = false;

    cm_buf_add_text(buf, option->help);
    if (option->type == CM_OPT_CHOICE) {
        cm_buf_add_text(buf, ": ");
        cm_options_add_choices(buf, option);
    }
    for (int i = 0; i < 3; i++) {
        if (values[i] == NULL)
            continue;
        cm_buf_printf(buf, "%s%s %s", any ? "; " : " [", names[i], values[i]);
        any = true;
    }
    if (any)
        cm_buf_add_char(buf, ']');
}

static void add_help_row(cm_buf_t *buf, const cm_option_t *option)
{
    cm_buf_t text = CM_BUF_INIT;
    size_t start = buf->len;

    cm_buf_add_text(buf, "  ");
    if (option->letter != 0)
        cm_buf_printf(buf, "-%c, ", option->letter);
    cm_buf_printf(buf, "--%s", option->name);
    if (option->arg != NULL)
        cm_buf_printf(buf, " %s", option->arg);
    int column = (int)(buf->len - start);
    if (column + 2 > HELP_COLUMN) {
        cm_buf_add_char(buf, '\n');
        column = 0;
    }
    cm_buf_printf(buf, "%*s", HELP_COLUMN - column, "");

    cm_options_add_facts(&text, option);
    cm_options_add_wrapped(buf, text.data, HELP_COLUMN, HELP_COLUMN);
    cm_buf_free(&text);
}

void cm_options_add_help(cm_buf_t *buf, const cm_option_t *table)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++)
        add_help_row(buf, o);
}
