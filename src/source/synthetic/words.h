/* Word lists of the synthetic traffic: names of people, countries, and parts of cities and pages.
 *
 * Constant data, for any thread, written for Clickmill. The strings live as long as the program.
 * All of it is ASCII; names are in lower case so that a user name needs no conversion. No last name
 * is a first name, and no two ways of joining them give the same string: the distinct user names of
 * population.c depend on this (tests/unit/source/synthetic/test_words.c checks this). */
#ifndef CM_SOURCE_SYNTHETIC_WORDS_H
#define CM_SOURCE_SYNTHETIC_WORDS_H

#include <stdint.h>

typedef struct cm_words {
    const char *const *texts;
    uint32_t count;
} cm_words_t;

extern const cm_words_t cm_words_first_names;
extern const cm_words_t cm_words_last_names;

/* Countries by their ISO 3166-1 codes, roughly ordered by their number of web users, largest first.
 * Their names come from cm_country_name(), so that GeoIP uses the same names. */
extern const cm_words_t cm_words_countries;

extern const cm_words_t cm_words_city_prefixes;
extern const cm_words_t cm_words_city_suffixes;

/* What pages are about. */
extern const cm_words_t cm_words_verbs;
extern const cm_words_t cm_words_adjectives;
extern const cm_words_t cm_words_things;
extern const cm_words_t cm_words_topics;
extern const cm_words_t cm_words_audiences;

#endif
