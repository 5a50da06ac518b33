/* A cache of the ids of recent visitors. A visitor requests several pages in a row; the keyed hash
 * (visitor.h) takes 200 ns, a look-up here 25 ns.
 *
 * Each visitor has one possible slot, and a slot holds the last visitor that used it. So the memory
 * is bounded, and no search or eviction is needed. A slot is a hit only when it holds exactly the
 * bytes of address and user agent; the hash only chooses the slot. The addresses are only in
 * memory, never on disk. Owns its slots. One thread at a time. */
#ifndef CM_SOURCE_FILE_VISITOR_CACHE_H
#define CM_SOURCE_FILE_VISITOR_CACHE_H

#include "source/visitor.h"

enum {
    CM_VISITOR_CACHE_SLOTS = 8192, /* slots of 320 bytes: 2.5 MiB at most, allocated as they fill */
    CM_VISITOR_CACHE_TEXT_MAX =
        276, /* bytes of address and agent together; longer ones are hashed each time */
};

typedef struct cm_visitor_cache_slot {
    char id[CM_VISITOR_TEXT];
    uint32_t hash; /* the upper half of the hash: avoids most comparisons that would fail */
    uint32_t address_len;
    uint32_t agent_len;                   /* both lengths 0: the slot is free */
    char text[CM_VISITOR_CACHE_TEXT_MAX]; /* the address, then the agent */
} cm_visitor_cache_slot_t;

typedef struct cm_visitor_cache {
    cm_visitor_t visitor;
    cm_visitor_cache_slot_t *slots;
    char id[CM_VISITOR_TEXT]; /* the id of a visitor without a slot */
} cm_visitor_cache_t;

void cm_visitor_cache_init(cm_visitor_cache_t *visitors, const uint8_t key[CM_VISITOR_KEY]);
void cm_visitor_cache_free(cm_visitor_cache_t *visitors);

/* The CM_VISITOR_TEXT bytes of cm_visitor_id() for this address and agent, valid until the next
 * call. `hash` is any hash of the two, the same for the same two. */
const char *cm_visitor_cache_id(cm_visitor_cache_t *visitors, uint64_t hash, cm_str_t address,
                                cm_str_t agent);

#endif
