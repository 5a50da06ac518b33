/* The cache of visitors gives the ids of the keyed hash, also when visitors share a slot. */
#include "source/file/visitor_cache.h"

#include "support.h"

static const uint8_t key[CM_VISITOR_KEY] = {1, 2, 3, 4}, other_key[CM_VISITOR_KEY] = {9};

static void expect(cm_visitor_cache_t *visitors, uint64_t hash, cm_str_t address, cm_str_t agent,
                   const uint8_t by[CM_VISITOR_KEY])
{
    cm_visitor_t plain;
    char id[CM_VISITOR_TEXT];

    cm_visitor_init(&plain, by);
    cm_visitor_id(&plain, address, agent, id);
    assert_memory_equal(cm_visitor_cache_id(visitors, hash, address, agent), id, sizeof id);
}

/* All have the same hash and so the same slot: only the bytes distinguish them. */
static void colliding_visitors_are_distinguished(void **state)
{
    static const cm_str_t pairs[][2] = {
        {{"192.0.2.1", 9}, {"Mozilla", 7}},  {{"192.0.2.2", 9}, {"Mozilla", 7}},
        {{"192.0.2.1", 9}, {"Mozillb", 7}},  {{"192.0.2.1", 9}, {"Mozill", 6}},
        {{"192.0.2.1M", 10}, {"ozilla", 6}}, /* the same bytes, cut elsewhere */
        {{"192.0.2.1Mozilla", 16}, {"", 0}}, {{"192.0.2.1Mozilla", 16}, {NULL, 0}},
        {{"192.0.2.1", 9}, {"", 0}},         {{"1", 1}, {"Mozilla", 7}},
        {{"", 0}, {"192.0.2.1Mozilla", 16}}, {{"", 0}, {"", 0}},
    };
    enum { PAIRS = sizeof pairs / sizeof pairs[0] };
    static const uint64_t hashes[] = {0, UINT64_C(0x123456789ABCDEF0), UINT64_MAX};
    cm_visitor_cache_t visitors;

    (void)state;
    cm_visitor_cache_init(&visitors, key);
    for (size_t h = 0; h < sizeof hashes / sizeof hashes[0]; h++) {
        for (size_t i = 0; i < PAIRS; i++) {
            for (size_t k = 0; k < PAIRS; k++) {
                expect(&visitors, hashes[h], pairs[i][0], pairs[i][1], key);
                expect(&visitors, hashes[h], pairs[k][0], pairs[k][1], key);
            }
        }
    }
    cm_visitor_cache_free(&visitors);
}

/* Many more visitors than slots, in an order in which most of them return. */
static void random_visitors(void **state)
{
    enum { PEOPLE = 3 * CM_VISITOR_CACHE_SLOTS };
    cm_visitor_cache_t visitors;
    char address[40], agent[40];
    uint64_t seed = 5;

    (void)state;
    cm_visitor_cache_init(&visitors, key);
    for (int i = 0; i < 100000; i++) {
        unsigned who = (unsigned)(test_random(&seed) % PEOPLE);
        if (i % 2 == 0)
            who %= 100;
        snprintf(address, sizeof address, "10.0.%u.%u", who / 256, who % 256);
        snprintf(agent, sizeof agent, "Agent/%u", who % 7);
        /* A hash with few values: many visitors have the same one. */
        expect(&visitors, who % 1000 * UINT64_C(0x100000001), cm_str(address), cm_str(agent), key);
    }
    cm_visitor_cache_free(&visitors);
}

/* A cached visitor keeps the computed id, which a change of the key shows. The id of a visitor
 * whose strings are longer than a slot is computed each time. */
static void remembers_up_to_its_limit(void **state)
{
    static char agent[CM_VISITOR_CACHE_TEXT_MAX];
    const cm_str_t address = CM_STR("2001:db8::1");
    cm_str_t longest = {agent, sizeof agent - address.len}, too_long = {agent, longest.len + 1};
    cm_visitor_cache_t visitors;

    (void)state;
    memset(agent, 'x', sizeof agent);
    cm_visitor_cache_init(&visitors, key);
    expect(&visitors, 1, address, longest, key);
    expect(&visitors, 2, address, too_long, key);
    expect(&visitors, 3, address, CM_STR(""), key);
    expect(&visitors, 4, CM_STR(""), CM_STR("Mozilla"), key);
    cm_visitor_init(&visitors.visitor, other_key);
    expect(&visitors, 1, address, longest, key);
    expect(&visitors, 2, address, too_long, other_key);
    expect(&visitors, 3, address, CM_STR(""), key);
    expect(&visitors, 4, CM_STR(""), CM_STR("Mozilla"), other_key);
    /* Another visitor has taken the slot. */
    expect(&visitors, 1, address, CM_STR("Mozilla"), other_key);
    expect(&visitors, 1, address, longest, other_key);
    cm_visitor_cache_free(&visitors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colliding_visitors_are_distinguished),
        cmocka_unit_test(random_visitors),
        cmocka_unit_test(remembers_up_to_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
