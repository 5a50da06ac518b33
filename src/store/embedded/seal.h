/* Dead letters that may hold the address of a person, at rest: encrypted with the data directory's
 * own key, as the hash of a visitor is made with it. So no address stands in the store, and a
 * letter can still be shown and replayed with its bytes unchanged.
 *
 * A sealed text is "cm-sealed-1:", a nonce of 12 bytes, a tag of 16, and the encrypted bytes
 * (ChaCha20-Poly1305, RFC 8439), under HMAC-SHA-256 of the visitors' key. Pure functions. */
#ifndef CM_STORE_EMBEDDED_SEAL_H
#define CM_STORE_EMBEDDED_SEAL_H

#include "base/err.h"
#include "base/str.h"

enum { CM_SEAL_KEY = 32 };

/* Appends the sealed text. CM_EINTERNAL when the kernel gives no random bytes. */
int cm_seal_text(const uint8_t secret[CM_SEAL_KEY], cm_str_t plain, cm_buf_t *out, cm_err_t *err);

bool cm_seal_is_sealed(cm_str_t text);

/* Appends the text that was sealed; false when it was sealed with another key or has changed. */
bool cm_seal_open(const uint8_t secret[CM_SEAL_KEY], cm_str_t sealed, cm_buf_t *out);

#endif
