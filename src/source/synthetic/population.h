/* The people of the synthetic traffic: a name, a home and a browser each.
 *
 * A user is a number of 0..users-1; user 0 is the most active one. The population owns every text
 * it hands out, until cm_population_free(). Read-only after cm_population_init(), so any number of
 * threads may read. 10 M users take about 200 MB. */
#ifndef CM_SOURCE_SYNTHETIC_POPULATION_H
#define CM_SOURCE_SYNTHETIC_POPULATION_H

#include "base/err.h"
#include "source/synthetic/agents.h"

typedef struct cm_home {
    cm_str_t country;
    cm_str_t city;
} cm_home_t;

/* One user, small because there are many. */
typedef struct cm_person {
    uint32_t name; /* where it begins; it ends where the next one's begins */
    uint16_t home;
    uint16_t agent;
} cm_person_t;

typedef struct cm_population {
    uint32_t users;
    cm_person_t *people; /* one more than users: the end of the last name */
    char *names;
    const cm_home_t *homes;
    const cm_agent_t *agents;
    cm_arena_t arena;
} cm_population_t;

enum {
    CM_POPULATION_USERS_MAX = 100 * 1000 * 1000,
    CM_POPULATION_NAME_MAX = 48,
    CM_POPULATION_ADDRESS_MAX = 48,
};

/* Makes up `users` users at home in the first `countries` countries of the list, countries and
 * cities by Zipf's law. 0, CM_EUSAGE (a number out of range) or CM_ENOMEM; on failure nothing is
 * to be freed. */
int cm_population_init(cm_population_t *population, uint32_t users, uint32_t countries,
                       uint64_t seed, cm_err_t *err);

void cm_population_free(cm_population_t *population);

/* The user's address, the same in every run: from the ranges that are set aside for documentation
 * (RFC 5737, RFC 3849), distinct for every user. The text is in `text`. */
cm_str_t cm_population_address(uint32_t user, char text[CM_POPULATION_ADDRESS_MAX]);

static inline cm_str_t cm_population_name(const cm_population_t *population, uint32_t user)
{
    const cm_person_t *person = &population->people[user];
    return (cm_str_t){population->names + person->name, person[1].name - person->name};
}

#endif
