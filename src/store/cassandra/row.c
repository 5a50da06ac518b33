#include "store/cassandra/row.h"

#include "event/props.h"

/* ---- a map<text, text> (native protocol v4, section 6.14): a number of pairs, and each part of a
 * pair after its length; numbers of 4 bytes, big-endian ---- */

static void add_int(cm_buf_t *buf, size_t value)
{
    const uint32_t big = __builtin_bswap32((uint32_t)value);
    cm_buf_add_str(buf, (cm_str_t){(const char *)&big, sizeof big});
}

static bool take_int(cm_str_t *rest, size_t *value)
{
    if (rest->len < 4)
        return false;
    const int32_t number = cm_cql_get_i32((cm_str_t){rest->data, 4});
    *rest = (cm_str_t){rest->data + 4, rest->len - 4};
    *value = (size_t)number;
    return number >= 0;
}

static bool take_text(cm_str_t *rest, cm_str_t *text)
{
    size_t len;

    if (!take_int(rest, &len) || rest->len < len)
        return false;
    *text = (cm_str_t){rest->data, len};
    *rest = (cm_str_t){rest->data + len, rest->len - len};
    return true;
}

/* ---- writing ---- */

static cm_str_t add_props(cm_str_t props, cm_store_cassandra_row_room_t *room)
{
    cm_buf_t *map = &room->map, value = CM_BUF_INIT;
    uint32_t count = 0;
    cm_prop_t prop;

    cm_buf_clear(map);
    cm_arena_reset(&room->strings);
    add_int(map, 0);
    for (; cm_props_next(&props, &room->strings, &prop); count++) {
        add_int(map, prop.key.len);
        cm_buf_add_str(map, prop.key);
        cm_buf_clear(&value);
        cm_prop_add_value(&value, &prop);
        add_int(map, value.len);
        cm_buf_add_str(map, (cm_str_t){value.data, value.len});
    }
    cm_buf_free(&value);
    count = __builtin_bswap32(count);
    memcpy(map->data, &count, sizeof count);
    return (cm_str_t){map->data, map->len};
}

static void add_extra(const cm_event_extra_t *extra, cm_store_cassandra_row_room_t *room,
                      cm_cql_value_t values[CM_EXTRA_COUNT])
{
    for (int i = 0; i < CM_EXTRA_TEXTS; i++)
        values[i] = cm_cql_text(extra->text[i]);
    values[CM_EXTRA_PROPS] = cm_cql_text(add_props(extra->text[CM_EXTRA_PROPS], room));
    values[CM_EXTRA_ENGAGED] =
        extra->engaged_ms >= 0 ? cm_cql_i32(extra->engaged_ms) : cm_cql_unset();
}

int cm_store_cassandra_row_values(const cm_cassandra_settings_t *settings, const cm_event_t *event,
                                  cm_str_t row_key, cm_store_cassandra_row_room_t *room,
                                  cm_cql_value_t values[CM_CASSANDRA_COLUMNS])
{
    static const cm_event_extra_t none = {.engaged_ms = -1};
    const cm_cql_value_t nine[CM_CASSANDRA_NINE] = {
        cm_cql_text(row_key),        cm_cql_text(event->user_id), cm_cql_i64(event->timestamp),
        cm_cql_text(event->url),     cm_cql_text(event->country), cm_cql_text(event->city),
        cm_cql_text(event->browser), cm_cql_text(event->os),      cm_cql_text(event->device),
    };

    memcpy(values, nine, sizeof nine);
    if (settings->extended)
        add_extra(event->extra != NULL ? event->extra : &none, room, values + CM_CASSANDRA_NINE);
    return cm_cassandra_column_count(settings);
}

void cm_store_cassandra_row_room_free(cm_store_cassandra_row_room_t *room)
{
    cm_buf_free(&room->map);
    cm_arena_free(&room->strings);
}

/* ---- reading ---- */

static int read_props(cm_str_t map, cm_arena_t *arena, cm_str_t *props, cm_err_t *err)
{
    size_t count = 0;
    cm_str_t value;

    *props = (cm_str_t){NULL, 0};
    if (map.len == 0)
        return 0;
    /* A pair takes 8 bytes at least. */
    if (!take_int(&map, &count) || count > map.len / 8)
        return cm_fail(err, CM_EREJECT, "props is not a map");
    if (count == 0)
        return 0;
    cm_prop_t *read = cm_arena_alloc(arena, count * sizeof *read);
    for (size_t i = 0; i < count; i++) {
        if (!take_text(&map, &read[i].key) || !take_text(&map, &value))
            return cm_fail(err, CM_EREJECT, "props is not a map");
        int rc = cm_prop_read_value(value, arena, &read[i], err);
        if (rc < 0)
            return rc;
    }
    return cm_props_make(read, count, arena, props, err);
}

/* The engaged time of a row that has another name now is left from an earlier event. */
static int read_extra(const cm_str_t cells[CM_EXTRA_COUNT], cm_arena_t *arena, cm_event_t *event,
                      cm_err_t *err)
{
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
    const cm_str_t engaged = cells[CM_EXTRA_ENGAGED];

    for (int i = 0; i < CM_EXTRA_PROPS; i++)
        extra.text[i] = cells[i];
    int rc = read_props(cells[CM_EXTRA_PROPS], arena, &extra.text[CM_EXTRA_PROPS], err);
    if (rc == 0 && engaged.len == 4 && cm_str_equal(cells[CM_EXTRA_NAME], CM_STR("engagement")))
        rc = cm_event_extra_set_engaged(&extra, cm_cql_get_i32(engaged), err);
    event->extra = cm_event_extra_keep(&extra, arena);
    return rc;
}

int cm_store_cassandra_row_read(const cm_cassandra_settings_t *settings, const cm_str_t *cells,
                                cm_arena_t *arena, cm_event_t *event, cm_err_t *err)
{
    int rc = 0;

    *event = (cm_event_t){.row_key = cells[0],
                          .user_id = cells[1],
                          .timestamp = cm_cql_get_i64(cells[2]),
                          .url = cells[3],
                          .country = cells[4],
                          .city = cells[5],
                          .browser = cells[6],
                          .os = cells[7],
                          .device = cells[8]};
    cm_event_complete(event);
    if (settings->extended)
        rc = read_extra(cells + CM_CASSANDRA_NINE, arena, event, err);
    return rc < 0 ? rc : cm_event_check(event, true, err);
}
