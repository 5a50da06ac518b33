#include "kafka/registry.h"

#include "base/clock.h"
#include "kafka/registry_schema.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    PREFIX = 5, /* bytes: 0, and the schema's id */
    SLOTS_FIRST = 64,
    SCHEMAS_MOST = 65536, /* with more, those that have expired are forgotten */
};

struct cm_kafka_registry {
    const cm_kafka_settings_t *settings;
    cm_kafka_fetch_t fetch;
    cm_json_parser_t *parser;
    cm_kafka_schema_job_t job;
    cm_kafka_schema_t **slots; /* hash table by id */
    size_t cap, count;         /* cap: a power of two */
};

int cm_kafka_registry_open(const cm_kafka_settings_t *settings, cm_kafka_registry_t **registry,
                           cm_err_t *err)
{
    cm_kafka_registry_t *self = cm_alloc_zero(1, sizeof *self);

    self->settings = settings;
    self->cap = SLOTS_FIRST;
    self->slots = cm_alloc_zero(self->cap, sizeof *self->slots);
    self->parser = cm_json_parser_new();
    int rc = cm_kafka_fetch_open(&self->fetch, settings, err);
    if (rc < 0)
        cm_kafka_registry_close(self);
    else
        *registry = self;
    return rc;
}

static void free_schema(cm_kafka_schema_t *schema)
{
    cm_kafka_avro_free(schema->avro);
    free(schema->refused);
    free(schema);
}

void cm_kafka_registry_close(cm_kafka_registry_t *self)
{
    if (self == NULL)
        return;
    cm_kafka_schema_drop(&self->job, &self->fetch);
    cm_kafka_fetch_close(&self->fetch);
    for (size_t i = 0; i < self->cap; i++) {
        if (self->slots[i] != NULL)
            free_schema(self->slots[i]);
    }
    free(self->slots);
    cm_json_parser_free(self->parser);
    free(self);
}

uint32_t cm_kafka_registry_id(cm_str_t value)
{
    uint32_t id = 0;

    if (value.len <= PREFIX || value.data[0] != 0)
        return 0;
    for (size_t i = 1; i < PREFIX; i++)
        id = id << 8 | (unsigned char)value.data[i];
    return id <= INT32_MAX ? id : 0;
}

/* ---- the table ---- */

/* The slot of the id, or the free slot where it belongs. Ids are counted up by the registry, so
 * their last bits are hash enough. */
static cm_kafka_schema_t **slot_of(const cm_kafka_registry_t *self, uint32_t id)
{
    size_t at = id & (self->cap - 1);

    while (self->slots[at] != NULL && self->slots[at]->id != id)
        at = (at + 1) & (self->cap - 1);
    return &self->slots[at];
}

/* Moves all schemas into a table of this size, without those that have expired when `all` is not
 * set. */
static void rebuild(cm_kafka_registry_t *self, size_t cap, bool all)
{
    cm_kafka_schema_t **old = self->slots;
    const size_t old_cap = self->cap;
    const int64_t now = cm_clock_ticks_ns();

    self->slots = cm_alloc_zero(cap, sizeof *self->slots);
    self->cap = cap;
    self->count = 0;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i] == NULL)
            continue;
        if (!all && old[i]->expires_ns != 0 && old[i]->expires_ns <= now) {
            free_schema(old[i]);
            continue;
        }
        *slot_of(self, old[i]->id) = old[i];
        self->count++;
    }
    free(old);
}

static void keep(cm_kafka_registry_t *self, const cm_kafka_schema_t *schema)
{
    if (self->count >= SCHEMAS_MOST)
        rebuild(self, self->cap, false);
    if (self->count * 2 >= self->cap)
        rebuild(self, self->cap * 2, true);
    cm_kafka_schema_t **slot = slot_of(self, schema->id);
    if (*slot != NULL)
        free_schema(*slot);
    else
        self->count++;
    *slot = cm_alloc(sizeof **slot);
    **slot = *schema;
}

/* ---- what is asked ---- */

int cm_kafka_registry_find(cm_kafka_registry_t *self, uint32_t id, cm_err_t *err)
{
    const cm_kafka_schema_t *known = *slot_of(self, id);
    cm_kafka_schema_t schema;

    if (known != NULL && (known->expires_ns == 0 || known->expires_ns > cm_clock_ticks_ns()))
        return 1;
    int rc = cm_kafka_schema_get(&self->job, &self->fetch, self->parser, id,
                                 CM_KAFKA_REGISTRY_WAIT_MS, &schema, err);
    if (rc == 1) {
        keep(self, &schema);
        cm_debug(self->settings->log, CM_DEBUG_KAFKA, "schema", "id=%" PRIu32 " is=%s", id,
                 schema.refused != NULL ? schema.refused
                 : schema.is_json       ? "JSON"
                                        : "Avro");
    }
    return rc;
}

int cm_kafka_registry_wait(cm_kafka_registry_t *self, uint32_t id, int64_t limit_ms, cm_err_t *err)
{
    const int64_t until = cm_clock_ticks_ns() + limit_ms * INT64_C(1000000);

    for (;;) {
        int rc = cm_kafka_registry_find(self, id, err);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        if (self->settings->stop != NULL && atomic_load(self->settings->stop))
            return cm_fail(err, CM_ESTOP, "stopped while waiting for the schema registry");
        if (cm_clock_ticks_ns() >= until)
            return cm_fail(err, CM_EAWAY, "the schema registry does not answer (%s)",
                           self->fetch.trouble[0] != '\0' ? self->fetch.trouble : "it is slow");
    }
}

int cm_kafka_registry_check(const cm_kafka_settings_t *settings, cm_err_t *err)
{
    cm_kafka_registry_t *registry = NULL;

    int rc = cm_kafka_registry_open(settings, &registry, err);
    if (rc == 0)
        rc = cm_kafka_registry_wait(registry, 1, settings->timeout_ms, err);
    cm_kafka_registry_close(registry);
    return rc < 0 ? rc : 0;
}

int cm_kafka_registry_text(const cm_kafka_registry_t *self, cm_str_t value, cm_buf_t *scratch,
                           cm_str_t *text, cm_err_t *err)
{
    const uint32_t id = cm_kafka_registry_id(value);
    const cm_kafka_schema_t *schema = *slot_of(self, id);
    const cm_str_t body = {value.data + PREFIX, value.len - PREFIX};
    cm_err_t why;

    if (schema == NULL)
        return cm_fail(err, CM_EREJECT, "schema %" PRIu32 " was not asked for", id);
    if (schema->refused != NULL)
        return cm_fail(err, CM_EREJECT, "%s", schema->refused);
    *text = body;
    if (schema->is_json)
        return 0;
    cm_buf_clear(scratch);
    if (cm_kafka_avro_decode(schema->avro, body, scratch, &why) < 0)
        return cm_fail(err, CM_EREJECT, "schema %" PRIu32 ": %s", id, why.text);
    *text = (cm_str_t){scratch->data, scratch->len};
    return 0;
}

const char *cm_kafka_registry_trouble(const cm_kafka_registry_t *self)
{
    return self->fetch.trouble[0] != '\0' ? self->fetch.trouble : NULL;
}
