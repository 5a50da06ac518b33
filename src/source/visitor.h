/* The id of a visitor without a user name: a keyed hash of address and user agent.
 *
 * Without the key, the address cannot be recovered from the id, not even by trying all addresses.
 * With the same key the same visitor gets the same id. One thread at a time. */
#ifndef CM_SOURCE_VISITOR_H
#define CM_SOURCE_VISITOR_H

#include "base/str.h"

#include <nettle/hmac.h>

enum {
    CM_VISITOR_KEY = 32,  /* bytes of the secret */
    CM_VISITOR_TEXT = 32, /* hexadecimal digits of an id */
};

typedef struct cm_visitor {
    struct hmac_sha256_ctx keyed;
} cm_visitor_t;

void cm_visitor_init(cm_visitor_t *visitor, const uint8_t key[CM_VISITOR_KEY]);

/* Writes the first 16 bytes of HMAC-SHA-256(key, address, 0x00, agent) in lower-case hexadecimal,
 * without a NUL. */
void cm_visitor_id(cm_visitor_t *visitor, cm_str_t address, cm_str_t agent,
                   char text[CM_VISITOR_TEXT]);

#endif
