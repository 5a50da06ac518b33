#include "base/options.h"

#include "base/options_inside.h"

#include <stdlib.h>

/* Appends the rows with their offsets moved, and returns how many there are now. With `to` NULL
 * they are only counted. */
static size_t add_rows(cm_option_t *to, size_t count, const cm_option_t *rows, size_t offset)
{
    for (const cm_option_t *row = rows; row->name != NULL; row++) {
        if (row->type == CM_OPT_ROWS) {
            count = add_rows(to, count, row->rows, offset + row->offset);
            continue;
        }
        if (to != NULL) {
            to[count] = *row;
            to[count].offset += offset;
        }
        count++;
    }
    return count;
}

cm_option_t *cm_options_compose(const cm_option_t *table)
{
    if (table == NULL)
        return NULL;
    cm_option_t *flat = cm_alloc_zero(add_rows(NULL, 0, table, 0) + 1, sizeof *flat);
    add_rows(flat, 0, table, 0);
    return flat;
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

/* Adds a text. Those of a weaker origin do not count beside it: `fresh`. */
static void store_text(cm_option_texts_t *texts, cm_option_values_t *values, const char *text,
                       bool fresh)
{
    const size_t count = fresh ? 0 : texts->count;
    const char **list = own(values, cm_alloc((count + 2) * sizeof *list));

    if (count > 0)
        memcpy(list, texts->list, count * sizeof *list);
    list[count] = own(values, cm_strdup(text));
    list[count + 1] = NULL;
    *texts = (cm_option_texts_t){list, count + 1};
}

static void store_value(const cm_option_t *option, cm_option_values_t *values,
                        cm_option_value_t value, cm_origin_t origin, const char *where)
{
    const bool fresh = values->origins[option - values->table] < origin;
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
    case CM_OPT_TEXTS:
        store_text(field, values, value.text, fresh);
        break;
    case CM_OPT_ROWS: /* not in a composed table */
        break;
    }
}

int cm_options_set(const cm_option_t *table, const cm_option_t *option, cm_option_values_t *values,
                   const char *text, cm_origin_t origin, const char *where, cm_err_t *err)
{
    cm_origin_t *set = &values->origins[option - table];
    cm_option_value_t value;

    if (!cm_option_read(option, text, &value))
        return cm_option_fail(option, text, where, err);
    int rc = origin == CM_FROM_COMMAND_LINE ? cm_option_check_secret(option, text, where, err) : 0;
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
    values->table = table;
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

bool cm_options_given(const cm_option_values_t *values, size_t offset)
{
    const cm_option_t *table = values->table;

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
    return option->aliases != NULL && cm_option_choice(option->aliases, key) >= 0;
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
