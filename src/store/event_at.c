#include "store/event_at.h"

int cm_store_event_at(cm_reader_t *reader, const cm_columns_t *columns, uint32_t row,
                      cm_event_t *event, cm_event_room_t *room, cm_err_t *err)
{
    cm_str_t *const texts[CM_FIELD_COUNT] = {
        [CM_USER] = &event->user_id, [CM_URL] = &event->url,         [CM_COUNTRY] = &event->country,
        [CM_CITY] = &event->city,    [CM_BROWSER] = &event->browser, [CM_OS] = &event->os,
        [CM_DEVICE] = &event->device};
    int rc = 0;

    for (int field = 0; rc == 0 && field < CM_FIELD_COUNT; field++)
        rc = cm_reader_string(reader, (cm_field_t)field, columns->ids[field][row], texts[field],
                              err);
    event->timestamp = columns->time[row];
    event->row_key = (cm_str_t){NULL, 0};
    event->extra = cm_wide_at(&columns->wide, row, &room->extra) ? &room->extra : NULL;
    if (columns->keys[row].kind == CM_KEY_TEXT) {
        event->row_key = columns->keys[row].text;
    } else if (columns->keys[row].kind == CM_KEY_UUID) {
        cm_uuid_format(columns->keys[row].uuid, room->key);
        event->row_key = (cm_str_t){room->key, CM_UUID_TEXT};
    }
    return rc;
}
