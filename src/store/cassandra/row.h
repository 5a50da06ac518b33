/* An event as a row of Cassandra's table: the values to write, and the cells that are read.
 *
 * A row of the nine columns is a page view. In an extended table (cassandra.extended) an optional
 * field that is absent is written as an empty text, not as a null: a later event then replaces the
 * whole row, and the table gets no tombstone for each of them. `props` is written as a whole map,
 * which replaces the one before. `engaged_ms` is the exception: it is written for engagement only,
 * and belongs to a row only while the row's name says so. Any thread. */
#ifndef CM_STORE_CASSANDRA_ROW_H
#define CM_STORE_CASSANDRA_ROW_H

#include "cassandra/schema.h"
#include "event/event.h"

/* What the values of a row point to; reused from row to row. */
typedef struct cm_store_cassandra_row_room {
    cm_buf_t map; /* the encoded props */
    cm_arena_t strings;
} cm_store_cassandra_row_room_t;

/* Fills `values` with those of the columns that the settings say, in their order; `room` is needed
 * for optional fields and keeps what they point to. Returns how many there are. */
int cm_store_cassandra_row_values(const cm_cassandra_settings_t *settings, const cm_event_t *event,
                                  cm_str_t row_key, cm_store_cassandra_row_room_t *room,
                                  cm_cql_value_t values[CM_CASSANDRA_COLUMNS]);

void cm_store_cassandra_row_room_free(cm_store_cassandra_row_room_t *room);

/* The event of a row's cells, completed and checked. Its strings are slices of the cells, its
 * optional fields are in `arena`. 0, or CM_EREJECT with the broken rule. */
int cm_store_cassandra_row_read(const cm_cassandra_settings_t *settings, const cm_str_t *cells,
                                cm_arena_t *arena, cm_event_t *event, cm_err_t *err);

#endif
