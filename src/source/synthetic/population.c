#include "source/synthetic/population.h"

#include "base/put.h"
#include "enrich/countries.h"
#include "source/synthetic/words.h"

#include <stdlib.h>

enum {
    CITIES_MIN = 8, /* a country has 8..40 cities */
    CITIES_MAX = 40,
    LETTERS = 26,
    FORMS = 4, /* forms of user names */
};

/* Purposes of random numbers. */
enum { FOR_NAMES = 1, FOR_CITIES, FOR_PEOPLE };

/* A string that is being written. Its capacity is CM_POPULATION_NAME_MAX, which no name reaches. */
typedef struct pen {
    char *text;
    size_t len;
} pen_t;

static void put(pen_t *pen, const char *word)
{
    size_t len = strlen(word);
    memcpy(pen->text + pen->len, word, len);
    pen->len += len;
}

static void put_number(pen_t *pen, uint32_t number)
{
    char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
    } while ((number /= 10) != 0);
    while (count > 0)
        pen->text[pen->len++] = digits[--count];
}

static void put_capital(pen_t *pen, const char *word)
{
    size_t first = pen->len;
    put(pen, word);
    if (pen->text[first] >= 'a' && pen->text[first] <= 'z')
        pen->text[first] = (char)(pen->text[first] - 'a' + 'A');
}

/* Writes the name of `user`. No two users have the same name, with any seed. Names have four forms
 * in equal parts (michael42, jsmith, smithjohn, johnsmith). Every form numbers its stems. When all
 * stems are used, a number makes the next names distinct: jsmith, jsmith2, jsmith3. */
static size_t write_name(uint32_t user, const uint32_t starts[FORMS], char *text)
{
    const cm_words_t *first = &cm_words_first_names, *last = &cm_words_last_names;
    uint32_t k = user / FORMS;
    uint64_t mixed = (uint64_t)starts[0] << 32 | k;
    uint32_t form = (user ^ (uint32_t)cm_random_mix(&mixed)) % FORMS; /* each once in four users */
    uint32_t stems =
        form == 0 ? first->count * 100 : last->count * (form == 1 ? LETTERS : first->count);
    uint32_t stem = cm_random_shuffled(k % stems, stems, starts[form]), namesakes = k / stems;
    pen_t pen = {text, 0};

    if (form == 0) {
        put(&pen, first->texts[stem / 100]);
        if (namesakes > 0) /* three digits or more; the first names of a stem have two */
            put_number(&pen, namesakes);
        pen.text[pen.len++] = (char)('0' + stem % 100 / 10);
        pen.text[pen.len++] = (char)('0' + stem % 10);
        return pen.len;
    }
    if (form == 1)
        pen.text[pen.len++] = (char)('a' + stem / last->count);
    if (form == 3)
        put(&pen, first->texts[stem / last->count]);
    put(&pen, last->texts[stem % last->count]);
    if (form == 2)
        put(&pen, first->texts[stem / last->count]);
    if (namesakes > 0)
        put_number(&pen, namesakes + 1);
    return pen.len;
}

static cm_str_t make_city(cm_arena_t *arena, cm_random_t *random)
{
    char text[CM_POPULATION_NAME_MAX];
    pen_t pen = {text, 0};
    const cm_words_t *names =
        cm_random_below(random, 2) ? &cm_words_last_names : &cm_words_first_names;
    bool prefix = cm_random_below(random, 2) == 0;

    if (prefix) {
        put(&pen,
            cm_words_city_prefixes.texts[cm_random_below(random, cm_words_city_prefixes.count)]);
        pen.text[pen.len++] = ' ';
    }
    put_capital(&pen, names->texts[cm_random_below(random, names->count)]);
    if (!prefix || cm_random_below(random, 3) > 0)
        put(&pen,
            cm_words_city_suffixes.texts[cm_random_below(random, cm_words_city_suffixes.count)]);
    return cm_arena_copy(arena, (cm_str_t){text, pen.len});
}

/* The range of a country's cities in the array of homes. */
typedef struct range {
    uint16_t first, count;
} range_t;

/* Generates the cities of every country. They are distinct within the country. */
static void found_cities(cm_population_t *population, uint32_t countries, uint64_t seed,
                         range_t *ranges)
{
    cm_random_t random = cm_random_seeded(seed, FOR_CITIES);
    cm_home_t *homes = cm_arena_alloc(&population->arena, countries * CITIES_MAX * sizeof *homes);
    uint16_t at = 0;

    for (uint32_t i = 0; i < countries; i++) {
        cm_str_t country = cm_country_name(cm_str(cm_words_countries.texts[i]));
        uint16_t first = at;
        uint32_t count = CITIES_MIN + cm_random_below(&random, CITIES_MAX - CITIES_MIN + 1);
        while (at < first + count) {
            cm_str_t city = make_city(&population->arena, &random);
            bool known = false;
            for (uint16_t j = first; j < at; j++)
                known = known || cm_str_equal(homes[j].city, city);
            if (!known)
                homes[at++] = (cm_home_t){country, city};
        }
        ranges[i] = (range_t){first, (uint16_t)count};
    }
    population->homes = homes;
}

static int name_people(cm_population_t *population, uint64_t seed, cm_err_t *err)
{
    cm_random_t random = cm_random_seeded(seed, FOR_NAMES);
    uint32_t starts[FORMS];
    size_t at = 0, cap = 0;

    for (int form = 0; form < FORMS; form++)
        starts[form] = (uint32_t)(cm_random_next(&random) >> 32);
    for (uint32_t user = 0; user < population->users; user++) {
        if (cap - at < CM_POPULATION_NAME_MAX) {
            cap += cap / 2 + 64 * CM_POPULATION_NAME_MAX;
            char *names = realloc(population->names, cap);
            if (names == NULL)
                return cm_fail_memory(err);
            population->names = names;
        }
        population->people[user].name = (uint32_t)at;
        at += write_name(user, starts, population->names + at);
    }
    population->people[population->users].name = (uint32_t)at;
    return 0;
}

static int check(uint32_t users, uint32_t countries, cm_err_t *err)
{
    if (users == 0 || users > CM_POPULATION_USERS_MAX)
        return cm_fail(err, CM_EUSAGE, "%u users cannot be generated; give a number from 1 to %u",
                       users, CM_POPULATION_USERS_MAX);
    if (countries == 0 || countries > cm_words_countries.count)
        return cm_fail(
            err, CM_EUSAGE,
            "%u countries cannot be generated, the list has %u; give a number from 1 to %u",
            countries, cm_words_countries.count, cm_words_countries.count);
    return 0;
}

int cm_population_init(cm_population_t *population, uint32_t users, uint32_t countries,
                       uint64_t seed, cm_err_t *err)
{
    cm_random_t random = cm_random_seeded(seed, FOR_PEOPLE);
    range_t *ranges = NULL;
    int code = check(users, countries, err);

    *population = (cm_population_t){.users = users, .arena = CM_ARENA_INIT};
    if (code < 0)
        return code;
    population->people = malloc(((size_t)users + 1) * sizeof *population->people);
    if (population->people == NULL)
        return cm_fail_memory(err);
    code = name_people(population, seed, err);
    if (code < 0)
        goto fail;
    ranges = cm_alloc(countries * sizeof *ranges);
    found_cities(population, countries, seed, ranges);
    population->agents = cm_agents_build(&population->arena);
    for (uint32_t user = 0; user < users; user++) {
        range_t cities = ranges[cm_random_zipf(&random, countries)];
        uint32_t home = cities.first + cm_random_zipf(&random, cities.count);
        population->people[user].home = (uint16_t)home;
        population->people[user].agent = (uint16_t)cm_agents_pick(&random);
    }
    free(ranges);
    return 0;

fail:
    cm_population_free(population);
    return code;
}

void cm_population_free(cm_population_t *population)
{
    cm_arena_free(&population->arena);
    free(population->names);
    free(population->people);
    *population = (cm_population_t){0};
}

/* Writes 16 bits of an IPv6 address: hexadecimal, without leading zeros. */
static char *put_group(char *at, uint32_t group)
{
    char digits[4];
    int first = 0;

    cm_put_hex(cm_put_hex(digits, (uint8_t)(group >> 8)), (uint8_t)group);
    while (first < 3 && digits[first] == '0')
        first++;
    while (first < 4)
        *at++ = digits[first++];
    return at;
}

/* Written by hand, because snprintf() and inet_ntop() would take half of the time of a log line. */
cm_str_t cm_population_address(uint32_t user, char text[CM_POPULATION_ADDRESS_MAX])
{
    static const cm_str_t nets[] = {
        {"192.0.2.", 8},
        {"198.51.100.", 11},
        {"203.0.113.", 10},
    };
    enum { NETS = sizeof nets / sizeof *nets, HOSTS = 254 };
    char *at = text;

    if (user < NETS * HOSTS) {
        at = cm_put_u64(cm_put_str(at, nets[user % NETS]), user / NETS + 1);
        *at = '\0';
        return (cm_str_t){text, (size_t)(at - text)};
    }
    uint32_t site =
        user * UINT32_C(0x9e3779b1); /* an odd factor, so no two users have the same site */
    at = put_group(CM_PUT(at, "2001:db8:"), site >> 16);
    /* "::" replaces the longest run of zeros (RFC 5952); the second half of the site can be part of
     * it. */
    if ((site & 0xFFFF) != 0) {
        *at++ = ':';
        at = put_group(at, site & 0xFFFF);
    }
    at = CM_PUT(at, "::1");
    *at = '\0';
    return (cm_str_t){text, (size_t)(at - text)};
}
