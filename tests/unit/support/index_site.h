/* What the tests of the index share: a data directory with a store and its own clock. */
#ifndef CM_TESTS_UNIT_INDEX_SITE_H
#define CM_TESTS_UNIT_INDEX_SITE_H

#include "store_support.h"

#include "mill/measures.h"
#include "store/embedded/store.h"

enum { TIMEOUT = 1800000 };

static const int64_t site_day = 19676 * INT64_C(86400000); /* 2023-11-15 */

typedef struct site {
    char *directory;
    cm_store_t *store;
    cm_database_t *database;
    int64_t now; /* of the clock, ms */
    cm_clock_t clock;
    cm_batch_t batch; /* not committed yet */
} site_t;

/* Set-up and tear-down of cmocka; the state is a site_t. */
int site_set_up(void **state);
int site_tear_down(void **state);

/* Adds a page view to the batch. */
void site_click(site_t *site, const char *user, int64_t time, const char *url, const char *country);

/* Stores the batch. */
void site_commit(site_t *site);

#endif
