#include "serve/collecting.h"

#include "base/secret.h"
#include "serve/own_names.h"
#include "serve/proxies.h"
#include "serve/sites.h"
#include "store/open.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FILES = 256, /* that may be open besides the connections */
    THREADS_MAX = 8,
    TROUBLE_MS = 5000, /* how long /readyz reports an error */
};

/* ---- opening ---- */

/* A connection needs one file descriptor. The hard limit is the administrator's decision. */
static void raise_file_limit(cm_collecting_t *collecting)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)collecting->given->max_connections + FILES;

    collecting->connections = (int)collecting->given->max_connections;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return;
    /* With few files, the rest is for the store and the answers. */
    collecting->connections =
        (int)(limit.rlim_cur > 2 * FILES ? limit.rlim_cur - FILES : limit.rlim_cur / 2);
    cm_log(collecting->pipeline.env.log, CM_LOG_WARN,
           "the limit of open files is low, so fewer connections are accepted",
           "files=%llu connections=%d", (unsigned long long)limit.rlim_cur,
           collecting->connections);
}

/* The characters that may follow "Bearer " (RFC 6750, section 2.1), and a few more. */
static bool is_token(const cm_buf_t *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] <= ' ' || text->data[i] > '~')
            return false;
    }
    return text->len > 0;
}

static int read_tokens(cm_collecting_t *collecting, cm_err_t *err)
{
    const cm_option_map_t *given = &collecting->given->tokens;
    int rc = 0;

    collecting->tokens = cm_alloc_zero(given->count + 1, sizeof *collecting->tokens);
    collecting->secrets = cm_alloc_zero(given->count + 1, sizeof *collecting->secrets);
    for (size_t i = 0; rc == 0 && i < given->count; i++) {
        const cm_option_pair_t *pair = &given->pairs[i];
        cm_buf_t *secret = &collecting->secrets[i];
        rc = cm_secret_read(pair->text, pair->where, secret, err);
        if (rc == 0 && !is_token(secret))
            rc = cm_fail(err, CM_EUSAGE,
                         "%s: a token has at least one letter, digit or sign, and no blanks",
                         pair->where);
        collecting->tokens[i] = (cm_sender_token_t){pair->name, secret->data};
    }
    return rc;
}

static void free_secrets(cm_collecting_t *collecting)
{
    for (size_t i = 0; i < collecting->given->tokens.count && collecting->secrets != NULL; i++)
        cm_buf_free(&collecting->secrets[i]);
    free(collecting->secrets);
    free(collecting->tokens);
}

static int open_visitors(cm_collecting_t *collecting, cm_store_t *store, cm_err_t *err)
{
    const char *data_dir = collecting->data_dir;
    cm_posted_shared_t *shared = &collecting->shared;

    shared->visitor = (cm_visitor_choice_t)collecting->given->visitor;
    if (shared->visitor == CM_VISITOR_DAILY)
        return cm_daily_key_open(data_dir, &shared->daily, err);
    if (shared->visitor != CM_VISITOR_ADDRESS_HASH)
        return 0;
    return store != NULL ? cm_store_secret(store, shared->address_key, err)
                         : cm_store_secret_of(data_dir, shared->address_key, err);
}

int cm_collecting_check(const cm_collect_given_t *given, cm_err_t *err)
{
    cm_collecting_t collecting = {.given = given};
    cm_credentials_t credentials = {.hangups = 0};
    cm_sites_t *sites = NULL;
    cm_proxies_t *proxies = NULL;
    cm_own_names_t *names = NULL;
    cm_own_paths_t *paths = NULL;

    int rc = cm_sites_new(given->sites, &sites, err);
    if (rc == 0)
        rc = cm_own_names_new(given->hosts, sites, &names, err);
    if (rc == 0)
        rc = cm_proxies_new(given->proxies, &proxies, err);
    if (rc == 0)
        rc = cm_own_paths_new(given->script, given->path, &paths, err);
    if (rc == 0)
        rc = read_tokens(&collecting, err);
    if (rc == 0)
        rc = cm_credentials_read(&credentials, NULL, &given->tls, err);
    cm_credentials_free(&credentials);
    cm_own_paths_free(paths);
    cm_own_names_free(names);
    cm_sites_free(sites);
    cm_proxies_free(proxies);
    free_secrets(&collecting);
    return rc;
}

/* For /readyz, on the server's threads. */
static bool tell_ready(void *context, cm_buf_t *json)
{
    cm_collecting_t *collecting = context;

    pthread_mutex_lock(&collecting->lock);
    /* Only the next event shows that the error has passed, and its sender may wait until /readyz is
     * 200.
     */
    bool ready = collecting->trouble[0] == '\0' ||
                 cm_clock_ticks_ns() - collecting->trouble_ns > TROUBLE_MS * INT64_C(1000000);
    if (!ready) {
        cm_buf_add_text(json, "\"reason\":");
        cm_buf_add_json(json, cm_str(collecting->trouble));
    } else if (collecting->notice[0] != '\0') {
        cm_buf_add_text(json, "\"waiting\":");
        cm_buf_add_json(json, cm_str(collecting->notice));
    }
    pthread_mutex_unlock(&collecting->lock);
    return ready;
}

static bool tell_full(void *context)
{
    return atomic_load_explicit(&((cm_collecting_t *)context)->full, memory_order_relaxed);
}

/* The number of threads that answer, and of those that read long bodies. */
static int server_threads(long least)
{
    const long threads = sysconf(_SC_NPROCESSORS_ONLN) / 2;

    if (threads < least)
        return (int)least;
    return threads > THREADS_MAX ? THREADS_MAX : (int)threads;
}

static int open_collector(cm_collecting_t *collecting, size_t queue, cm_err_t *err)
{
    const cm_collect_given_t *given = collecting->given;
    const cm_collector_options_t options = {
        .inbox = collecting->inbox,
        .shared = &collecting->shared,
        .sites = given->sites,
        .proxies = given->proxies,
        .hosts = given->hosts,
        .script = given->script,
        .events = given->path,
        .tokens = collecting->tokens,
        .token_count = given->tokens.count,
        .max_body = (size_t)given->max_body,
        .max_uploads = queue,
        .body_timeout_ms = given->body_timeout < given->idle ? given->body_timeout : given->idle,
        .rate = {given->rate_limit, given->rate_events, given->rate_bytes},
        .body_threads = server_threads(1),
        .tls = given->tls.cert != NULL,
        .demo = given->demo,
        .shop = given->shop,
        .ready = tell_ready,
        .full = tell_full,
        .ready_context = collecting,
    };

    return cm_collector_new(&options, &collecting->collector, err);
}

static void set_trouble(cm_collecting_t *collecting, const char *text)
{
    pthread_mutex_lock(&collecting->lock);
    snprintf(collecting->trouble, sizeof collecting->trouble, "%s", text);
    collecting->trouble_ns = cm_clock_ticks_ns();
    pthread_mutex_unlock(&collecting->lock);
}

/* All events that arrived are durable: after this their requests are answered. */
static void committed(void *context)
{
    cm_collecting_t *collecting = context;

    pthread_mutex_lock(&collecting->lock);
    collecting->account = collecting->pipeline.account;
    pthread_mutex_unlock(&collecting->lock);
    /* Events that were taken before the store was full do not end that trouble. */
    if (collecting->pipeline.batch.count > 0 && collecting->trouble[0] != '\0' &&
        !atomic_load(&collecting->full))
        set_trouble(collecting, "");
}

int cm_collecting_open(cm_collecting_t *collecting, const cm_pipeline_env_t *env,
                       const char *data_dir, const cm_collect_given_t *given, cm_store_t *store,
                       cm_err_t *err)
{
    *collecting = (cm_collecting_t){.data_dir = data_dir, .given = given, .store = store};
    cm_pipeline_start(&collecting->pipeline, env, NULL, store != NULL ? &store->sink : NULL);
    collecting->pipeline.commit_ms = 0; /* each step commits */
    collecting->pipeline.commit_events = 0;
    collecting->pipeline.skips_empty = true;
    collecting->pipeline.skips_lost = true; /* cm_inbox_fail() */
    collecting->pipeline.on_commit = committed;
    collecting->pipeline.commit_context = collecting;
    pthread_mutex_init(&collecting->lock, NULL);
    raise_file_limit(collecting);
    cm_enrich_thread_open(&collecting->enriching, &given->enrich, false, env->log);
    collecting->shared.enrichment = collecting->enriching.enrichment;
    collecting->shared.clock = env->clock;
    collecting->shared.copies = cm_resent_new();
    int64_t queue = given->queue > given->max_body ? given->queue : given->max_body;
    collecting->inbox = cm_inbox_new((size_t)queue, cm_collector_done);
    collecting->pipeline.source = cm_inbox_source(collecting->inbox);
    int rc = cm_enrichment_start(collecting->enriching.enrichment, err);
    if (rc == 0)
        rc = read_tokens(collecting, err);
    if (rc == 0)
        rc = open_visitors(collecting, store, err);
    if (rc < 0)
        return rc;
    return open_collector(collecting, (size_t)queue, err);
}

void cm_collecting_serve(const cm_collecting_t *collecting, cm_server_options_t *options)
{
    /* One loop is as fast as the thread that stores on another processor, and two cost more without
     * a gain; but loops also send pages and downloads. */
    options->threads = server_threads(options->no_answers ? 1 : 2);
    options->hosts = collecting->given->hosts;
    options->collector = collecting->collector;
    options->shop = collecting->given->shop;
    options->max_connections = collecting->connections;
    options->idle_seconds = (int)(collecting->given->idle / 1000);
}

/* ---- storing ---- */

void cm_collecting_notice(cm_collecting_t *collecting, const char *text)
{
    pthread_mutex_lock(&collecting->lock);
    snprintf(collecting->notice, sizeof collecting->notice, "%s", text);
    pthread_mutex_unlock(&collecting->lock);
}

/* The store has a quota. Events that were already taken may make it a little larger. The reason is
 * there before the first request is refused, and as long as any is. */
static void check_store_size(cm_collecting_t *collecting)
{
    const int64_t max = collecting->given->max_store;
    const bool was_full = atomic_load(&collecting->full);
    char text[200];

    if (collecting->store == NULL || max == 0)
        return;
    const int64_t size = cm_store_size(collecting->store);
    if (size < max) {
        atomic_store(&collecting->full, false);
        if (was_full)
            set_trouble(collecting, "");
        return;
    }
    snprintf(text, sizeof text, "the store has %lld bytes, which reaches collect.max_store",
             (long long)size);
    set_trouble(collecting, text);
    atomic_store(&collecting->full, true);
    if (!was_full)
        cm_log(collecting->pipeline.env.log, CM_LOG_ERROR, "no more events are taken",
               "reason=\"%s\"", text);
}

/* The old key is forgotten at midnight, also when no event arrives. */
static void renew_key(cm_collecting_t *collecting)
{
    const int64_t day = cm_clock_now_ms(collecting->pipeline.env.clock) / CM_DAY_MS;
    uint8_t key[CM_VISITOR_KEY];
    int64_t of_day;
    cm_err_t err;

    if (collecting->shared.daily == NULL || day == collecting->day)
        return;
    if (cm_daily_key_get(collecting->shared.daily, day, key, &of_day, &err) < 0)
        return; /* the code that needs the key reports the error */
    explicit_bzero(key, sizeof key);
    cm_collector_forget(collecting->collector);
    collecting->day = day;
}

/* Recorded in the transaction of the first events with such ids. */
static int store_daily(cm_collecting_t *collecting, cm_err_t *err)
{
    if (collecting->store == NULL || collecting->daily_stored ||
        !atomic_load(&collecting->shared.daily_given))
        return 0;
    int rc = cm_store_set_daily(collecting->store, err);
    collecting->daily_stored = rc == 0;
    return rc;
}

int cm_collecting_step(cm_collecting_t *collecting, int wait_ms, cm_err_t *err)
{
    cm_pipeline_t *pipeline = &collecting->pipeline;

    renew_key(collecting);
    check_store_size(collecting);
    cm_inbox_set_wait(collecting->inbox, wait_ms);
    int more = cm_pipeline_step(pipeline, err);
    int rc = more < 0 ? more : pipeline->batch.count > 0 ? store_daily(collecting, err) : 0;
    if (rc == 0)
        rc = cm_pipeline_commit(pipeline, err);
    if (rc == 0)
        return more;
    cm_pipeline_lose(pipeline);
    collecting->daily_stored = false; /* it was rolled back with the events */
    if (strcmp(collecting->trouble, err->text) != 0)
        cm_log(pipeline->env.log, CM_LOG_ERROR, "events are not stored", "reason=\"%s\"",
               err->text);
    set_trouble(collecting, err->text);
    cm_inbox_fail(collecting->inbox);
    return rc;
}

int cm_collecting_finish(cm_collecting_t *collecting, cm_err_t *err)
{
    int rc;

    cm_inbox_close(collecting->inbox);
    do {
        rc = cm_collecting_step(collecting, 0, err);
    } while (rc > 0);
    return rc;
}

bool cm_collecting_passes(int code)
{
    return code == CM_EIO || code == CM_EAWAY || code == CM_EBUSY;
}

/* ---- account and status ---- */

cm_account_t cm_collecting_account(const cm_collecting_t *collecting)
{
    cm_collecting_t *self = (cm_collecting_t *)collecting;

    pthread_mutex_lock(&self->lock);
    cm_account_t account = self->account;
    pthread_mutex_unlock(&self->lock);
    account.told = account.rejected;
    if (collecting->collector != NULL)
        account.refused = cm_refused_count(cm_collector_refused(collecting->collector));
    return account;
}

void cm_collecting_add_refused(const cm_collecting_t *collecting, cm_buf_t *line)
{
    if (collecting->collector != NULL)
        cm_refused_add_status(cm_collector_refused(collecting->collector), line);
}

void cm_collecting_print_refused(const cm_collecting_t *collecting, FILE *messages)
{
    cm_buf_t lines = CM_BUF_INIT;

    if (collecting->collector == NULL)
        return;
    cm_refused_add_lines(cm_collector_refused(collecting->collector), &lines);
    if (lines.len > 0)
        fwrite(lines.data, 1, lines.len, messages);
    cm_buf_free(&lines);
}

/* ---- the end ---- */

void cm_collecting_give_up(cm_collecting_t *collecting)
{
    cm_collector_give_up(collecting->collector);
    cm_inbox_close(collecting->inbox);
    cm_inbox_fail(collecting->inbox);
}

void cm_collecting_close(cm_collecting_t *collecting)
{
    if (collecting->given == NULL) /* was not opened */
        return;
    cm_collector_free(collecting->collector);
    cm_source_close(cm_inbox_source(collecting->inbox));
    cm_daily_key_close(collecting->shared.daily);
    cm_resent_free(collecting->shared.copies);
    explicit_bzero(collecting->shared.address_key, sizeof collecting->shared.address_key);
    cm_enrich_thread_close(&collecting->enriching);
    free_secrets(collecting);
    cm_pipeline_free(&collecting->pipeline);
    pthread_mutex_destroy(&collecting->lock);
}
