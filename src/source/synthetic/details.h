/* What synthetic traffic has beyond the nine fields of the first edition: where visits come from,
 * custom events of a shop, and engaged time. Names of sources and campaigns follow Zipf's law.
 * Pure functions, for any thread; a visit and a generator belong to one thread. */
#ifndef CM_SOURCE_SYNTHETIC_DETAILS_H
#define CM_SOURCE_SYNTHETIC_DETAILS_H

#include "event/event.h"
#include "source/synthetic/random.h"

typedef enum cm_detail_kind {
    CM_DETAIL_VIEW,
    CM_DETAIL_ENGAGEMENT,
    CM_DETAIL_ADD_TO_CART,
    CM_DETAIL_PURCHASE,
} cm_detail_kind_t;

/* What a visit has done so far. */
typedef struct cm_detail_visit {
    int64_t view_ms; /* of its last page view */
    uint32_t page;   /* of that */
    uint32_t cart;   /* value in cents */
    uint32_t items;  /* in the cart */
} cm_detail_visit_t;

/* The details of one event, in a compact form. */
typedef struct cm_detail {
    uint8_t kind;      /* cm_detail_kind_t */
    uint8_t campaign;  /* of a list, from 1; 0: none */
    uint8_t referrer;  /* of a list, from 1; 0: none, or the page before */
    bool inside;       /* the page before is the referrer: */
    uint32_t previous; /* that page */
    uint32_t items;    /* of a purchase */
    uint32_t amount;   /* ms of an engagement, else cents */
} cm_detail_t;

/* Draws the details of a visit's next event at `ms`, and updates the visit. `entry`: it is the
 * first of the visit, which is always a page view. `views_only`: so are all others. A page view is
 * of the page `*page`; other events are of the page that is shown, which `*page` becomes. */
cm_detail_t cm_detail_draw(cm_random_t *random, cm_detail_visit_t *visit, bool entry,
                           bool views_only, int64_t ms, uint32_t *page);

/* Fills name, referrer, campaign, props and engaged time. `previous` is the URL of the page before.
 * Strings are constants, in `arena`, or `previous`. */
void cm_detail_fill(const cm_detail_t *detail, cm_str_t previous, cm_arena_t *arena,
                    cm_event_extra_t *extra);

/* The region and the language of a home, by its number. Constants. */
cm_str_t cm_detail_region(uint32_t home);
cm_str_t cm_detail_language(uint32_t home);

#endif
