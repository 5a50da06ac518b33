/* Events from the columns of a block, with their strings. One thread, that of the reader. */
#ifndef CM_STORE_EVENT_AT_H
#define CM_STORE_EVENT_AT_H

#include "store/store.h"

/* The event of a row; its strings are valid as long as the reader, the columns and `key`, which
 * holds the text of a row key that is stored as a UUID. */
int cm_store_event_at(cm_reader_t *reader, const cm_columns_t *columns, uint32_t row,
                      cm_event_t *event, char key[CM_UUID_TEXT], cm_err_t *err);

#endif
