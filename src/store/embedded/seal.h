/* Encryption at rest for dead letters that may hold a person's address, with the data directory's
 * own key, which also hashes visitors. So no address is in the store, and a letter can still be
 * shown and replayed with its bytes unchanged.
 *
 * A sealed text is "cm-sealed-1:", a nonce of 12 bytes, a tag of 16, and the encrypted bytes
 * (ChaCha20-Poly1305, RFC 8439), under HMAC-SHA-256 of the visitors' key. For any thread: the
 * functions keep nothing. */
#ifndef CM_STORE_EMBEDDED_SEAL_H
#define CM_STORE_EMBEDDED_SEAL_H

#include "base/err.h"
#include "base/str.h"

enum { CM_SEAL_KEY = 32 };

/* Appends the sealed text. CM_EINTERNAL when the kernel has no random bytes. */
int cm_seal_text(const uint8_t secret[CM_SEAL_KEY], cm_str_t plain, cm_buf_t *out, cm_err_t *err);

bool cm_seal_is_sealed(cm_str_t text);

/* Appends the text that was sealed; false when it was sealed with another key or has changed. */
bool cm_seal_open(const uint8_t secret[CM_SEAL_KEY], cm_str_t sealed, cm_buf_t *out);

#endif
