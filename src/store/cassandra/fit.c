/* What a table of nine columns keeps of a batch: page views, without their optional fields. */
#include "store/cassandra/internal.h"

#include <stdio.h>

/* In the table it would turn into a page view. */
static void reject_event(cm_batch_t *batch, const cm_event_t *event,
                         const cm_cassandra_settings_t *settings)
{
    const cm_str_t name = cm_event_name(event);
    char reason[CM_ERR_TEXT], origin[300], derived[CM_UUID_TEXT];
    const cm_str_t key = cm_event_row_key(event, derived);
    cm_buf_t json = CM_BUF_INIT;

    snprintf(reason, sizeof reason, "an event with the name %.*s needs cassandra.extended",
             (int)name.len, name.data);
    snprintf(origin, sizeof origin, "%s.%s[%.*s]", settings->keyspace, settings->table,
             (int)key.len, key.data);
    cm_event_add_json(&json, event);
    cm_batch_reject(batch, (cm_str_t){json.data, json.len}, reason, origin);
    cm_buf_free(&json);
    batch->account.read--; /* it was read as an event already */
    batch->account.accepted--;
}

static void drop_fields(cm_batch_t *batch, cm_event_t *event)
{
    for (int i = 0; i < CM_EXTRA_TEXTS; i++)
        batch->account.lost[i] += event->extra->text[i].len > 0;
    event->extra = NULL;
}

void cm_store_cassandra_fit(const cm_store_t *store, cm_batch_t *batch)
{
    const cm_cassandra_settings_t *settings = ((const cm_store_cassandra_t *)store)->settings;
    size_t kept = 0;

    if (settings->extended)
        return;
    for (size_t i = 0; i < batch->count; i++) {
        cm_event_t *event = &batch->events[i];
        if (!cm_event_is_view(event)) {
            reject_event(batch, event, settings);
            continue;
        }
        if (event->extra != NULL)
            drop_fields(batch, event);
        batch->events[kept++] = *event;
    }
    batch->count = kept;
}
