#include "event/map.h"

#include <stdlib.h>

static const cm_str_t nine[CM_MAP_NINE] = {
    {"row_key", 7}, {"user_id", 7}, {"timestamp", 9}, {"url", 3},    {"country", 7},
    {"city", 4},    {"browser", 7}, {"os", 2},        {"device", 6},
};

struct cm_event_map {
    /* By field: the path of its member. Without data: the map does not name it; of no length: it is
     * not read. */
    cm_str_t paths[CM_MAP_FIELDS];
    cm_arena_t arena; /* of the paths */
};

const cm_option_t cm_event_map_options[] = {
    {.name = "map",
     .type = CM_OPT_MAP,
     .arg = "FIELD=MEMBER",
     .key = "event.map",
     .help = "a field of the event and the member or column of the messages that gives it, with "
             "dots where it is inside objects; none: the field is not read"},
    {.name = NULL},
};

const char *cm_event_field_name(unsigned field)
{
    if (field < CM_MAP_NINE)
        return nine[field].data;
    if (field < CM_MAP_STORED)
        return cm_extra_names[field - CM_MAP_NINE];
    return field == CM_MAP_ADDRESS ? "ip" : "user_agent";
}

/* The field whose own name this is. */
static unsigned find_own(cm_str_t name)
{
    for (unsigned i = 0; i < CM_MAP_NINE; i++) {
        if (cm_str_equal(name, nine[i]))
            return i;
    }
    const cm_extra_field_t extra = cm_extra_find(name);
    if (extra != CM_EXTRA_COUNT)
        return CM_MAP_NINE + (unsigned)extra;
    if (cm_str_equal(name, CM_STR("ip")) || cm_str_equal(name, CM_STR("address")))
        return CM_MAP_ADDRESS;
    if (cm_str_equal(name, CM_STR("user_agent")) || cm_str_equal(name, CM_STR("userAgent")))
        return CM_MAP_AGENT;
    return CM_MAP_NONE;
}

unsigned cm_event_map_field(const cm_event_map_t *map, cm_str_t path)
{
    for (unsigned i = 0; map != NULL && i < CM_MAP_FIELDS; i++) {
        if (map->paths[i].len > 0 && cm_str_equal(path, map->paths[i]))
            return i;
    }
    const unsigned own = find_own(path);
    return own != CM_MAP_NONE && cm_event_map_has(map, own) ? CM_MAP_NONE : own;
}

bool cm_event_map_is_parent(const cm_event_map_t *map, cm_str_t path)
{
    for (unsigned i = 0; map != NULL && i < CM_MAP_FIELDS; i++) {
        const cm_str_t whole = map->paths[i];
        if (whole.len > path.len && whole.data[path.len] == '.' &&
            memcmp(whole.data, path.data, path.len) == 0)
            return true;
    }
    return false;
}

bool cm_event_map_has(const cm_event_map_t *map, unsigned field)
{
    return map != NULL && map->paths[field].data != NULL;
}

cm_str_t cm_event_map_path(const cm_event_map_t *map, unsigned field)
{
    return cm_event_map_has(map, field) ? map->paths[field] : cm_str(cm_event_field_name(field));
}

/* ---- making ---- */

static int take_pair(cm_event_map_t *map, const cm_option_pair_t *pair, cm_err_t *err)
{
    const unsigned field = find_own(cm_str(pair->name));
    const cm_str_t path = cm_str_trim(cm_str(pair->text));

    if (field == CM_MAP_NONE)
        return cm_fail(err, CM_EUSAGE,
                       "%s: %.60s is not a field of events; docs/contract.md lists them",
                       pair->where, pair->name);
    if (path.len == 0 || path.len > CM_EVENT_MAP_PATH)
        return cm_fail(err, CM_EUSAGE,
                       "%s: it must be the name of a member, or none; at most %d bytes",
                       pair->where, CM_EVENT_MAP_PATH);
    map->paths[field] = cm_arena_copy(&map->arena, path);
    if (cm_str_equal(path, CM_STR("none")))
        map->paths[field].len = 0;
    return 0;
}

/* A member that gives two fields would be read twice, with the rules of both. */
static int check_twins(const cm_event_map_t *map, cm_err_t *err)
{
    for (unsigned i = 0; i < CM_MAP_FIELDS; i++) {
        const cm_str_t path = cm_event_map_path(map, i);
        for (unsigned k = 0; k < i && path.len > 0; k++) {
            if (cm_str_equal(path, cm_event_map_path(map, k)))
                return cm_fail(err, CM_EUSAGE,
                               "event.map: %.*s gives both %s and %s; map one of them to another "
                               "member, or to none",
                               (int)path.len, path.data, cm_event_field_name(k),
                               cm_event_field_name(i));
        }
    }
    return 0;
}

int cm_event_map_new(const cm_option_map_t *given, cm_event_map_t **map, cm_err_t *err)
{
    cm_event_map_t *made;
    int rc = 0;

    *map = NULL;
    if (given->count == 0)
        return 0;
    made = cm_alloc_zero(1, sizeof *made);
    for (size_t i = 0; i < given->count && rc == 0; i++)
        rc = take_pair(made, &given->pairs[i], err);
    if (rc == 0)
        rc = check_twins(made, err);
    if (rc < 0)
        cm_event_map_free(made);
    else
        *map = made;
    return rc;
}

void cm_event_map_free(cm_event_map_t *map)
{
    if (map == NULL)
        return;
    cm_arena_free(&map->arena);
    free(map);
}

void cm_event_map_explain(const cm_event_map_t *map, cm_err_t *err)
{
    if (map == NULL || err == NULL)
        return;
    const cm_err_t why = *err;
    const cm_str_t name = {why.text, strcspn(why.text, " :")};
    for (unsigned i = 0; i < CM_MAP_STORED; i++) {
        if (!cm_event_map_has(map, i) || !cm_str_equal(name, cm_str(cm_event_field_name(i))))
            continue;
        const cm_str_t path = cm_event_map_path(map, i);
        (void)cm_fail(err, why.code, "%.400s (event.map: %.*s)", why.text,
                      (int)(path.len < 80 ? path.len : 80), path.len > 0 ? path.data : "");
        return;
    }
}
