#include "serve/rate.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum {
    SETS = 4096,
    WAYS = 8, /* 1.5 MiB */
    FAILURE_SECONDS = 10,
    WAIT_MAX = 3600, /* seconds: the longest wait that is reported */
};

#define SECOND INT64_C(1000000000)

typedef enum kind {
    REQUESTS,
    EVENTS,
    BYTES,
    FAILURES,
    KINDS,
} kind_t;

/* Tokens are counted in ns of the time that fills them: a token is 10^9 / per_second ns. */
typedef struct bucket {
    uint64_t hash;
    int64_t seen_ns;
    int64_t full_ns[KINDS]; /* when each will be full again: this is all of its state */
} bucket_t;

struct cm_rate {
    double token_ns[KINDS]; /* 0: no limit */
    int64_t burst_ns[KINDS];
    uint64_t seed;
    pthread_mutex_t lock; /* guards: */
    bucket_t buckets[SETS][WAYS];
};

static double worth(int64_t per_second)
{
    return per_second > 0 ? (double)SECOND / (double)per_second : 0;
}

cm_rate_t *cm_rate_new(const cm_rate_limits_t *limits)
{
    cm_rate_t *rate = cm_alloc_zero(1, sizeof *rate);

    rate->token_ns[REQUESTS] = worth(limits->requests);
    rate->token_ns[EVENTS] = worth(limits->events);
    rate->token_ns[BYTES] = worth(limits->bytes);
    rate->token_ns[FAILURES] = (double)(FAILURE_SECONDS * SECOND);
    for (int kind = 0; kind < KINDS; kind++)
        rate->burst_ns[kind] = CM_RATE_BURST * SECOND;
    /* One more failure must need a whole token. */
    rate->burst_ns[FAILURES] = (CM_RATE_FAILURES - 1) * FAILURE_SECONDS * SECOND;
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

/* The address's bucket, locked until unlock(). */
static bucket_t *hold(cm_rate_t *rate, cm_str_t address, int64_t now_ns)
{
    const uint64_t hash = XXH3_64bits_withSeed(address.data, address.len, rate->seed);
    bucket_t *set = rate->buckets[hash % SETS], *oldest = set;

    pthread_mutex_lock(&rate->lock);
    for (int i = 0; i < WAYS; i++) {
        if (set[i].hash == hash) {
            set[i].seen_ns = now_ns;
            return &set[i];
        }
        if (set[i].seen_ns < oldest->seen_ns)
            oldest = &set[i];
    }
    *oldest = (bucket_t){.hash = hash, .seen_ns = now_ns};
    return oldest;
}

static void unlock(cm_rate_t *rate)
{
    pthread_mutex_unlock(&rate->lock);
}

/* When the bucket is full again after so many more tokens. */
static int64_t full_after(const cm_rate_t *rate, const bucket_t *bucket, kind_t kind, int64_t count,
                          int64_t now_ns)
{
    const int64_t full_ns = bucket->full_ns[kind];

    return (full_ns > now_ns ? full_ns : now_ns) + (int64_t)((double)count * rate->token_ns[kind]);
}

/* Seconds until the bucket may be that empty; 0: it may be now. */
static int wait_for(const cm_rate_t *rate, kind_t kind, int64_t full_ns, int64_t now_ns)
{
    const int64_t over_ns = full_ns - now_ns - rate->burst_ns[kind];

    if (rate->token_ns[kind] == 0 || over_ns <= 0)
        return 0;
    return over_ns < WAIT_MAX * SECOND ? (int)((over_ns + SECOND - 1) / SECOND) : WAIT_MAX;
}

static int debt(const cm_rate_t *rate, const bucket_t *bucket, int64_t now_ns)
{
    const int events = wait_for(rate, EVENTS, bucket->full_ns[EVENTS], now_ns);
    const int bytes = wait_for(rate, BYTES, bucket->full_ns[BYTES], now_ns);

    return events > bytes ? events : bytes;
}

int cm_rate_take(cm_rate_t *rate, cm_str_t address, int64_t now_ns)
{
    bucket_t *bucket = hold(rate, address, now_ns);
    const int64_t full_ns = full_after(rate, bucket, REQUESTS, 1, now_ns);
    int wait = wait_for(rate, REQUESTS, full_ns, now_ns);

    if (wait == 0)
        wait = debt(rate, bucket, now_ns);
    if (wait == 0)
        bucket->full_ns[REQUESTS] = full_ns;
    unlock(rate);
    return wait;
}

void cm_rate_charge(cm_rate_t *rate, cm_str_t address, int64_t events, int64_t bytes,
                    int64_t now_ns)
{
    bucket_t *bucket = hold(rate, address, now_ns);

    bucket->full_ns[EVENTS] = full_after(rate, bucket, EVENTS, events, now_ns);
    bucket->full_ns[BYTES] = full_after(rate, bucket, BYTES, bytes, now_ns);
    unlock(rate);
}

int cm_rate_debt(cm_rate_t *rate, cm_str_t address, int64_t now_ns)
{
    const bucket_t *bucket = hold(rate, address, now_ns);
    const int wait = debt(rate, bucket, now_ns);

    unlock(rate);
    return wait;
}

void cm_rate_fail(cm_rate_t *rate, cm_str_t address, int64_t now_ns)
{
    bucket_t *bucket = hold(rate, address, now_ns);

    bucket->full_ns[FAILURES] = full_after(rate, bucket, FAILURES, 1, now_ns);
    unlock(rate);
}

int cm_rate_locked(cm_rate_t *rate, cm_str_t address, int64_t now_ns)
{
    const bucket_t *bucket = hold(rate, address, now_ns);
    const int wait = wait_for(rate, FAILURES, bucket->full_ns[FAILURES], now_ns);

    unlock(rate);
    return wait;
}
