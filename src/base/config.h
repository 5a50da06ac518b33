/* The configuration file: YAML (and so JSON), read into a flat list of keys and texts.
 *
 * Nested mappings become paths: "http: {listen: x}" is the key "http.listen" with the text "x"; a
 * list of scalars becomes one text joined by commas. What a key means is said by the option tables
 * alone. Anchors, aliases, tags and several documents in a file are not supported and are errors.
 * The caller owns a cm_config_t and frees it with cm_config_free(). One thread at a time. */
#ifndef CM_BASE_CONFIG_H
#define CM_BASE_CONFIG_H

#include "base/options.h"

typedef struct cm_config_entry {
    char *key;  /* path, "http.listen" */
    char *text; /* NULL: empty or null, which leaves the default */
    int line;   /* from 1 */
} cm_config_entry_t;

typedef struct cm_config {
    char *name; /* of the file, as errors show it */
    cm_config_entry_t *entries;
    size_t count;
} cm_config_t;

#define CM_CONFIG_INIT ((cm_config_t){NULL, NULL, 0})

/* A table whose keys the file may hold. */
typedef struct cm_config_table {
    const cm_option_t *options; /* NULL: none */
    cm_option_values_t *values; /* NULL: its keys are checked, but set nothing in this run */
} cm_config_table_t;

enum { CM_CONFIG_BYTES = 1 << 20, CM_CONFIG_DEPTH = 16 };

/* Reads a file. CM_EINPUT when it cannot be read, CM_EUSAGE with file and line when it is not such
 * a configuration, for example because a key stands there twice. */
int cm_config_read(cm_config_t *config, const char *path, cm_err_t *err);

/* The same from memory; `name` stands for the file in errors. */
int cm_config_parse(cm_config_t *config, cm_str_t text, const char *name, cm_err_t *err);

/* Sets the options of the tables from the entries. A key that no table has, and a value that does
 * not fit its option, is CM_EUSAGE with file, line and the nearest known key. */
int cm_config_apply(const cm_config_t *config, const cm_config_table_t *tables, size_t table_count,
                    cm_err_t *err);

void cm_config_free(cm_config_t *config);

#endif
