#include "serve/collector.h"

#include "serve/collector_inside.h"

#include <stdlib.h>

enum {
    SHARES = 4,        /* an address may use this part of the bytes of all uploads: one in 4 */
    UPLOADS_EACH = 32, /* of one address */
};

static int start_threads(cm_collector_t *collector, cm_err_t *err)
{
    const cm_collector_options_t *options = &collector->options;
    const size_t share = options->max_uploads / SHARES;
    const cm_uploads_options_t uploads = {
        .max_bytes = options->max_uploads,
        .max_each = share > options->max_body ? share : options->max_body,
        .most = UPLOADS_EACH,
        .timeout_ms = options->body_timeout_ms,
        .tls = options->tls,
    };

    int rc = cm_uploads_start(&uploads, &collector->uploads, err);
    if (rc == 0)
        rc = cm_fair_queue_start(options->body_threads > 0 ? options->body_threads : 1,
                                 cm_collector_job, cm_collector_drop, &collector->queue, err);
    return rc;
}

int cm_collector_new(const cm_collector_options_t *options, cm_collector_t **out, cm_err_t *err)
{
    cm_collector_t *collector = cm_alloc_zero(1, sizeof *collector);

    collector->options = *options;
    collector->refused = cm_refused_new(options->sites, options->demo);
    cm_inbox_defer(options->inbox);
    pthread_mutex_init(&collector->lock, NULL);
    collector->rules =
        (cm_sender_rules_t){.tokens = options->tokens,
                            .token_count = options->token_count,
                            .tls = options->tls,
                            .demo = options->demo,
                            .shop = options->shop,
                            .cookies = options->shared->visitor == CM_VISITOR_COOKIE};
    collector->rules.rate = cm_rate_new(&options->rate);
    int rc = cm_sites_new(options->sites, &collector->rules.sites, err);
    if (rc == 0)
        rc = cm_own_names_new(options->hosts, collector->rules.sites, &collector->rules.own_names,
                              err);
    if (rc == 0)
        rc = cm_proxies_new(options->proxies, &collector->rules.proxies, err);
    if (rc == 0)
        rc = cm_own_paths_new(options->script, options->events, &collector->paths, err);
    if (rc == 0)
        rc = start_threads(collector, err);
    if (rc < 0) {
        cm_collector_free(collector);
        return rc;
    }
    *out = collector;
    return 0;
}

void cm_collector_free(cm_collector_t *collector)
{
    if (collector == NULL)
        return;
    cm_collector_give_up(collector);
    cm_fair_queue_free(collector->queue);
    cm_uploads_stop(collector->uploads);
    cm_collector_forget(collector);
    cm_refused_free(collector->refused);
    cm_rate_free(collector->rules.rate);
    cm_own_paths_free(collector->paths);
    cm_proxies_free(collector->rules.proxies);
    cm_own_names_free(collector->rules.own_names);
    cm_sites_free(collector->rules.sites);
    pthread_mutex_destroy(&collector->lock);
    free(collector);
}

void cm_collector_give_up(cm_collector_t *collector)
{
    if (collector->queue != NULL)
        cm_fair_queue_stop(collector->queue);
}

void cm_collector_listens(cm_collector_t *collector, bool loopback)
{
    collector->rules.loopback = loopback;
}

const cm_own_paths_t *cm_collector_paths(const cm_collector_t *collector)
{
    return collector->paths;
}

cm_refused_requests_t *cm_collector_refused(cm_collector_t *collector)
{
    return collector->refused;
}

void cm_collector_ring(cm_collector_t *collector)
{
    if (atomic_load_explicit(&collector->ring, memory_order_relaxed) &&
        atomic_exchange(&collector->ring, false))
        cm_inbox_ring(collector->options.inbox);
}
