#include "enrich/ua.h"

#include "enrich/ua_match.h"

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum {
    WAYS = 4, /* entries of a set, where a user agent may be cached */
    SETS = CM_UA_CACHE / WAYS,
    LONG_SETS = CM_UA_CACHE_LONG / WAYS,
    STRINGS = 15, /* of a cm_ua_t */
};

/* A cached user agent and its result, in one piece of memory with all strings. */
typedef struct seen {
    cm_ua_t ua;
    uint32_t len; /* of the agent */
    uint32_t cap; /* of text */
    char text[];  /* the agent, then the parts */
} seen_t;

/* A set of the cache, the most recently used entry first; the least recently used one is replaced.
 */
typedef struct set {
    uint32_t tags[WAYS]; /* a part of the hash: avoids most comparisons that would fail */
    seen_t *seen[WAYS];
} set_t;

struct cm_ua_parser {
    cm_ua_matcher_t *matcher;
    uint64_t seed; /* secret, so that no client can choose user agents that all use one set */
    cm_ua_t ua;    /* of cm_ua_parse() */
    set_t sets[SETS];
    set_t
        long_sets[LONG_SETS]; /* of their own, so that long user agents do not replace usual ones */
};

cm_ua_parser_t *cm_ua_parser_new(cm_ua_rules_t *rules)
{
    cm_ua_parser_t *parser = cm_alloc_zero(1, sizeof *parser);

    parser->matcher = cm_ua_matcher_new(rules);
    /* Without random bytes the cache is still correct. */
    if (getrandom(&parser->seed, sizeof parser->seed, 0) != sizeof parser->seed)
        parser->seed = (uintptr_t)parser;
    return parser;
}

static void free_sets(set_t *sets, int count)
{
    for (int i = 0; i < count; i++) {
        for (int way = 0; way < WAYS; way++)
            free(sets[i].seen[way]);
    }
}

void cm_ua_parser_free(cm_ua_parser_t *parser)
{
    if (parser == NULL)
        return;
    free_sets(parser->sets, SETS);
    free_sets(parser->long_sets, LONG_SETS);
    cm_ua_matcher_free(parser->matcher);
    free(parser);
}

/* The part of the user agent that is used. */
static cm_str_t cut(cm_str_t agent)
{
    if (agent.len > CM_UA_MAX)
        agent.len = (size_t)cm_utf8_head(agent, CM_UA_MAX);
    if (agent.len == 0)
        agent.data = "";
    return agent;
}

const cm_ua_t *cm_ua_parse(cm_ua_parser_t *parser, cm_str_t agent)
{
    agent = cut(agent);
    cm_ua_match(parser->matcher, agent, &parser->ua);
    return &parser->ua;
}

/* Lists all strings of the result, so that one loop can handle them. */
static void list_strings(cm_ua_t *ua, cm_str_t *strings[STRINGS])
{
    cm_str_t *const all[STRINGS] = {
        &ua->browser.family, &ua->browser.major,   &ua->browser.minor, &ua->browser.patch,
        &ua->os.family,      &ua->os.major,        &ua->os.minor,      &ua->os.patch,
        &ua->os.patch_minor, &ua->device.family,   &ua->device.brand,  &ua->device.model,
        &ua->os.version,     &ua->browser.version, &ua->bot.name,
    };
    memcpy(strings, all, sizeof all);
}

/* Stores the result in the piece `old` if it has a fitting size, otherwise in a new one. */
static seen_t *remember(seen_t *old, cm_str_t agent, const cm_ua_t *ua)
{
    cm_str_t *strings[STRINGS];
    cm_ua_t copy = *ua;
    size_t need = agent.len;
    seen_t *seen = old;

    list_strings(&copy, strings);
    for (int i = 0; i < STRINGS; i++)
        need += strings[i]->len;
    if (seen == NULL || seen->cap < need || seen->cap > 4 * need + 64) {
        free(old);
        seen = cm_alloc(sizeof *seen + need);
        seen->cap = (uint32_t)need;
    }
    seen->len = (uint32_t)agent.len;
    char *at = seen->text;
    memcpy(at, agent.data, agent.len);
    at += agent.len;
    for (int i = 0; i < STRINGS; i++) {
        memcpy(at, strings[i]->data, strings[i]->len);
        strings[i]->data = at;
        at += strings[i]->len;
    }
    seen->ua = copy;
    return seen;
}

/* Moves the entry at `way` to the front. */
static void bring_forward(set_t *set, int way)
{
    uint32_t tag = set->tags[way];
    seen_t *seen = set->seen[way];

    for (; way > 0; way--) {
        set->tags[way] = set->tags[way - 1];
        set->seen[way] = set->seen[way - 1];
    }
    set->tags[0] = tag;
    set->seen[0] = seen;
}

const cm_ua_t *cm_ua_find(cm_ua_parser_t *parser, cm_str_t agent)
{
    agent = cut(agent);
    uint64_t hash = XXH3_64bits_withSeed(agent.data, agent.len, parser->seed);
    set_t *set = agent.len <= CM_UA_CACHE_TEXT ? &parser->sets[hash % SETS]
                                               : &parser->long_sets[hash % LONG_SETS];
    uint32_t tag = (uint32_t)(hash >> 32);
    for (int way = 0; way < WAYS; way++) {
        seen_t *seen = set->seen[way];
        if (seen == NULL)
            break;
        if (set->tags[way] != tag || !cm_str_equal((cm_str_t){seen->text, seen->len}, agent))
            continue;
        if (way > 0)
            bring_forward(set, way);
        return &seen->ua;
    }
    bring_forward(set, WAYS - 1);
    set->tags[0] = tag;
    set->seen[0] = remember(set->seen[0], agent, cm_ua_parse(parser, agent));
    return &set->seen[0]->ua;
}
