/* Who a visitor without a name is: a keyed hash of address and user agent.
 *
 * Without the key nobody can tell from it which address it was, not even by trying all of them;
 * with the same key the same visitor gets the same text. One thread at a time. */
#ifndef CM_SOURCE_VISITOR_H
#define CM_SOURCE_VISITOR_H

#include "base/str.h"

#include <nettle/hmac.h>

enum {
    CM_VISITOR_KEY = 32,  /* bytes of the secret */
    CM_VISITOR_TEXT = 32, /* hexadecimal digits of an identity */
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
