#include "source/visitor.h"

#include "base/put.h"

void cm_visitor_init(cm_visitor_t *visitor, const uint8_t key[CM_VISITOR_KEY])
{
    hmac_sha256_set_key(&visitor->keyed, CM_VISITOR_KEY, key);
}

void cm_visitor_id(cm_visitor_t *visitor, cm_str_t address, cm_str_t agent,
                   char text[CM_VISITOR_TEXT])
{
    uint8_t digest[CM_VISITOR_TEXT / 2];
    const uint8_t zero = 0;

    hmac_sha256_update(&visitor->keyed, address.len, (const uint8_t *)address.data);
    hmac_sha256_update(&visitor->keyed, 1, &zero);
    hmac_sha256_update(&visitor->keyed, agent.len, (const uint8_t *)agent.data);
    /* This also prepares the context for the next message, with the same key. */
    hmac_sha256_digest(&visitor->keyed, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        text = cm_put_hex(text, digest[i]);
}
