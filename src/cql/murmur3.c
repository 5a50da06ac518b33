/* MurmurHash3 x64 128 (Austin Appleby, public domain) in Cassandra's variant: the bytes of the tail
 * are signed, which differs from the original for bytes above 0x7F
 * (org.apache.cassandra.utils.MurmurHash.hash3_x64_128), and the token is the first half. */
#include "cql/cql.h"

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t mix(uint64_t k)
{
    k ^= k >> 33;
    k *= UINT64_C(0xff51afd7ed558ccd);
    k ^= k >> 33;
    k *= UINT64_C(0xc4ceb9fe1a85ec53);
    return k ^ k >> 33;
}

static const uint64_t c1 = UINT64_C(0x87c37b91114253d5), c2 = UINT64_C(0x4cf5ad432745937f);

static uint64_t load(const void *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

/* Adds the last 0..15 bytes; each is sign-extended before it is shifted. */
static void add_tail(const signed char *tail, size_t len, uint64_t *h1, uint64_t *h2)
{
    uint64_t k1 = 0, k2 = 0;

    for (size_t i = len; i > 8; i--)
        k2 ^= (uint64_t)(int64_t)tail[i - 1] << (8 * (i - 9));
    for (size_t i = len < 8 ? len : 8; i > 0; i--)
        k1 ^= (uint64_t)(int64_t)tail[i - 1] << (8 * (i - 1));
    if (len > 8)
        *h2 ^= rotate(k2 * c2, 33) * c1;
    if (len > 0)
        *h1 ^= rotate(k1 * c1, 31) * c2;
}

int64_t cm_cql_token(const void *key, size_t len)
{
    const char *at = key;
    uint64_t h1 = 0, h2 = 0;

    if (len == 0)
        return INT64_MIN; /* Murmur3Partitioner.getToken of an empty key */
    for (size_t i = 0; i < len / 16; i++, at += 16) {
        h1 ^= rotate(load(at) * c1, 31) * c2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(load(at + 8) * c2, 33) * c1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    add_tail((const signed char *)at, len % 16, &h1, &h2);
    h1 ^= len;
    h2 ^= len;
    h1 += h2;
    h2 += h1;
    h1 = mix(h1);
    h2 = mix(h2);
    h1 += h2;
    return (int64_t)h1 == INT64_MIN ? INT64_MAX : (int64_t)h1;
}
