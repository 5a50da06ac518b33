/* What a look-up of the enrichment costs, with nothing else running.
 *
 *     enrich_bare AGENTS [GEOIP]    a file with one user agent a line; a .mmdb, default: built in
 *
 * Prints the median time that this thread computes in some rounds, each over all agents: not seen
 * before (every pattern compiled already), and of a few thousand seen before in random order;
 * of look-ups of random addresses, which are as far from each other as can be; and of URLs and
 * referrers as they are usual. */
#include "enrich/attribution.h"
#include "enrich/geo.h"
#include "enrich/ua.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 9, HITS = 4000, HIT_LOOKUPS = 200000, ADDRESSES = 300000, ADDRESS_TEXT = 48 };

typedef struct agents {
    char *text;
    cm_str_t *lines;
    size_t count;
} agents_t;

/* Of this thread: what others do on the machine disturbs less. */
static int64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static int read_agents(const char *path, agents_t *agents)
{
    FILE *file = fopen(path, "rb");
    cm_buf_t text = CM_BUF_INIT;
    char part[65536];
    size_t got;

    if (file == NULL)
        return -1;
    while ((got = fread(part, 1, sizeof part, file)) > 0)
        cm_buf_add(&text, part, got);
    fclose(file);
    *agents = (agents_t){.text = text.data};
    agents->lines = cm_alloc((text.len + 1) * sizeof *agents->lines);
    for (size_t at = 0; at < text.len;) {
        const char *newline = memchr(text.data + at, '\n', text.len - at);
        size_t len = newline != NULL ? (size_t)(newline - text.data) - at : text.len - at;
        agents->lines[agents->count++] = (cm_str_t){text.data + at, len};
        at += len + 1;
    }
    return agents->count > 0 ? 0 : -1;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print(const char *what, double ns[ROUNDS])
{
    qsort(ns, ROUNDS, sizeof *ns, compare);
    printf("%-26s %9.1f ns  %9.3f M/s  (%.1f to %.1f ns)\n", what, ns[ROUNDS / 2],
           1e3 / ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
    fflush(stdout);
}

static void measure_agents(const agents_t *agents)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);
    size_t few = agents->count < HITS ? agents->count : HITS, sum = 0;
    double ns[ROUNDS];
    uint64_t seed = 1;

    for (int round = -1; round < ROUNDS; round++) {
        int64_t start = cpu_ns();
        for (size_t i = 0; i < agents->count; i++)
            sum += cm_ua_parse(parser, agents->lines[i])->browser.family.len;
        if (round >= 0)
            ns[round] = (double)(cpu_ns() - start) / (double)agents->count;
    }
    print("agent, not seen before", ns);
    for (int round = -1; round < ROUNDS; round++) {
        int64_t start = cpu_ns();
        for (size_t i = 0; i < HIT_LOOKUPS; i++)
            sum += cm_ua_find(parser, agents->lines[next_random(&seed) % few])->browser.family.len;
        if (round >= 0)
            ns[round] = (double)(cpu_ns() - start) / HIT_LOOKUPS;
    }
    print("agent, seen before", ns);
    cm_ua_parser_free(parser);
    cm_ua_rules_free(rules);
    if (sum == 1)
        puts("");
}

static int measure_addresses(const char *path, cm_err_t *err)
{
    static const cm_log_t log = {.level = CM_LOG_WARN, .fd = 2};
    char(*texts)[ADDRESS_TEXT] = cm_alloc((size_t)ADDRESSES * sizeof *texts);
    cm_geo_t *geo = NULL;
    cm_geo_place_t place;
    double ns[ROUNDS];
    uint64_t seed = 2;
    int found = 0;

    int rc = cm_geo_open(path, &log, &geo, err);
    if (rc < 0)
        goto done;
    cm_geo_reader_t *reader = cm_geo_reader_new(geo);
    for (int i = 0; i < ADDRESSES; i++) {
        uint32_t n = (uint32_t)next_random(&seed);
        snprintf(texts[i], sizeof texts[i], "%u.%u.%u.%u", n >> 24, n >> 16 & 255, n >> 8 & 255,
                 n & 255);
    }
    for (int round = -1; rc == 0 && round < ROUNDS; round++) {
        int64_t start = cpu_ns();
        for (int i = 0; i < ADDRESSES; i++)
            found += cm_geo_find(reader, cm_str(texts[i]), &place, err) > 0;
        if (round >= 0)
            ns[round] = (double)(cpu_ns() - start) / ADDRESSES;
    }
    print("address", ns);
    printf("%-26s %9.1f %%\n", "addresses found",
           100.0 * found / ((double)ADDRESSES * (ROUNDS + 1)));
    cm_geo_reader_free(reader);
done:
    cm_geo_close(geo);
    free(texts);
    return rc;
}

static void measure_campaigns(const char *what, const char *url)
{
    cm_arena_t arena = CM_ARENA_INIT;
    double ns[ROUNDS];
    int cut = 0;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = cpu_ns();
        for (int i = 0; i < HIT_LOOKUPS; i++) {
            cm_campaign_t campaign = {0};
            cut += cm_campaign_fill(cm_str(url), &arena, &campaign);
        }
        ns[round] = (double)(cpu_ns() - start) / HIT_LOOKUPS;
        cm_arena_reset(&arena);
    }
    print(what, ns);
    cm_arena_free(&arena);
    if (cut > 0)
        puts("");
}

static void measure_referrer(const char *what, const char *referrer)
{
    const cm_attribution_input_t input = {.url = CM_STR("https://www.shop.example/shoes"),
                                          .referrer = cm_str(referrer)};
    cm_attribution_rules_t *rules;
    cm_buf_t scratch = CM_BUF_INIT;
    double ns[ROUNDS];
    size_t sum = 0;
    cm_err_t err;

    if (cm_attribution_rules_new("blog.example", "paypal.com,*.paypal.com", &rules, &err) < 0)
        return;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = cpu_ns();
        for (int i = 0; i < HIT_LOOKUPS; i++)
            sum += cm_attribution_find(rules, &input, &scratch).source.len;
        ns[round] = (double)(cpu_ns() - start) / HIT_LOOKUPS;
    }
    print(what, ns);
    cm_attribution_rules_free(rules);
    cm_buf_free(&scratch);
    if (sum == 1)
        puts("");
}

int main(int argc, char **argv)
{
    agents_t agents;
    cm_err_t err;

    if (argc < 2 || argc > 3 || read_agents(argv[1], &agents) < 0) {
        fputs("usage: enrich_bare AGENTS [GEOIP]\n", stderr);
        return 2;
    }
    measure_agents(&agents);
    measure_campaigns("campaign, no query", "https://www.shop.example/shoes/running/42");
    measure_campaigns("campaign, other query", "https://www.shop.example/shoes?size=42&page=2");
    measure_campaigns("campaign", "https://www.shop.example/?utm_source=news&utm_medium=email"
                                  "&utm_campaign=spring+sale&utm_content=top&gclid=Cj0KCQ");
    measure_referrer("referrer of the table", "https://www.google.de/");
    measure_referrer("referrer, another host", "https://news.example/2026/03/post?id=1");
    int rc = measure_addresses(argc > 2 ? argv[2] : NULL, &err);
    if (rc < 0)
        fprintf(stderr, "enrich_bare: %s\n", err.text);
    free(agents.lines);
    free(agents.text);
    return rc < 0;
}
