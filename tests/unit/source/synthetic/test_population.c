#include "enrich/countries.h"
#include "source/synthetic/population.h"

#include "source/synthetic/words.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int by_text(const void *a, const void *b)
{
    return cm_str_compare(*(const cm_str_t *)a, *(const cm_str_t *)b);
}

static void a_million_names_are_distinct(void **state)
{
    enum { USERS = 1000000 };
    cm_population_t population;
    cm_str_t *names = malloc(USERS * sizeof *names);
    (void)state;

    assert_int_equal(cm_population_init(&population, USERS, 219, 3, NULL), 0);
    for (uint32_t user = 0; user < USERS; user++) {
        names[user] = cm_population_name(&population, user);
        if (names[user].len < 3 || names[user].len > CM_POPULATION_NAME_MAX - 10)
            fail_msg("user %u has a name of %zu bytes", user, names[user].len);
        for (size_t i = 0; i < names[user].len; i++) {
            char c = names[user].data[i];
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9' && i > 0)))
                fail_msg("odd name %.*s", (int)names[user].len, names[user].data);
        }
    }
    qsort(names, USERS, sizeof *names, by_text);
    for (uint32_t user = 1; user < USERS; user++) {
        if (cm_str_equal(names[user - 1], names[user]))
            fail_msg("twice: %.*s", (int)names[user].len, names[user].data);
    }
    free(names);
    cm_population_free(&population);
}

static void names_have_four_forms(void **state)
{
    cm_population_t population;
    char text[64];
    (void)state;
    assert_int_equal(cm_population_init(&population, 4, 10, 1, NULL), 0);
    size_t len = 0;
    for (uint32_t user = 0; user < 4; user++) {
        cm_str_t name = cm_population_name(&population, user);
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", (int)name.len, name.data);
    }
    assert_string_equal(text, "betty60 kunderwood yangcristina ralphjohnson ");
    cm_population_free(&population);
}

static bool same_home(cm_home_t a, cm_home_t b)
{
    return cm_str_equal(a.country, b.country) && cm_str_equal(a.city, b.city);
}

static void countries_follow_zipf_and_have_8_to_40_cities(void **state)
{
    enum { USERS = 200000, COUNTRIES = 60, HOMES = COUNTRIES * 40 };
    cm_population_t population;
    unsigned people[COUNTRIES] = {0}, cities[COUNTRIES] = {0};
    char *seen = calloc(HOMES, 1);
    double harmonic = 0;
    (void)state;

    assert_int_equal(cm_population_init(&population, USERS, COUNTRIES, 3, NULL), 0);
    for (uint32_t user = 0; user < USERS; user++) {
        unsigned home = population.people[user].home, country = 0;
        assert_true(home < HOMES);
        while (!cm_str_equal(population.homes[home].country,
                             cm_country_name(cm_str(cm_words_countries.texts[country]))))
            country++;
        assert_true(country < COUNTRIES);
        people[country]++;
        cities[country] += !seen[home];
        seen[home] = 1;
    }
    for (int i = 0; i < COUNTRIES; i++)
        harmonic += 1.0 / (i + 1);
    unsigned at = 0;
    for (int i = 0; i < COUNTRIES; i++) {
        double expected = USERS / (harmonic * (i + 1)), off = people[i] - expected;
        assert_true(off * off < 36 * expected);
        assert_in_range(cities[i], 8, 40);
        for (unsigned a = at; a < at + cities[i]; a++) {
            for (unsigned b = at; b < a; b++)
                assert_false(same_home(population.homes[a], population.homes[b]));
        }
        at += cities[i];
    }
    free(seen);
    cm_population_free(&population);
}

static bool begins(cm_str_t text, const char *with)
{
    return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static bool has(cm_str_t text, const char *part)
{
    return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

/* The parts that a browser, an os and a device require in the user agent. */
static const struct {
    const char *browser, *os, *device; /* prefixes; NULL: any */
    const char *part;                  /* of the user agent */
} demands[] = {
    {"Chrome", "Windows", NULL, "Chrome/"},
    {"Chrome", "Mac OS X", NULL, "Chrome/"},
    {"Chrome", "Android", NULL, "Chrome/"},
    {"Chrome", "Linux", NULL, "Chrome/"},
    {"Chrome", "Chrome OS", NULL, "Chrome/"},
    {"Chrome", "iOS", NULL, "CriOS/"},
    {"Edge", NULL, "Desktop", "Edg/"},
    {"Opera", NULL, "Desktop", "OPR/"},
    {"Firefox", NULL, NULL, "Firefox/"},
    {"Safari", NULL, NULL, "Version/"},
    {"Samsung Internet", "Android", "Samsung", "SamsungBrowser/"},
    {NULL, "Windows 10", "Desktop", "Windows NT 10.0"},
    {NULL, "Windows 7", "Desktop", "Windows NT 6.1"},
    {NULL, "Mac OS X", "Desktop", "Macintosh; Intel Mac OS X 10"},
    {NULL, "Linux", "Desktop", "X11; Linux"},
    {NULL, "Ubuntu", "Desktop", "X11; Ubuntu"},
    {NULL, "Chrome OS", "Desktop", "X11; CrOS"},
    {NULL, "iOS 17.4", NULL, "OS 17_4 like Mac OS X"},
    {NULL, "iOS 16.6", NULL, "OS 16_6 like Mac OS X"},
    {NULL, "iOS 15.8", "iPhone", "OS 15_8 like Mac OS X"},
    {NULL, "Android 14", NULL, "Android 14;"},
    {NULL, "Android 13", NULL, "Android 13;"},
    {NULL, "Android 12", NULL, "Android 12;"},
    {NULL, "Android 11", NULL, "Android 11;"},
    {NULL, "Android 10", NULL, "Android 10;"},
    {NULL, "Android 9", "Amazon", "Android 9;"},
    {NULL, "iOS", "iPhone", "(iPhone;"},
    {NULL, "iOS", "iPad", "(iPad;"},
    {NULL, "Android 14", "Pixel 8", "Pixel 8)"},
    {NULL, "Android 13", "Samsung SM-A536B", "SM-A536B)"},
};

static void browser_os_and_device_belong_together(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    const cm_agent_t *agents = cm_agents_build(&arena);
    unsigned used[sizeof demands / sizeof *demands] = {0};
    (void)state;

    for (uint32_t i = 0; i < cm_agents_count(); i++) {
        const cm_agent_t *agent = &agents[i];
        int by_browser = 0, by_os = 0;
        assert_true(begins(agent->text, "Mozilla/5.0 ("));
        assert_false(has(agent->text, "{}"));
        /* Only desktop systems run on "Desktop". */
        assert_int_equal(begins(agent->os, "iOS") || begins(agent->os, "Android"),
                         !begins(agent->device, "Desktop"));
        for (size_t d = 0; d < sizeof demands / sizeof *demands; d++) {
            if (demands[d].browser != NULL &&
                !cm_str_equal(agent->browser, cm_str(demands[d].browser)))
                continue;
            if (demands[d].os != NULL && !begins(agent->os, demands[d].os))
                continue;
            if (demands[d].device != NULL && !begins(agent->device, demands[d].device))
                continue;
            if (!has(agent->text, demands[d].part))
                fail_msg("no %s in %.*s", demands[d].part, (int)agent->text.len, agent->text.data);
            used[d]++;
            by_browser += demands[d].browser != NULL;
            by_os += demands[d].browser == NULL;
        }
        assert_true(by_browser > 0);
        assert_true(by_os > 0);
    }
    for (size_t d = 0; d < sizeof demands / sizeof *demands; d++)
        assert_true(used[d] > 0);
    cm_arena_free(&arena);
}

static void every_agent_is_picked(void **state)
{
    cm_random_t random = cm_random_seeded(1, 0);
    unsigned *picked = calloc(cm_agents_count(), sizeof *picked), missing = 0;
    (void)state;
    for (int i = 0; i < 200000; i++)
        picked[cm_agents_pick(&random)]++;
    for (uint32_t i = 0; i < cm_agents_count(); i++)
        missing += picked[i] == 0;
    assert_int_equal(missing, 0);
    free(picked);
}

static void assert_address(uint32_t user, const char *expected)
{
    char text[CM_POPULATION_ADDRESS_MAX];
    cm_str_t address = cm_population_address(user, text);
    assert_int_equal(address.len, strlen(expected));
    assert_string_equal(address.data, expected);
}

static void addresses_are_documentation_ones(void **state)
{
    (void)state;
    assert_address(0, "192.0.2.1");
    assert_address(1, "198.51.100.1");
    assert_address(2, "203.0.113.1");
    assert_address(3, "192.0.2.2");
    assert_address(761, "203.0.113.254");
    assert_address(762, "2001:db8:f120:38da::1");
    assert_address(9999999, "2001:db8:3feb:14cf::1");
}

static int by_number(const void *a, const void *b)
{
    return memcmp(a, b, 4);
}

static void addresses_are_distinct(void **state)
{
    enum { USERS = 1000000, FIRST = 762 };
    char(*sites)[4] = malloc(USERS * sizeof *sites), text[CM_POPULATION_ADDRESS_MAX];
    char canonical[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    (void)state;
    for (uint32_t user = FIRST; user < USERS; user++) {
        cm_population_address(user, text);
        assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
        assert_memory_equal(bytes, "\x20\x01\x0d\xb8", 4);
        /* Among this many, some have a zero in one half of the site. */
        assert_string_equal(inet_ntop(AF_INET6, bytes, canonical, sizeof canonical), text);
        memcpy(sites[user - FIRST], bytes + 4, 4);
    }
    qsort(sites, USERS - FIRST, sizeof *sites, by_number);
    for (uint32_t i = 1; i < USERS - FIRST; i++)
        assert_memory_not_equal(sites[i - 1], sites[i], 4);
    free(sites);
}

static void refuses_impossible_numbers(void **state)
{
    cm_population_t population;
    cm_err_t err;
    (void)state;
    assert_int_equal(cm_population_init(&population, 0, 10, 1, &err), CM_EUSAGE);
    assert_string_equal(err.text, "0 users cannot be generated; give a number from 1 to 100000000");
    assert_int_equal(cm_population_init(&population, 20, 220, 1, &err), CM_EUSAGE);
    assert_string_equal(err.text, "220 countries cannot be generated, the list has 219; give a "
                                  "number from 1 to 219");
    assert_int_equal(cm_population_init(&population, 20, 0, 1, &err), CM_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_names_are_distinct),
        cmocka_unit_test(names_have_four_forms),
        cmocka_unit_test(countries_follow_zipf_and_have_8_to_40_cities),
        cmocka_unit_test(browser_os_and_device_belong_together),
        cmocka_unit_test(every_agent_is_picked),
        cmocka_unit_test(addresses_are_documentation_ones),
        cmocka_unit_test(addresses_are_distinct),
        cmocka_unit_test(refuses_impossible_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
