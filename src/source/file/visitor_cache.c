#include "source/file/visitor_cache.h"

#include <stdlib.h>

void cm_visitor_cache_init(cm_visitor_cache_t *visitors, const uint8_t key[CM_VISITOR_KEY])
{
    cm_visitor_init(&visitors->visitor, key);
    visitors->slots = cm_alloc_zero(CM_VISITOR_CACHE_SLOTS, sizeof *visitors->slots);
}

void cm_visitor_cache_free(cm_visitor_cache_t *visitors)
{
    free(visitors->slots);
    visitors->slots = NULL;
}

static bool holds(const cm_visitor_cache_slot_t *slot, uint32_t hash, cm_str_t address,
                  cm_str_t agent)
{
    return slot->hash == hash && cm_str_equal((cm_str_t){slot->text, slot->address_len}, address) &&
           cm_str_equal((cm_str_t){slot->text + slot->address_len, slot->agent_len}, agent);
}

const char *cm_visitor_cache_id(cm_visitor_cache_t *visitors, uint64_t hash, cm_str_t address,
                                cm_str_t agent)
{
    cm_visitor_cache_slot_t *slot = &visitors->slots[hash % CM_VISITOR_CACHE_SLOTS];

    /* If both strings were empty, the slot would look free. */
    if (address.len == 0 || address.len + agent.len > CM_VISITOR_CACHE_TEXT_MAX) {
        cm_visitor_id(&visitors->visitor, address, agent, visitors->id);
        return visitors->id;
    }
    if (holds(slot, (uint32_t)(hash >> 32), address, agent))
        return slot->id;
    cm_visitor_id(&visitors->visitor, address, agent, slot->id);
    slot->hash = (uint32_t)(hash >> 32);
    slot->address_len = (uint32_t)address.len;
    slot->agent_len = (uint32_t)agent.len;
    memcpy(slot->text, address.data, address.len);
    if (agent.len > 0)
        memcpy(slot->text + address.len, agent.data, agent.len);
    return slot->id;
}
