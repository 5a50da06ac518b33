/* Random numbers of the synthetic traffic: the same on every machine for the same seed.
 *
 * Integers only: nothing here depends on a floating-point unit or a math library. A generator
 * belongs to one thread. */
#ifndef CM_SOURCE_SYNTHETIC_RANDOM_H
#define CM_SOURCE_SYNTHETIC_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* xoshiro256** of David Blackman and Sebastiano Vigna. */
typedef struct cm_random {
    uint64_t state[4];
} cm_random_t;

/* The next number of a splitmix64 sequence; also a good hash of a single number. */
static inline uint64_t cm_random_mix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A separate generator for each `purpose`, so that one use does not change the numbers of another.
 */
static inline cm_random_t cm_random_seeded(uint64_t seed, uint64_t purpose)
{
    cm_random_t random;
    uint64_t mix = cm_random_mix(&seed) ^ purpose;
    for (int i = 0; i < 4; i++)
        random.state[i] = cm_random_mix(&mix);
    return random;
}

static inline uint64_t cm_random_next(cm_random_t *random)
{
    uint64_t *s = random->state, scaled = s[1] * 5, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = s[3] << 45 | s[3] >> 19;
    return (scaled << 7 | scaled >> 57) * 9;
}

/* A number from 0 to n-1, n at least 1, uniform to one part in 2^32. */
static inline uint32_t cm_random_below(cm_random_t *random, uint32_t n)
{
    return (uint32_t)(((cm_random_next(random) >> 32) * n) >> 32);
}

/* True with probability chance / 2^32. */
static inline bool cm_random_chance(cm_random_t *random, uint64_t chance)
{
    return cm_random_next(random) >> 32 < chance;
}

/* The k-th number from 0 to n-1, in an order that looks random and contains each number once. The
 * step is a prime, which must not divide n. `start` rotates the order. */
static inline uint32_t cm_random_shuffled(uint32_t k, uint32_t n, uint32_t start)
{
    return (uint32_t)((k * UINT64_C(2654435761) + start) % n);
}

/* A rank from 0 to n-1, n at least 1, by Zipf's law: the probability of rank k is proportional to
 * 1/(k+1).
 *
 * Rejection sampling, without a table: 1/k is below the step function 1/2^floor(log2 k), and every
 * step (an octave of ranks) has the same area. So the function draws an octave and a rank in it,
 * and keeps the rank with probability 2^octave / k, which is 0.69 on average. */
static inline uint32_t cm_random_zipf(cm_random_t *random, uint32_t n)
{
    uint32_t octaves = 32 - (uint32_t)__builtin_clz(n);
    for (;;) {
        uint64_t bits = cm_random_next(random), scaled = (bits >> 32) * octaves;
        uint32_t octave = (uint32_t)(scaled >> 32);
        uint32_t step = UINT32_C(1) << octave;
        uint32_t k = step | ((uint32_t)bits & (step - 1));
        /* The fraction after the octave is uniformly distributed too, so it decides. */
        if (k <= n && (uint64_t)(uint32_t)scaled * k < (uint64_t)step << 32)
            return k - 1;
    }
}

/* An exponentially distributed number with mean 1, multiplied by 2^30. */
uint64_t cm_random_exponential(cm_random_t *random);

#endif
