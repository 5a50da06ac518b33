#include "index_site.h"

static int64_t now_of(void *self)
{
    return ((site_t *)self)->now;
}

int site_set_up(void **state)
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

int site_tear_down(void **state)
{
    site_t *site = *state;

    cm_sink_close(&site->store->sink);
    cm_batch_free(&site->batch);
    test_remove(site->directory);
    free(site);
    return 0;
}

void site_click(site_t *site, const char *user, int64_t time, const char *url, const char *country)
{
    test_add(&site->batch, test_event(user, time, url, country, NULL));
}

void site_commit(site_t *site)
{
    test_put(site->store, &site->batch);
    test_commit(site->store);
    cm_batch_clear(&site->batch);
}
