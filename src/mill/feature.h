/* Features: what a question groups by or filters on, as a number for each event.
 *
 * A feature is a value of the event (its city, the path of its url, a property), of its session or
 * user (source, entry page), or of time. Values are numbers, 0 is absent; their strings are those
 * of a column of the timelines or of a dictionary that features make. Two events have the same
 * value exactly when they have the same string.
 *
 * cm_features_t is made before a walk and shared by its threads: what changes then are the
 * dictionaries of sources and channels (a mutex). A cm_feature_reader_t belongs to one thread. */
#ifndef CM_MILL_FEATURE_H
#define CM_MILL_FEATURE_H

#include "enrich/attribution.h"
#include "mill/ask.h"
#include "mill/credit.h"
#include "mill/facts.h"
#include "mill/question.h"

#include <stdatomic.h>

enum { CM_FEATURES_MAX = 128 };

typedef struct cm_feature {
    cm_dim_t dim;
    const cm_zone_t *zone;        /* of time */
    cm_timelines_column_t column; /* CM_COLUMN_COUNT: none */
    uint32_t *map;     /* by value of the column; NULL: the column's values are the feature's */
    cm_dict_t strings; /* of the map */
} cm_feature_t;

typedef struct cm_features {
    cm_timelines_t *timelines;
    cm_feature_t list[CM_FEATURES_MAX];
    size_t count;
    uint32_t columns;  /* of the timelines, a mask */
    bool first_views;  /* a feature is of users */
    bool times;        /* a feature is of time */
    bool sessions;     /* a feature is of sessions or users */
    bool from_credits; /* some need where sessions came from */
    cm_credits_t credits;
    atomic_uint users; /* holders: cm_features_hold() */
} cm_features_t;

/* Without features; the caller is its one holder. `rules` are borrowed until the walk has ended. */
cm_features_t *cm_features_new(cm_timelines_t *timelines, const cm_attribution_rules_t *rules);

/* The number of the feature, which is added when it is new. -1: there are too many. */
int cm_features_add(cm_features_t *features, const cm_dim_t *dim, const cm_zone_t *zone);

/* Reads the columns that the features and `also` (a mask) need, and makes maps of them. Call it
 * once, when all features are added. */
int cm_features_prepare(cm_features_t *features, uint32_t also, const cm_ask_options_t *options,
                        cm_err_t *err);

/* How many values the feature has: they are below it. 0: that is not known before the walk. After
 * cm_features_prepare(). */
uint32_t cm_feature_value_count(const cm_features_t *features, size_t number);

/* The string of a value above 0. A time is written into `arena`. */
cm_str_t cm_feature_string(cm_features_t *features, size_t number, uint32_t value,
                           cm_arena_t *arena);

/* One more holder, and one less: the last one frees it. */
void cm_features_hold(cm_features_t *features);
void cm_features_release(cm_features_t *features);

/* ---- in a thread ---- */

typedef struct cm_feature_reader {
    cm_features_t *features;
    const cm_crowd_t *crowd;
    const cm_facts_t *facts;
    uint32_t *values[CM_FEATURES_MAX]; /* by feature, by row; NULL: not asked for yet */
    bool made[CM_FEATURES_MAX];        /* for this crowd */
    uint32_t cap;
    cm_credit_reader_t credits;
} cm_feature_reader_t;

void cm_feature_reader_init(cm_feature_reader_t *reader, cm_features_t *features);

/* From now on values are those of this crowd. `facts` are needed for features of sessions. */
void cm_feature_reader_begin(cm_feature_reader_t *reader, const cm_crowd_t *crowd,
                             const cm_facts_t *facts);

/* The values of a feature by row; valid until the next crowd. */
const uint32_t *cm_feature_values(cm_feature_reader_t *reader, size_t number);

void cm_feature_reader_free(cm_feature_reader_t *reader);

#endif
