/* Events from the columns of a block, with their strings. One thread, that of the reader. */
#ifndef CM_STORE_EVENT_AT_H
#define CM_STORE_EVENT_AT_H

#include "store/store.h"

/* The places of an event's strings, by field. */
void cm_store_event_strings(cm_event_t *event, cm_str_t *strings[CM_FIELD_COUNT]);

/* The row key of a row: of the columns, or of `key`, which holds the text of one that is stored as
 * a UUID. Empty where the row has none. */
cm_str_t cm_store_row_key_at(const cm_columns_t *columns, uint32_t row, char key[CM_UUID_TEXT]);

/* The event of a row; its strings are valid as long as the reader, the columns and `key`, which
 * holds the text of a row key that is stored as a UUID. */
int cm_store_event_at(cm_reader_t *reader, const cm_columns_t *columns, uint32_t row,
                      cm_event_t *event, char key[CM_UUID_TEXT], cm_err_t *err);

#endif
