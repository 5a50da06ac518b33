#include "store/event_at.h"

void cm_store_event_strings(cm_event_t *event, cm_str_t *strings[CM_FIELD_COUNT])
{
    strings[CM_USER] = &event->user_id;
    strings[CM_URL] = &event->url;
    strings[CM_COUNTRY] = &event->country;
    strings[CM_CITY] = &event->city;
    strings[CM_BROWSER] = &event->browser;
    strings[CM_OS] = &event->os;
    strings[CM_DEVICE] = &event->device;
}

cm_str_t cm_store_row_key_at(const cm_columns_t *columns, uint32_t row, char key[CM_UUID_TEXT])
{
    switch (columns->keys[row].kind) {
    case CM_KEY_TEXT:
        return columns->keys[row].text;
    case CM_KEY_UUID:
        cm_uuid_format(columns->keys[row].uuid, key);
        return (cm_str_t){key, CM_UUID_TEXT};
    default:
        return (cm_str_t){NULL, 0};
    }
}

int cm_store_event_at(cm_reader_t *reader, const cm_columns_t *columns, uint32_t row,
                      cm_event_t *event, cm_store_room_t *room, cm_err_t *err)
{
    cm_str_t *strings[CM_FIELD_COUNT];
    int rc = 0;

    cm_store_event_strings(event, strings);
    for (int field = 0; rc == 0 && field < CM_FIELD_COUNT; field++)
        rc = cm_reader_string(reader, (cm_field_t)field, columns->ids[field][row], strings[field],
                              err);
    event->timestamp = columns->time[row];
    event->row_key = cm_store_row_key_at(columns, row, room->key);
    event->extra = cm_wide_at(&columns->wide, row, &room->extra) ? &room->extra : NULL;
    return rc;
}
