#include "mill/feature.h"

#include "base/host.h"
#include "enrich/url_parts.h"
#include "event/props.h"
#include "mill/label.h"

#include <stdlib.h>

/* The column of a feature of the event; of others CM_COLUMN_COUNT. */
static cm_timelines_column_t column_of(cm_facet_t facet)
{
    static const cm_timelines_column_t columns[] = {
        [CM_FACET_URL] = CM_COLUMN_URL,
        [CM_FACET_PATH] = CM_COLUMN_URL,
        [CM_FACET_HOST] = CM_COLUMN_URL,
        [CM_FACET_COUNTRY] = CM_COLUMN_COUNTRY,
        [CM_FACET_REGION] = CM_COLUMN_REGION,
        [CM_FACET_CITY] = CM_COLUMN_CITY,
        [CM_FACET_BROWSER] = CM_COLUMN_BROWSER,
        [CM_FACET_BROWSER_VERSION] = CM_COLUMN_BROWSER_VERSION,
        [CM_FACET_OS] = CM_COLUMN_OS,
        [CM_FACET_OS_VERSION] = CM_COLUMN_OS_VERSION,
        [CM_FACET_DEVICE] = CM_COLUMN_DEVICE,
        [CM_FACET_LANGUAGE] = CM_COLUMN_LANGUAGE,
        [CM_FACET_NAME] = CM_COLUMN_NAME,
        [CM_FACET_REFERRER] = CM_COLUMN_REFERRER,
        [CM_FACET_PROP] = CM_COLUMN_PROPS,
    };

    if (facet <= CM_FACET_PROP)
        return columns[facet];
    return facet == CM_FACET_ENTRY_PAGE || facet == CM_FACET_EXIT_PAGE ? CM_COLUMN_URL
                                                                       : CM_COLUMN_COUNT;
}

/* The field of the credit that a feature shows; CM_CREDIT_FIELDS: none. */
static cm_credit_field_t credit_field(cm_facet_t facet)
{
    switch (facet) {
    case CM_FACET_SOURCE:
    case CM_FACET_FIRST_SOURCE:
        return CM_CREDIT_SOURCE;
    case CM_FACET_CHANNEL:
    case CM_FACET_FIRST_CHANNEL:
        return CM_CREDIT_CHANNEL;
    case CM_FACET_FIRST_UTM_CAMPAIGN:
        return CM_CREDIT_UTM_CAMPAIGN;
    default:
        return facet >= CM_FACET_UTM_SOURCE && facet <= CM_FACET_UTM_CONTENT
                   ? CM_CREDIT_UTM_SOURCE + (facet - CM_FACET_UTM_SOURCE)
                   : CM_CREDIT_FIELDS;
    }
}

/* ---- making features ---- */

cm_features_t *cm_features_new(cm_timelines_t *timelines, const cm_attribution_rules_t *rules)
{
    cm_features_t *features = cm_alloc_zero(1, sizeof *features);

    features->timelines = timelines;
    atomic_init(&features->users, 1);
    cm_credits_init(&features->credits, timelines, rules);
    return features;
}

static bool is_same(const cm_feature_t *feature, const cm_dim_t *dim, const cm_zone_t *zone)
{
    return feature->dim.facet == dim->facet && cm_str_equal(feature->dim.key, dim->key) &&
           feature->zone == zone;
}

int cm_features_add(cm_features_t *features, const cm_dim_t *dim, const cm_zone_t *zone)
{
    const cm_facet_t facet = dim->facet;
    const cm_zone_t *used = cm_facet_is_of_time(facet) ? zone : NULL;

    for (size_t i = 0; i < features->count; i++) {
        if (is_same(&features->list[i], dim, used))
            return (int)i;
    }
    if (features->count == CM_FEATURES_MAX)
        return -1;
    const cm_timelines_column_t column = column_of(facet);
    features->list[features->count] = (cm_feature_t){.dim = *dim, .zone = used, .column = column};
    if (column != CM_COLUMN_COUNT)
        features->columns |= 1u << column;
    if (facet == CM_FACET_REFERRER)
        features->columns |= 1u << CM_COLUMN_URL;
    if (credit_field(facet) != CM_CREDIT_FIELDS) {
        features->columns |= CM_CREDIT_COLUMNS;
        features->from_credits = true;
    }
    features->times |= cm_facet_is_of_time(facet);
    features->first_views |= cm_facet_is_of_user(facet);
    features->sessions |=
        cm_facet_is_of_session(facet) || cm_facet_is_of_user(facet) || facet == CM_FACET_ENGAGED_MS;
    return (int)features->count++;
}

/* The text of a property in a canonical form; empty: it is absent. */
static cm_str_t find_prop(cm_str_t props, cm_str_t key, cm_arena_t *arena)
{
    cm_prop_t prop;

    while (cm_props_next(&props, arena, &prop)) {
        if (cm_str_equal(prop.key, key))
            return prop.value;
    }
    return (cm_str_t){NULL, 0};
}

/* The string of a mapped feature for a string of its column; empty: it is absent. */
static cm_str_t map_string(const cm_dim_t *dim, cm_str_t string, cm_arena_t *arena,
                           cm_buf_t *scratch)
{
    switch (dim->facet) {
    case CM_FACET_PATH:
        return cm_url_path(string);
    case CM_FACET_HOST:
        cm_buf_clear(scratch);
        cm_host_add(scratch, cm_url_host(string));
        return (cm_str_t){scratch->data, scratch->len};
    default:
        return find_prop(string, dim->key, arena);
    }
}

static int make_map(cm_features_t *features, cm_feature_t *feature, const cm_ask_options_t *options,
                    cm_err_t *err)
{
    const uint32_t count = cm_timelines_value_count(features->timelines, feature->column);
    cm_arena_t arena = CM_ARENA_INIT;
    cm_buf_t scratch = CM_BUF_INIT;
    int rc = 0;

    feature->map = cm_alloc_zero(count, sizeof *feature->map);
    for (uint32_t value = 1; rc == 0 && value < count; value++) {
        const cm_str_t string = map_string(
            &feature->dim, cm_timelines_string(features->timelines, feature->column, value), &arena,
            &scratch);
        if (string.len > 0)
            feature->map[value] = 1 + cm_dict_put(&feature->strings, string);
        cm_arena_reset(&arena);
        rc = cm_ask_check_at(options, value, err);
    }
    cm_arena_free(&arena);
    cm_buf_free(&scratch);
    return rc;
}

static bool is_mapped(cm_facet_t facet)
{
    return facet == CM_FACET_PATH || facet == CM_FACET_HOST || facet == CM_FACET_PROP;
}

int cm_features_prepare(cm_features_t *features, uint32_t also, const cm_ask_options_t *options,
                        cm_err_t *err)
{
    bool referrers = features->from_credits;

    features->columns |= also;
    int rc = cm_timelines_need_all(features->timelines, features->columns, err);
    for (size_t i = 0; rc == 0 && i < features->count; i++) {
        referrers |= features->list[i].dim.facet == CM_FACET_REFERRER;
        if (is_mapped(features->list[i].dim.facet))
            rc = make_map(features, &features->list[i], options, err);
    }
    if (rc == 0 && referrers)
        rc = cm_credits_prepare(&features->credits, features->from_credits, options, err);
    return rc;
}

uint32_t cm_feature_value_count(const cm_features_t *features, size_t number)
{
    const cm_feature_t *feature = &features->list[number];

    if (feature->map != NULL)
        return feature->strings.count + 1;
    return feature->column != CM_COLUMN_COUNT
               ? cm_timelines_value_count(features->timelines, feature->column)
               : 0;
}

cm_str_t cm_feature_string(cm_features_t *features, size_t number, uint32_t value,
                           cm_arena_t *arena)
{
    const cm_feature_t *feature = &features->list[number];
    const cm_credit_field_t field = credit_field(feature->dim.facet);
    cm_buf_t text = CM_BUF_INIT;

    if (feature->map != NULL)
        return cm_dict_string(&feature->strings, value - 1);
    if (feature->column != CM_COLUMN_COUNT)
        return cm_timelines_string(features->timelines, feature->column, value);
    if (field != CM_CREDIT_FIELDS)
        return cm_credits_string(&features->credits, field, value);
    if (feature->dim.facet == CM_FACET_ENGAGED_MS)
        cm_buf_add_i64(&text, (int64_t)value - 1);
    else
        cm_label_text(feature->dim.facet, value, &text);
    const cm_str_t string = cm_arena_copy(arena, (cm_str_t){text.data, text.len});
    cm_buf_free(&text);
    return string;
}

void cm_features_hold(cm_features_t *features)
{
    atomic_fetch_add(&features->users, 1);
}

void cm_features_release(cm_features_t *features)
{
    if (features == NULL || atomic_fetch_sub(&features->users, 1) > 1)
        return;
    for (size_t i = 0; i < features->count; i++) {
        free(features->list[i].map);
        cm_dict_free(&features->list[i].strings);
    }
    cm_credits_free(&features->credits);
    free(features);
}

/* ---- values of events ---- */

void cm_feature_reader_init(cm_feature_reader_t *reader, cm_features_t *features)
{
    *reader =
        (cm_feature_reader_t){.features = features, .credits = {.credits = &features->credits}};
}

void cm_feature_reader_begin(cm_feature_reader_t *reader, const cm_crowd_t *crowd,
                             const cm_facts_t *facts)
{
    reader->crowd = crowd;
    reader->facts = facts;
    memset(reader->made, 0, reader->features->count * sizeof reader->made[0]);
    if (crowd->rows <= reader->cap)
        return;
    reader->cap = crowd->rows + crowd->rows / 2;
    for (size_t i = 0; i < reader->features->count; i++) {
        free(reader->values[i]);
        reader->values[i] = NULL;
    }
}

static void take_mapped(const cm_feature_reader_t *reader, const cm_feature_t *feature,
                        uint32_t *values)
{
    const uint32_t *from = reader->crowd->values[feature->column];

    for (uint32_t row = 0; row < reader->crowd->rows; row++)
        values[row] = feature->map[from[row]];
}

static void take_referrers(cm_feature_reader_t *reader, uint32_t *values)
{
    for (uint32_t row = 0; row < reader->crowd->rows; row++)
        values[row] = cm_credit_referrer_at(&reader->credits, reader->crowd, row);
}

static void take_labels(const cm_feature_reader_t *reader, const cm_feature_t *feature,
                        uint32_t *values)
{
    cm_labels_t labels = cm_labels(feature->dim.facet, feature->zone);

    for (uint32_t row = 0; row < reader->crowd->rows; row++)
        values[row] = cm_label_at(&labels, reader->crowd->second[row]);
}

/* The value that a page view gives to its session or user. */
static uint32_t value_of_view(cm_feature_reader_t *reader, cm_facet_t facet, uint32_t row)
{
    if (facet == CM_FACET_ENTRY_PAGE || facet == CM_FACET_EXIT_PAGE)
        return reader->crowd->values[CM_COLUMN_URL][row];
    return cm_credit_at(&reader->credits, reader->crowd, row)->field[credit_field(facet)];
}

/* A session's rows of page views are followed by those of no session, but never by rows of an
 * earlier session, so the value of the session at hand is enough. */
static void take_of_sessions(cm_feature_reader_t *reader, cm_facet_t facet, uint32_t *values)
{
    const cm_facts_t *facts = reader->facts;
    const uint32_t *rows = facet == CM_FACET_EXIT_PAGE ? facts->last : facts->first;
    uint32_t session = 0, value = 0;

    for (uint32_t row = 0; row < reader->crowd->rows; row++) {
        const uint32_t at = facts->session[row];
        if (at > session) {
            session = at;
            value = value_of_view(reader, facet, rows[at]);
        }
        values[row] = at != 0 ? value : 0;
    }
}

static void take_of_users(cm_feature_reader_t *reader, cm_facet_t facet, uint32_t *values)
{
    const cm_crowd_t *crowd = reader->crowd;
    uint32_t row = 0;

    for (uint32_t user = 0; user < crowd->users; user++) {
        const uint32_t first = reader->facts->first_view[user];
        const uint32_t value = first != CM_FACTS_NONE ? value_of_view(reader, facet, first) : 0;
        for (; row < crowd->end[user]; row++)
            values[row] = value;
    }
}

const uint32_t *cm_feature_values(cm_feature_reader_t *reader, size_t number)
{
    const cm_feature_t *feature = &reader->features->list[number];
    const cm_facet_t facet = feature->dim.facet;

    if (facet == CM_FACET_ENGAGED_MS)
        return reader->facts->engaged_ms;
    if (feature->map == NULL && facet < CM_FACET_PROP && facet != CM_FACET_REFERRER)
        return reader->crowd->values[feature->column];
    if (reader->made[number])
        return reader->values[number];
    if (reader->values[number] == NULL)
        reader->values[number] = cm_realloc(NULL, reader->cap * sizeof(uint32_t));
    uint32_t *values = reader->values[number];
    if (feature->map != NULL)
        take_mapped(reader, feature, values);
    else if (facet == CM_FACET_REFERRER)
        take_referrers(reader, values);
    else if (cm_facet_is_of_time(facet))
        take_labels(reader, feature, values);
    else if (cm_facet_is_of_session(facet))
        take_of_sessions(reader, facet, values);
    else
        take_of_users(reader, facet, values);
    reader->made[number] = true;
    return values;
}

void cm_feature_reader_free(cm_feature_reader_t *reader)
{
    for (size_t i = 0; reader->features != NULL && i < reader->features->count; i++)
        free(reader->values[i]);
    cm_credit_reader_free(&reader->credits);
}
