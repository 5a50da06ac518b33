#include "base/config.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

/* As much of a wrong key as a sentence can bear, in bytes. */
static int shown(const char *text)
{
    return cm_utf8_head(cm_str(text), 80);
}

typedef struct reader {
    cm_config_t *config;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; owned, replaced by advance() */
    cm_str_t text;
    cm_err_t *err;
    cm_lookup_t keys; /* of the entries */
} reader_t;

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

/* libyaml's own complaint. Its reader knows only the offset of a byte it cannot read. */
static int fail_yaml(reader_t *r)
{
    const yaml_parser_t *p = &r->parser;
    size_t line = p->problem_mark.line + 1;

    if (p->error == YAML_MEMORY_ERROR)
        return cm_fail_memory(r->err);
    if (p->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < p->problem_offset && i < r->text.len; i++)
            line += r->text.data[i] == '\n';
        return cm_fail(r->err, CM_EUSAGE, "%s:%zu: not YAML: %s", r->config->name, line,
                       p->problem);
    }
    return cm_fail(r->err, CM_EUSAGE, "%s:%zu: not YAML: %s (column %zu)", r->config->name, line,
                   p->problem, p->problem_mark.column + 1);
}

/* Makes the next event the current one and turns away what a configuration has no use for. */
static int advance(reader_t *r)
{
    const char *what = NULL;

    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->parser, &r->event))
        return fail_yaml(r);
    const yaml_event_t *e = &r->event;
    if (e->type == YAML_ALIAS_EVENT)
        what = "an alias (*name)";
    else if ((e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor != NULL) ||
             (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor != NULL) ||
             (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor != NULL))
        what = "an anchor (&name)";
    else if ((e->type == YAML_SCALAR_EVENT && e->data.scalar.tag != NULL) ||
             (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.tag != NULL) ||
             (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.tag != NULL))
        what = "a tag (!name)";
    if (what != NULL)
        return cm_fail(r->err, CM_EUSAGE,
                       "%s:%d: %s is not supported in a configuration; write the value itself",
                       r->config->name, line_of(e), what);
    return 0;
}

static bool is_null(const yaml_event_t *event)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    const char *text = (const char *)event->data.scalar.value;

    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* The current scalar as a slice; CM_EUSAGE when it hides a NUL byte. */
static int scalar_text(reader_t *r, cm_str_t *text)
{
    const yaml_event_t *e = &r->event;

    *text = (cm_str_t){(const char *)e->data.scalar.value, e->data.scalar.length};
    if (memchr(text->data, '\0', text->len) != NULL)
        return cm_fail(r->err, CM_EUSAGE, "%s:%d: a text cannot hold a NUL character",
                       r->config->name, line_of(e));
    return 0;
}

/* Adds an entry, copying both texts; `text` NULL for null. */
static int add_entry(reader_t *r, const char *key, const char *text, int line)
{
    cm_config_t *c = r->config;
    size_t first;

    if (cm_lookup_find(&r->keys, cm_str(key), &first))
        return cm_fail(r->err, CM_EUSAGE,
                       "%s:%d: %.*s stands here a second time (first in line %d); keep one",
                       c->name, line, shown(key), key, c->entries[first].line);
    cm_lookup_add(&r->keys, cm_str(key), c->count);
    if ((c->count & (c->count - 1)) == 0) /* doubles its size */
        c->entries = cm_realloc(c->entries, (2 * c->count + 1) * sizeof *c->entries);
    c->entries[c->count++] =
        (cm_config_entry_t){cm_strdup(key), text != NULL ? cm_strdup(text) : NULL, line};
    return 0;
}

/* A list of scalars, whose start is the current event, becomes "a,b,c". */
static int read_list(reader_t *r, const char *key, int line)
{
    cm_buf_t joined = CM_BUF_INIT;
    int rc;

    cm_buf_reserve(&joined, 0);
    for (;;) {
        rc = advance(r);
        if (rc < 0 || r->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        cm_str_t item;
        if (r->event.type != YAML_SCALAR_EVENT) {
            rc = cm_fail(r->err, CM_EUSAGE, "%s:%d: %.*s wants a list of plain values",
                         r->config->name, line_of(&r->event), shown(key), key);
            break;
        }
        rc = scalar_text(r, &item);
        if (rc == 0 && memchr(item.data, ',', item.len) != NULL)
            rc = cm_fail(r->err, CM_EUSAGE, "%s:%d: a value in the list %.*s cannot hold a comma",
                         r->config->name, line_of(&r->event), shown(key), key);
        if (rc < 0)
            break;
        if (joined.len > 0)
            cm_buf_add_char(&joined, ',');
        cm_buf_add_str(&joined, item);
    }
    if (rc == 0)
        rc = add_entry(r, key, joined.data, line);
    cm_buf_free(&joined);
    return rc;
}

static int read_scalar(reader_t *r, const char *key, int line)
{
    cm_str_t text;
    int rc = scalar_text(r, &text);

    if (rc < 0)
        return rc;
    return add_entry(r, key, is_null(&r->event) ? NULL : text.data, line);
}

/* A mapping whose start is the current event; `path` is the key that leads to it. The path grows
 * and shrinks with the depth. */
static int read_mapping(reader_t *r, cm_buf_t *path, int depth)
{
    size_t len = path->len;
    int rc;

    if (depth > CM_CONFIG_DEPTH)
        return cm_fail(r->err, CM_EUSAGE, "%s:%d: keys are nested more than %d deep",
                       r->config->name, line_of(&r->event), CM_CONFIG_DEPTH);
    for (;;) {
        rc = advance(r);
        if (rc < 0 || r->event.type == YAML_MAPPING_END_EVENT)
            return rc;
        cm_str_t key;
        int line = line_of(&r->event);
        if (r->event.type != YAML_SCALAR_EVENT)
            return cm_fail(r->err, CM_EUSAGE, "%s:%d: a key must be a plain word", r->config->name,
                           line);
        rc = scalar_text(r, &key);
        if (rc < 0)
            return rc;
        if (len > 0)
            cm_buf_add_char(path, '.');
        cm_buf_add_str(path, key);
        rc = advance(r);
        if (rc < 0)
            return rc;
        const char *name = path->data != NULL ? path->data : "";
        if (r->event.type == YAML_SCALAR_EVENT)
            rc = read_scalar(r, name, line);
        else if (r->event.type == YAML_SEQUENCE_START_EVENT)
            rc = read_list(r, name, line);
        else
            rc = read_mapping(r, path, depth + 1);
        if (rc < 0)
            return rc;
        path->len = len;
        path->data[len] = '\0';
    }
}

/* The whole stream: nothing, or one document that is a mapping or null. */
static int read_stream(reader_t *r, cm_buf_t *path)
{
    int rc = advance(r); /* the start of the stream */

    if (rc == 0)
        rc = advance(r);
    if (rc < 0 || r->event.type == YAML_STREAM_END_EVENT)
        return rc;
    rc = advance(r); /* past the start of the document */
    if (rc < 0)
        return rc;
    if (r->event.type == YAML_MAPPING_START_EVENT)
        rc = read_mapping(r, path, 1);
    else if (r->event.type != YAML_SCALAR_EVENT || !is_null(&r->event))
        rc = cm_fail(r->err, CM_EUSAGE,
                     "%s:%d: a configuration is a mapping, one `key: value` a line",
                     r->config->name, line_of(&r->event));
    if (rc == 0)
        rc = advance(r); /* the end of the document */
    if (rc == 0)
        rc = advance(r);
    if (rc == 0 && r->event.type != YAML_STREAM_END_EVENT)
        rc = cm_fail(r->err, CM_EUSAGE,
                     "%s:%d: a second document begins here; a configuration is one document",
                     r->config->name, line_of(&r->event));
    return rc;
}

int cm_config_parse(cm_config_t *config, cm_str_t text, const char *name, cm_err_t *err)
{
    reader_t r = {.config = config, .text = text, .err = err};
    cm_buf_t path = CM_BUF_INIT;

    *config = CM_CONFIG_INIT;
    config->name = cm_strdup(name);
    if (!yaml_parser_initialize(&r.parser)) {
        cm_config_free(config);
        return cm_fail_memory(err);
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.data, text.len);
    cm_buf_reserve(&path, 0);
    int rc = read_stream(&r, &path);
    cm_buf_free(&path);
    cm_lookup_free(&r.keys);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (rc < 0)
        cm_config_free(config);
    return rc;
}

int cm_config_read(cm_config_t *config, const char *path, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;
    int rc = 0;

    *config = CM_CONFIG_INIT;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return cm_fail(err, CM_EINPUT, "cannot read the configuration %s: %s", path,
                       strerror(errno));
    cm_buf_reserve(&text, CM_CONFIG_BYTES + 1);
    text.len = fread(text.data, 1, CM_CONFIG_BYTES + 1, file);
    if (ferror(file))
        rc = cm_fail(err, CM_EINPUT, "cannot read the configuration %s: %s", path, strerror(errno));
    else if (text.len > CM_CONFIG_BYTES)
        rc = cm_fail(err, CM_EUSAGE, "%s is larger than 1 MiB; is it a configuration?", path);
    else
        rc = cm_config_parse(config, (cm_str_t){text.data, text.len}, path, err);
    fclose(file);
    cm_buf_free(&text);
    return rc;
}

void cm_config_free(cm_config_t *config)
{
    for (size_t i = 0; i < config->count; i++) {
        free(config->entries[i].key);
        free(config->entries[i].text);
    }
    free(config->entries);
    free(config->name);
    *config = CM_CONFIG_INIT;
}

/* A known key below `group`, as "http.listen" is below "http"; NULL when it is no group. */
static const char *key_below(const cm_config_table_t *tables, size_t table_count, const char *group)
{
    size_t len = strlen(group);

    for (size_t t = 0; t < table_count; t++) {
        for (const cm_option_t *o = tables[t].options; o != NULL && o->name != NULL; o++) {
            if (o->key == NULL || strncmp(o->key, group, len) != 0)
                continue;
            if (o->key[len] == '.' || (o->key[len] == '\0' && o->type == CM_OPT_MAP))
                return o->key;
        }
    }
    return NULL;
}

/* Says that no table knows the key. A key that only lacks its group ("listen") is near too. */
static int fail_unknown(const cm_config_t *config, const cm_config_entry_t *entry,
                        const cm_config_table_t *tables, size_t table_count, cm_err_t *err)
{
    const char **keys = NULL, *near = NULL;
    size_t count = 0;

    for (size_t t = 0; t < table_count; t++) {
        for (const cm_option_t *o = tables[t].options; o != NULL && o->name != NULL; o++) {
            if (o->key == NULL)
                continue;
            keys = cm_realloc(keys, (count + 2) * sizeof *keys);
            keys[count++] = o->key;
            keys[count] = NULL;
            const char *dot = strrchr(o->key, '.');
            if (near == NULL && dot != NULL && strcmp(dot + 1, entry->key) == 0)
                near = o->key;
        }
    }
    if (count > 0 && near == NULL)
        near = cm_nearest(entry->key, keys);
    free(keys);
    if (near != NULL)
        return cm_fail(err, CM_EUSAGE, "%s:%d: unknown key %.*s; did you mean %s?", config->name,
                       entry->line, shown(entry->key), entry->key, near);
    return cm_fail(err, CM_EUSAGE,
                   "%s:%d: unknown key %.*s; `clickmill help --markdown` lists the known ones",
                   config->name, entry->line, shown(entry->key), entry->key);
}

/* The entry's text as its option parses it: below the key of a map the name is part of it. */
static const char *value_of(const cm_option_t *option, const cm_config_entry_t *entry,
                            cm_buf_t *scratch)
{
    if (option->type != CM_OPT_MAP)
        return entry->text;
    cm_buf_clear(scratch);
    cm_buf_printf(scratch, "%s=%s", entry->key + strlen(option->key) + 1, entry->text);
    return scratch->data;
}

static int apply_entry(const cm_config_t *config, const cm_config_entry_t *entry,
                       const cm_config_table_t *tables, size_t table_count, cm_err_t *err)
{
    cm_buf_t where = CM_BUF_INIT, scratch = CM_BUF_INIT;
    bool known = false;
    int rc = 0;

    cm_buf_printf(&where, "%s:%d: %s", config->name, entry->line, entry->key);
    for (size_t t = 0; t < table_count && rc == 0; t++) {
        const cm_option_t *option = cm_options_by_key(tables[t].options, entry->key);
        if (option == NULL)
            continue;
        known = true;
        if (entry->text == NULL)
            continue;
        const char *text = value_of(option, entry, &scratch);
        rc = tables[t].values == NULL ? cm_options_check(option, text, where.data, err)
                                      : cm_options_set(tables[t].options, option, tables[t].values,
                                                       text, CM_FROM_FILE, where.data, err);
    }
    cm_buf_free(&where);
    cm_buf_free(&scratch);
    if (rc < 0 || known)
        return rc;
    const char *below = key_below(tables, table_count, entry->key);
    if (below == NULL)
        return fail_unknown(config, entry, tables, table_count, err);
    if (entry->text == NULL) /* a group whose keys are all commented out */
        return 0;
    return cm_fail(err, CM_EUSAGE, "%s:%d: %s is a group of keys (such as %s), not a value",
                   config->name, entry->line, entry->key, below);
}

int cm_config_apply(const cm_config_t *config, const cm_config_table_t *tables, size_t table_count,
                    cm_err_t *err)
{
    for (size_t i = 0; i < config->count; i++) {
        int rc = apply_entry(config, &config->entries[i], tables, table_count, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
