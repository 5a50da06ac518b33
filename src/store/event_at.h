/* Events from the columns of a block, with their strings. One thread, that of the reader. */
#ifndef CM_STORE_EVENT_AT_H
#define CM_STORE_EVENT_AT_H

#include "store/store.h"

/* The places of an event's strings, by field. */
void cm_store_event_strings(cm_event_t *event, cm_str_t *strings[CM_FIELD_COUNT]);

/* The row key of a row: of the columns, or of `key`, which holds the text of one that is stored as
 * a UUID. Empty where the row has none. */
cm_str_t cm_store_row_key_at(const cm_columns_t *columns, uint32_t row, char key[CM_UUID_TEXT]);

/* What an event of a row points to. */
typedef struct cm_store_room {
    char key[CM_UUID_TEXT]; /* the text of a row key that is stored as a UUID */
    cm_event_extra_t extra;
} cm_store_room_t;

/* The event of a row; it is valid as long as the reader, the columns and `room`. It has its
 * optional fields where CM_READ_EXTRA was read. */
int cm_store_event_at(cm_reader_t *reader, const cm_columns_t *columns, uint32_t row,
                      cm_event_t *event, cm_store_room_t *room, cm_err_t *err);

#endif
