#include "source/http/resent.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum { SETS = 4096, WAYS = 8 };

typedef struct copy {
    XXH128_hash_t hash; /* of the row key; both 0: none */
    uint64_t turn;      /* sequence number of its arrival */
    int64_t time;
    char user[CM_RESENT_USER];
} copy_t;

struct cm_resent {
    uint64_t seed;
    pthread_mutex_t lock; /* guards all below */
    uint64_t turn;
    copy_t all[SETS][WAYS];
};

cm_resent_t *cm_resent_new(void)
{
    cm_resent_t *copies = cm_alloc_zero(1, sizeof *copies);

    if (getrandom(&copies->seed, sizeof copies->seed, 0) != sizeof copies->seed)
        copies->seed = (uint64_t)(uintptr_t)copies;
    pthread_mutex_init(&copies->lock, NULL);
    return copies;
}

void cm_resent_free(cm_resent_t *copies)
{
    if (copies == NULL)
        return;
    pthread_mutex_destroy(&copies->lock);
    free(copies);
}

/* The entry of the hash, or the entry that it will replace. */
static copy_t *find(cm_resent_t *copies, XXH128_hash_t hash)
{
    copy_t *set = copies->all[hash.low64 % SETS], *oldest = set;

    for (int i = 0; i < WAYS; i++) {
        if (XXH128_isEqual(set[i].hash, hash))
            return &set[i];
        if (set[i].turn < oldest->turn)
            oldest = &set[i];
    }
    return oldest;
}

bool cm_resent_find(cm_resent_t *copies, cm_str_t row_key, int64_t *time, char user[CM_RESENT_USER])
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(row_key.data, row_key.len, copies->seed);

    pthread_mutex_lock(&copies->lock);
    copy_t *copy = find(copies, hash);
    bool known = XXH128_isEqual(copy->hash, hash);
    if (known) {
        *time = copy->time;
        memcpy(user, copy->user, CM_RESENT_USER);
    } else {
        *copy = (copy_t){.hash = hash, .turn = ++copies->turn, .time = *time};
        memcpy(copy->user, user, CM_RESENT_USER);
    }
    pthread_mutex_unlock(&copies->lock);
    return known;
}
