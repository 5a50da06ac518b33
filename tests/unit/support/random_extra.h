/* Random optional fields for the events of property tests. */
#ifndef CM_TESTS_UNIT_RANDOM_EXTRA_H
#define CM_TESTS_UNIT_RANDOM_EXTRA_H

#include "support.h"

/* Optional fields as a parser gives them, in the memory of `arena`: none for half of the events,
 * else any of the fields, some of them as long as they may be. */
const cm_event_extra_t *random_extra(uint64_t *random, cm_arena_t *arena);

#endif
