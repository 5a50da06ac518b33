/* The users of the synthetic traffic. Each has a name, a home and a browser.
 *
 * A user is a number from 0 to users-1; user 0 is the most active one. The population owns every
 * string that it returns, until cm_population_free(). It is read-only after cm_population_init(),
 * so any number of threads may read it. 10 M users take about 200 MB. */
#ifndef CM_SOURCE_SYNTHETIC_POPULATION_H
#define CM_SOURCE_SYNTHETIC_POPULATION_H

#include "base/err.h"
#include "source/synthetic/agents.h"

typedef struct cm_home {
    cm_str_t country;
    cm_str_t city;
} cm_home_t;

/* One user. The structure is small because there are many users. */
typedef struct cm_person {
    uint32_t name; /* offset where the name begins; it ends where the next user's name begins */
    uint16_t home;
    uint16_t agent;
} cm_person_t;

typedef struct cm_population {
    uint32_t users;
    cm_person_t *people; /* one more than `users`, for the end of the last name */
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

/* Generates `users` users in the first `countries` countries of the list. Countries and cities
 * follow Zipf's law. 0, CM_EUSAGE (a number out of range) or CM_ENOMEM; after a failure nothing has
 * to be freed. */
int cm_population_init(cm_population_t *population, uint32_t users, uint32_t countries,
                       uint64_t seed, cm_err_t *err);

void cm_population_free(cm_population_t *population);

/* The user's address, the same in every run and distinct for every user. It is from the ranges that
 * are reserved for documentation (RFC 5737, RFC 3849). It is written to `text`. */
cm_str_t cm_population_address(uint32_t user, char text[CM_POPULATION_ADDRESS_MAX]);

static inline cm_str_t cm_population_name(const cm_population_t *population, uint32_t user)
{
    const cm_person_t *person = &population->people[user];
    return (cm_str_t){population->names + person->name, person[1].name - person->name};
}

#endif
