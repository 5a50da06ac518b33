/* What the tests of the embedded index share: a data directory with a clock of its own. */
#ifndef CM_TESTS_UNIT_INDEX_SITE_H
#define CM_TESTS_UNIT_INDEX_SITE_H

#include "store_support.h"

#include "mill/measures.h"
#include "store/embedded/store.h"

enum { TIMEOUT = 1800000 };

static const int64_t day = 19676 * INT64_C(86400000); /* 2023-11-15 */

typedef struct site {
    char *directory;
    cm_store_t *store;
    cm_database_t *database;
    int64_t now;
    cm_clock_t clock;
    cm_batch_t batch;
} site_t;

static inline int64_t now_of(void *self)
{
    return ((site_t *)self)->now;
}

static inline int set_up(void **state)
{
    site_t *site = calloc(1, sizeof *site);
    site->directory = test_directory();
    site->now = 1000;
    site->clock = (cm_clock_t){now_of, site};
    site->store = test_open(site->directory);
    site->database = cm_store_embedded_database(site->store);
    site->batch = CM_BATCH_INIT;
    *state = site;
    return 0;
}

static inline int tear_down(void **state)
{
    site_t *site = *state;
    cm_sink_close(&site->store->sink);
    cm_batch_free(&site->batch);
    test_remove(site->directory);
    free(site);
    return 0;
}

static inline void click(site_t *site, const char *user, int64_t time, const char *url,
                         const char *country)
{
    test_add(&site->batch, test_event(user, time, url, country, NULL));
}

static inline void commit(site_t *site)
{
    test_put(site->store, &site->batch);
    test_commit(site->store);
    cm_batch_clear(&site->batch);
}

#endif
