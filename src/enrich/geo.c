#include "enrich/geo.h"

#include "base/address.h"
#include "base/clock.h"
#include "base/put.h"
#include "enrich/countries.h"
#include "enrich/geo_database.h"
#include "event/event.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    LOOK_NS = 1000 * 1000 * 1000, /* how often the file is checked */
    RECORDS = 4096,               /* that a reader caches */
};

/* Changes whenever the file is replaced or written. */
typedef struct file_state {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
} file_state_t;

struct cm_geo {
    char *path; /* NULL: built in */
    const cm_log_t *log;
    _Atomic int64_t looked_ns;
    atomic_uint generation; /* changes with `database` */
    pthread_mutex_t lock;   /* guards the members below */
    cm_geo_database_t *database;
    file_state_t state; /* of the file that was opened last, or failed to */
};

/* A decoded record of the database; many addresses share one. */
typedef struct record {
    uint32_t key;                             /* its offset in the database plus 1; 0: free */
    uint16_t country, region, city, iso_code; /* lengths */
    uint16_t cap;
    char *text; /* the four strings, one after the other */
} record_t;

struct cm_geo_reader {
    cm_geo_t *geo;
    cm_geo_database_t *database;
    unsigned generation;
    record_t records[RECORDS]; /* by hash: a record has one slot where it may be */
};

/* ---- the database and its file ---- */

static bool state_of(const char *path, file_state_t *state)
{
    struct stat stat_of;

    if (stat(path, &stat_of) != 0)
        return false;
    *state = (file_state_t){stat_of.st_dev, stat_of.st_ino, stat_of.st_size, stat_of.st_mtim};
    return true;
}

static bool same_state(const file_state_t *a, const file_state_t *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

int cm_geo_open(const char *path, const cm_log_t *log, cm_geo_t **geo, cm_err_t *err)
{
    cm_geo_database_t *database;
    file_state_t state = {0};

    /* The state is read first, so that a change before the opening is noticed later. */
    if (path != NULL)
        state_of(path, &state);
    int rc = cm_geo_database_open(path, &database, err);
    if (rc < 0)
        return rc;
    cm_geo_t *opened = cm_alloc_zero(1, sizeof *opened);
    opened->path = path != NULL ? cm_strdup(path) : NULL;
    opened->log = log;
    opened->database = database;
    opened->state = state;
    atomic_init(&opened->looked_ns, cm_clock_ticks_ns());
    pthread_mutex_init(&opened->lock, NULL);
    *geo = opened;
    return 0;
}

void cm_geo_close(cm_geo_t *geo)
{
    if (geo == NULL)
        return;
    cm_geo_database_leave(geo->database);
    pthread_mutex_destroy(&geo->lock);
    free(geo->path);
    free(geo);
}

void cm_geo_refresh(cm_geo_t *geo)
{
    cm_geo_database_t *fresh, *old = NULL;
    file_state_t state;
    cm_err_t err;

    if (geo->path == NULL)
        return;
    pthread_mutex_lock(&geo->lock);
    /* A file that is missing is probably being replaced. */
    if (state_of(geo->path, &state) && !same_state(&state, &geo->state)) {
        geo->state = state;
        if (cm_geo_database_open(geo->path, &fresh, &err) == 0) {
            old = geo->database;
            geo->database = fresh;
            atomic_fetch_add(&geo->generation, 1);
            cm_log(geo->log, CM_LOG_INFO, "the GeoIP database has changed and was opened again",
                   "file=%s", geo->path);
        } else {
            cm_log(geo->log, CM_LOG_WARN,
                   "the GeoIP database has changed and cannot be used: the old one stays in use",
                   "error=\"%s\"", err.text);
        }
    }
    pthread_mutex_unlock(&geo->lock);
    cm_geo_database_leave(old);
}

static void look_at_file(cm_geo_t *geo)
{
    int64_t now = cm_clock_ticks_ns(), looked = atomic_load(&geo->looked_ns);

    if (now - looked >= LOOK_NS && atomic_compare_exchange_strong(&geo->looked_ns, &looked, now))
        cm_geo_refresh(geo);
}

/* ---- readers ---- */

cm_geo_reader_t *cm_geo_reader_new(cm_geo_t *geo)
{
    cm_geo_reader_t *reader = cm_alloc_zero(1, sizeof *reader);

    reader->geo = geo;
    return reader;
}

static void leave(cm_geo_reader_t *reader)
{
    cm_geo_database_leave(reader->database);
    reader->database = NULL;
    for (int i = 0; i < RECORDS; i++)
        reader->records[i].key = 0;
}

void cm_geo_reader_free(cm_geo_reader_t *reader)
{
    if (reader == NULL)
        return;
    leave(reader);
    for (int i = 0; i < RECORDS; i++)
        free(reader->records[i].text);
    free(reader);
}

/* Changes to the newest database, if the reader does not have it. */
static MMDB_s *newest(cm_geo_reader_t *reader)
{
    cm_geo_t *geo = reader->geo;

    if (geo->path != NULL)
        look_at_file(geo);
    if (reader->database == NULL || reader->generation != atomic_load(&geo->generation)) {
        leave(reader);
        pthread_mutex_lock(&geo->lock);
        reader->database = geo->database;
        atomic_fetch_add(&reader->database->users, 1);
        reader->generation = atomic_load(&geo->generation);
        pthread_mutex_unlock(&geo->lock);
    }
    return &reader->database->mmdb;
}

/* ---- records ---- */

/* The string at a path of keys; empty when there is none. If the database is broken and *status is
 * success, *status becomes the error. */
static cm_str_t text_at(MMDB_entry_s *entry, const char *const *path, int *status)
{
    MMDB_entry_data_s data;

    int rc = MMDB_aget_value(entry, &data, path);
    if (rc == MMDB_SUCCESS && data.has_data && data.type == MMDB_DATA_TYPE_UTF8_STRING)
        return (cm_str_t){data.utf8_string, data.data_size};
    if (rc != MMDB_SUCCESS && rc != MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR &&
        *status == MMDB_SUCCESS)
        *status = rc;
    return CM_STR("");
}

/* The string as the contract allows it: cut to the limit, and valid UTF-8. */
static cm_str_t proper(cm_str_t text, size_t limit)
{
    text.len = (size_t)cm_utf8_head(text, (int)limit);
    return cm_utf8_valid(text.data, text.len) ? text : CM_STR("");
}

/* Whether the whole record can be read. Reading only some parts would not notice broken ones. */
static int check_record(MMDB_entry_s *entry)
{
    MMDB_entry_data_list_s *list = NULL;

    int status = MMDB_get_entry_data_list(entry, &list);
    MMDB_free_entry_data_list(list);
    return status;
}

/* Decodes a record in the layout of MaxMind and DB-IP, or a flat one. */
static int decode(MMDB_entry_s *entry, cm_geo_place_t *place)
{
    static const char *const
        country[] = {"country", "names", "en", NULL},
        *const city[] = {"city", "names", "en", NULL},
        *const code[] = {"country", "iso_code", NULL}, *const flat_code[] = {"country_code", NULL},
        *const flat_name[] = {"country_name", NULL}, *const flat_country[] = {"country", NULL},
        *const flat_city[] = {"city", NULL},
        *const region[] = {"subdivisions", "0", "names", "en", NULL},
        *const flat_region[] = {"region", NULL}, *const flat_state[] = {"state1", NULL};
    int status = check_record(entry);

    if (status != MMDB_SUCCESS)
        return status;
    place->country = text_at(entry, country, &status);
    place->iso_code = text_at(entry, code, &status);
    place->city = text_at(entry, city, &status);
    if (place->iso_code.len == 0)
        place->iso_code = text_at(entry, flat_code, &status);
    if (place->country.len == 0)
        place->country = text_at(entry, flat_name, &status);
    if (place->country.len == 0)
        place->country = text_at(entry, flat_country, &status);
    if (place->country.len == 0)
        place->country = cm_country_name(place->iso_code);
    if (place->city.len == 0)
        place->city = text_at(entry, flat_city, &status);
    place->region = text_at(entry, region, &status);
    if (place->region.len == 0)
        place->region = text_at(entry, flat_region, &status);
    if (place->region.len == 0)
        place->region = text_at(entry, flat_state, &status);
    place->country = proper(place->country, CM_FIELD_MAX);
    place->region = proper(place->region, cm_extra_limits[CM_EXTRA_REGION]);
    place->city = proper(place->city, CM_FIELD_MAX);
    place->iso_code = proper(place->iso_code, CM_FIELD_MAX);
    return status;
}

static void keep(record_t *record, uint32_t key, const cm_geo_place_t *place)
{
    size_t need = place->country.len + place->region.len + place->city.len + place->iso_code.len;

    if (record->cap < need || record->text == NULL) {
        free(record->text);
        record->text = cm_alloc(need > 0 ? need : 1);
        record->cap = (uint16_t)need;
    }
    record->key = key;
    record->country = (uint16_t)place->country.len;
    record->region = (uint16_t)place->region.len;
    record->city = (uint16_t)place->city.len;
    record->iso_code = (uint16_t)place->iso_code.len;
    char *at = cm_put_str(record->text, place->country);
    at = cm_put_str(at, place->region);
    at = cm_put_str(at, place->city);
    cm_put_str(at, place->iso_code);
}

static cm_geo_place_t place_of(const record_t *record)
{
    cm_geo_place_t place = {.country = {record->text, record->country}};

    place.region = (cm_str_t){place.country.data + record->country, record->region};
    place.city = (cm_str_t){place.region.data + record->region, record->city};
    place.iso_code = (cm_str_t){place.city.data + record->city, record->iso_code};
    return place;
}

/* ---- addresses ---- */

typedef union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} socket_address_t;

/* False when the database need not be asked: for host names and other text, and for addresses that
 * are not public, for which some databases have wrong entries. */
static bool take_public(cm_str_t text, socket_address_t *socket_address)
{
    cm_address_t address;

    if (!cm_address_of_list(text, &address) || !cm_address_is_public(&address))
        return false;
    *socket_address = (socket_address_t){0};
    if (cm_address_is_v4(&address)) {
        socket_address->v4.sin_family = AF_INET;
        memcpy(&socket_address->v4.sin_addr, address.bytes + 12, 4);
    } else {
        socket_address->v6.sin6_family = AF_INET6;
        memcpy(&socket_address->v6.sin6_addr, address.bytes, 16);
    }
    return true;
}

static int fail_broken(const cm_geo_t *geo, int status, cm_err_t *err)
{
    return cm_fail(err, CM_EINPUT, "GeoIP database %s is broken: %s",
                   geo->path != NULL ? geo->path : "(built in)", MMDB_strerror(status));
}

int cm_geo_find(cm_geo_reader_t *reader, cm_str_t address, cm_geo_place_t *place, cm_err_t *err)
{
    socket_address_t socket_address;
    int status;

    *place = CM_GEO_PLACE_NONE;
    if (!take_public(address, &socket_address))
        return 0;
    MMDB_s *mmdb = newest(reader);
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, &socket_address.any, &status);
    if (status == MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR ||
        (status == MMDB_SUCCESS && !found.found_entry))
        return 0;
    if (status != MMDB_SUCCESS)
        return fail_broken(reader->geo, status, err);
    uint32_t key = found.entry.offset + 1;
    record_t *record = &reader->records[(key * UINT32_C(2654435761)) >> 20]; /* Fibonacci hashing */
    if (record->key != key) {
        status = decode(&found.entry, place);
        if (status != MMDB_SUCCESS) {
            *place = CM_GEO_PLACE_NONE;
            return fail_broken(reader->geo, status, err);
        }
        keep(record, key, place);
    }
    *place = place_of(record);
    return place->country.len + place->region.len + place->city.len + place->iso_code.len > 0;
}
