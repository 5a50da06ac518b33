/* The values of messages: those in the wire format of a schema registry wait for their schemas and
 * become JSON text; those that are no events become dead letters. */
#include "base/clock.h"
#include "source/kafka/envelope.h"
#include "source/kafka/internal.h"

#include <stdio.h>

/* A batch ends here, so that a registry that answers slowly does not delay its commit. */
enum { READY_MS = 500 };

ssize_t cm_source_kafka_ready(cm_source_kafka_t *self, rd_kafka_message_t *const *messages,
                              size_t count, cm_err_t *err)
{
    const int64_t until = cm_clock_ticks_ns() + READY_MS * INT64_C(1000000);

    for (size_t i = 0; i < count && self->registry != NULL; i++) {
        const rd_kafka_message_t *message = messages[i];
        if (message->err != 0 || message->len == 0)
            continue;
        const uint32_t id = cm_kafka_registry_id((cm_str_t){message->payload, message->len});
        if (id == 0)
            continue;
        int rc = cm_kafka_registry_find(self->registry, id, err);
        if (rc < 0)
            return rc;
        if (rc == 0 || (i > 0 && cm_clock_ticks_ns() > until))
            return (ssize_t)i;
    }
    return (ssize_t)count;
}

/* The JSON text of a message: itself, or what its schema makes of it, in the memory of `arena`. */
static int find_text(cm_source_kafka_t *self, cm_str_t value, cm_arena_t *arena, cm_str_t *text,
                     cm_err_t *err)
{
    char *copy;

    *text = value;
    if (self->registry == NULL || cm_kafka_registry_id(value) == 0)
        return 0;
    int rc = cm_kafka_registry_text(self->registry, value, &self->scratch, text, err);
    if (rc < 0 || text->data != self->scratch.data)
        return rc; /* a part of the message, which has padding behind it */
    copy = cm_arena_alloc(arena, text->len + CM_EVENT_JSON_PADDING);
    memcpy(copy, text->data, text->len);
    memset(copy + text->len, 0, CM_EVENT_JSON_PADDING);
    text->data = copy;
    return 0;
}

void cm_source_kafka_reject(cm_source_kafka_t *self, cm_batch_t *batch,
                            const rd_kafka_message_t *message, cm_str_t value, const char *reason)
{
    const bool coded = cm_kafka_registry_id(value) != 0;
    char envelope[CM_ENVELOPE_TEXT], origin[300];

    if (!(coded && self->registry != NULL) && cm_envelope_name(value, envelope))
        reason = envelope;
    snprintf(origin, sizeof origin, "%s[%d]@%lld", self->client.settings->topic,
             (int)message->partition, (long long)message->offset);
    cm_batch_reject(batch, value, reason, origin);
    cm_dead_t *dead = &batch->dead[batch->dead_count - 1];
    /* The names of its fields, such as `ip`, cannot be seen, or are others. */
    dead->personal |= coded || cm_event_map_has(self->map, CM_MAP_ADDRESS);
    if (message->payload == NULL) /* a tombstone; a message of no bytes is something else */
        dead->payload.data = NULL;
    dead->key = (cm_str_t){NULL, 0};
    if (message->key != NULL)
        dead->key = cm_arena_copy(&batch->arena, (cm_str_t){message->key, message->key_len});
}

void cm_source_kafka_take(cm_source_kafka_t *self, cm_batch_t *batch,
                          const rd_kafka_message_t *message, cm_str_t value)
{
    cm_str_t json;
    cm_err_t why;

    int rc = find_text(self, value, &batch->arena, &json, &why);
    if (rc == 0)
        rc = cm_event_json_parse(self->json, json, &batch->arena, cm_batch_slot(batch),
                                 &batch->account.unknown_fields, &why);
    if (rc == 0)
        cm_batch_accept(batch);
    else if (rc > 0)
        cm_batch_skip_bot(batch, (cm_bot_kind_t)rc);
    else
        cm_source_kafka_reject(self, batch, message, value, why.text);
}
