/* Which member of a message gives which field of an event.
 *
 * Without a map a member gives the field of its name. A map (`event.map` of the configuration)
 * names other members: `user_id: userId`, `props: page.attributes` for a member of an object,
 * `name: none` for a field that is not read. A map owns its strings' copies, and does not change
 * once it is made: any thread may use it. */
#ifndef CM_EVENT_MAP_H
#define CM_EVENT_MAP_H

#include "base/options.h"
#include "event/extra.h"

/* The fields of a message, in the contract's order; the optional ones begin at CM_MAP_NINE, in
 * the order of cm_extra_field_t. */
enum {
    CM_MAP_ROW_KEY,
    CM_MAP_USER_ID,
    CM_MAP_TIMESTAMP,
    CM_MAP_URL,
    CM_MAP_COUNTRY,
    CM_MAP_CITY,
    CM_MAP_BROWSER,
    CM_MAP_OS,
    CM_MAP_DEVICE,
    CM_MAP_NINE,
    CM_MAP_STORED = CM_MAP_NINE + CM_EXTRA_COUNT, /* those before it are kept in events */
    CM_MAP_ADDRESS = CM_MAP_STORED,
    CM_MAP_AGENT,
    CM_MAP_FIELDS,
    CM_MAP_NONE = CM_MAP_FIELDS, /* not in the contract */
};

/* Bytes of a path at most. */
enum { CM_EVENT_MAP_PATH = 256 };

typedef struct cm_event_map cm_event_map_t;

/* The option `--map`, for a cm_option_map_t. */
extern const cm_option_t cm_event_map_options[];

/* Makes a map; NULL where nothing is mapped. CM_EUSAGE for a name that is no field, for an empty
 * path, and for a member that would give two fields. The caller frees it. */
int cm_event_map_new(const cm_option_map_t *given, cm_event_map_t **map, cm_err_t *err);

void cm_event_map_free(cm_event_map_t *map);

/* The name of a field before CM_MAP_FIELDS; a constant. */
const char *cm_event_field_name(unsigned field);

/* The field that a member gives, by the names on the way to it, with dots between them;
 * CM_MAP_NONE when it gives none. In this and all below, `map` may be NULL. */
unsigned cm_event_map_field(const cm_event_map_t *map, cm_str_t path);

/* Whether a member inside this one gives a field. */
bool cm_event_map_is_parent(const cm_event_map_t *map, cm_str_t path);

/* Whether the map says where the field comes from, or that it is not read. */
bool cm_event_map_has(const cm_event_map_t *map, unsigned field);

/* The path of the member that gives the field, for messages; empty when none does. */
cm_str_t cm_event_map_path(const cm_event_map_t *map, unsigned field);

/* Adds to the reason why a message is no event from where the map takes the field that the reason
 * begins with: `user_id is missing or empty (event.map: userId)`. Nothing where the map has no such
 * field. `err` may be NULL. */
void cm_event_map_explain(const cm_event_map_t *map, cm_err_t *err);

#endif
