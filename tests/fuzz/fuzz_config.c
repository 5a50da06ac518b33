/* The configuration: what is read has each key once and a line for it, and sets options of every
 * type only to what their table allows. */
#include "base/config.h"
#include "fuzz.h"

#include <math.h>

typedef struct settings {
    bool flag;
    int64_t count, wait, size;
    double rate;
    const char *name;
    int choice;
} settings_t;

#define FIELD(field) offsetof(settings_t, field)

static const cm_option_t table[] = {
    {.name = "flag", .type = CM_OPT_FLAG, .offset = FIELD(flag), .key = "flag"},
    {.name = "count",
     .type = CM_OPT_INT,
     .offset = FIELD(count),
     .def = "7",
     .min = 1,
     .max = 100,
     .key = "a.count"},
    {.name = "rate",
     .type = CM_OPT_REAL,
     .offset = FIELD(rate),
     .def = "1",
     .min = 0,
     .max = INFINITY,
     .key = "a.rate"},
    {.name = "name", .type = CM_OPT_TEXT, .offset = FIELD(name), .def = "x", .key = "a.b.name"},
    {.name = "choice",
     .type = CM_OPT_CHOICE,
     .offset = FIELD(choice),
     .def = "auto",
     .choices = "auto|jsonl|csv",
     .key = "choice"},
    {.name = "wait", .type = CM_OPT_DURATION, .offset = FIELD(wait), .def = "5s", .key = "wait"},
    {.name = "size", .type = CM_OPT_SIZE, .offset = FIELD(size), .def = "64k", .key = "size"},
    {0},
};

static void check_entries(const cm_config_t *config, cm_str_t text)
{
    int lines = 1;

    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n' || text.data[i] == '\r' || (uint8_t)text.data[i] >= 0x80;
    for (size_t i = 0; i < config->count; i++) {
        const cm_config_entry_t *entry = &config->entries[i];
        FUZZ_CHECK(cm_utf8_valid(entry->key, strlen(entry->key)));
        FUZZ_CHECK(entry->text == NULL || cm_utf8_valid(entry->text, strlen(entry->text)));
        FUZZ_CHECK(entry->line >= 1 && entry->line <= lines);
        for (size_t j = 0; j < i; j++)
            FUZZ_CHECK(strcmp(entry->key, config->entries[j].key) != 0);
    }
}

static void check_apply(const cm_config_t *config)
{
    settings_t settings = {0};
    cm_option_values_t values = CM_OPTION_VALUES_INIT;
    cm_err_t err = {0};

    FUZZ_CHECK(cm_options_defaults(table, &settings, &values, &err) == 0);
    const cm_config_table_t tables[] = {{table, NULL}, {table, &values}};
    int rc = cm_config_apply(config, tables, 2, &err);
    if (rc < 0)
        fuzz_check_refusal(rc, CM_EUSAGE, &err);
    FUZZ_CHECK(settings.count >= 1 && settings.count <= 100);
    FUZZ_CHECK(settings.rate >= 0);
    FUZZ_CHECK(settings.choice >= 0 && settings.choice <= 2);
    FUZZ_CHECK(settings.wait >= 0 && settings.size >= 0);
    FUZZ_CHECK(settings.name != NULL && strlen(settings.name) < SIZE_MAX);
    cm_options_free(&values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(data, size, 0, 0);
    cm_str_t text = {copy, size};
    cm_config_t config;
    cm_err_t err = {0};

    int rc = cm_config_parse(&config, text, "c.yaml", &err);
    if (rc == 0) {
        check_entries(&config, text);
        check_apply(&config);
        cm_config_free(&config);
    } else {
        fuzz_check_refusal(rc, CM_EUSAGE, &err);
        FUZZ_CHECK(config.count == 0 && config.entries == NULL && config.name == NULL);
    }
    free(copy);
    return 0;
}
