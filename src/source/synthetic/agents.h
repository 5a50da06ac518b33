/* Browsers of the synthetic traffic: browser, operating system and device that belong together,
 * with the user agent string that such a browser sends. The list belongs to the caller's arena. For
 * any thread. */
#ifndef CM_SOURCE_SYNTHETIC_AGENTS_H
#define CM_SOURCE_SYNTHETIC_AGENTS_H

#include "base/arena.h"
#include "source/synthetic/random.h"

typedef struct cm_agent {
    cm_str_t browser;         /* "Safari" */
    cm_str_t os;              /* "iOS 17.4" */
    cm_str_t device;          /* "iPhone" */
    cm_str_t text;            /* "Mozilla/5.0 (iPhone; ..." */
    cm_str_t browser_version; /* "17.4" */
    cm_str_t os_version;      /* "17.4"; empty: none */
} cm_agent_t;

/* The number of agents: an agent's index is smaller than it. */
uint32_t cm_agents_count(void);

/* All agents, allocated in `arena`. */
const cm_agent_t *cm_agents_build(cm_arena_t *arena);

/* The index of a random agent. Common agents are more frequent. */
uint32_t cm_agents_pick(cm_random_t *random);

#endif
