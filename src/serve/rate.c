#include "serve/rate.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum { SETS = 4096, WAYS = 8 }; /* 0.75 MiB */

/* Tokens are counted in ns of filling time: a token is worth 10^9 / per_second of them. */
typedef struct bucket {
    uint64_t hash;
    int64_t full_ns; /* when it will be full again; nothing else needs to be known */
    int64_t seen_ns;
} bucket_t;

struct cm_rate {
    int64_t token_ns, burst_ns;
    uint64_t seed;
    pthread_mutex_t lock; /* guards: */
    bucket_t buckets[SETS][WAYS];
};

cm_rate_t *cm_rate_new(int64_t per_second)
{
    cm_rate_t *rate = cm_alloc_zero(1, sizeof *rate);

    rate->token_ns = INT64_C(1000000000) / per_second;
    rate->burst_ns = CM_RATE_BURST * INT64_C(1000000000);
    if (getrandom(&rate->seed, sizeof rate->seed, 0) != sizeof rate->seed)
        rate->seed = (uint64_t)(uintptr_t)rate;
    pthread_mutex_init(&rate->lock, NULL);
    return rate;
}

void cm_rate_free(cm_rate_t *rate)
{
    if (rate == NULL)
        return;
    pthread_mutex_destroy(&rate->lock);
    free(rate);
}

static bucket_t *find(cm_rate_t *rate, uint64_t hash)
{
    bucket_t *set = rate->buckets[hash % SETS], *oldest = set;

    for (int i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].seen_ns < oldest->seen_ns)
            oldest = &set[i];
    }
    *oldest = (bucket_t){.hash = hash};
    return oldest;
}

int cm_rate_take(cm_rate_t *rate, cm_str_t address, int64_t now_ns)
{
    uint64_t hash = XXH3_64bits_withSeed(address.data, address.len, rate->seed);
    int wait = 0;

    pthread_mutex_lock(&rate->lock);
    bucket_t *bucket = find(rate, hash);
    int64_t full_ns = (bucket->full_ns > now_ns ? bucket->full_ns : now_ns) + rate->token_ns;
    int64_t over_ns = full_ns - now_ns - rate->burst_ns;
    if (over_ns <= 0)
        bucket->full_ns = full_ns;
    else
        wait = (int)((over_ns + 999999999) / 1000000000);
    bucket->seen_ns = now_ns;
    pthread_mutex_unlock(&rate->lock);
    return wait;
}
