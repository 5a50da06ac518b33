#include "store/embedded/seal.h"

#include <nettle/chacha-poly1305.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <sys/random.h>

static const char mark[] = "cm-sealed-1:";

enum {
    MARK = sizeof mark - 1,
    NONCE = CHACHA_POLY1305_NONCE_SIZE,
    TAG = CHACHA_POLY1305_DIGEST_SIZE,
    HEAD = MARK + NONCE + TAG,
};

/* Derives a separate key, so that the visitors' key is only used for their hashes. */
static void start(struct chacha_poly1305_ctx *context, const uint8_t secret[CM_SEAL_KEY],
                  const uint8_t nonce[NONCE])
{
    static const char purpose[] = "dead letters";
    struct hmac_sha256_ctx hmac;
    uint8_t key[CHACHA_POLY1305_KEY_SIZE];

    hmac_sha256_set_key(&hmac, CM_SEAL_KEY, secret);
    hmac_sha256_update(&hmac, sizeof purpose - 1, (const uint8_t *)purpose);
    hmac_sha256_digest(&hmac, sizeof key, key);
    chacha_poly1305_set_key(context, key);
    chacha_poly1305_set_nonce(context, nonce);
}

int cm_seal_text(const uint8_t secret[CM_SEAL_KEY], cm_str_t plain, cm_buf_t *out, cm_err_t *err)
{
    struct chacha_poly1305_ctx context;
    uint8_t nonce[NONCE];

    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
        return cm_fail(err, CM_EINTERNAL, "the kernel gives no random bytes for a dead letter");
    cm_buf_reserve(out, HEAD + plain.len);
    uint8_t *at = (uint8_t *)out->data + out->len;
    memcpy(at, mark, MARK);
    memcpy(at + MARK, nonce, NONCE);
    start(&context, secret, nonce);
    if (plain.len > 0)
        chacha_poly1305_encrypt(&context, plain.len, at + HEAD, (const uint8_t *)plain.data);
    chacha_poly1305_digest(&context, TAG, at + MARK + NONCE);
    out->len += HEAD + plain.len;
    out->data[out->len] = '\0';
    return 0;
}

bool cm_seal_is_sealed(cm_str_t text)
{
    return text.len >= HEAD && memcmp(text.data, mark, MARK) == 0;
}

bool cm_seal_open(const uint8_t secret[CM_SEAL_KEY], cm_str_t sealed, cm_buf_t *out)
{
    const uint8_t *at = (const uint8_t *)sealed.data;
    struct chacha_poly1305_ctx context;
    uint8_t tag[TAG];

    if (!cm_seal_is_sealed(sealed))
        return false;
    const size_t len = sealed.len - HEAD;
    cm_buf_reserve(out, len + 1);
    start(&context, secret, at + MARK);
    if (len > 0)
        chacha_poly1305_decrypt(&context, len, (uint8_t *)out->data + out->len, at + HEAD);
    chacha_poly1305_digest(&context, TAG, tag);
    if (!memeql_sec(tag, at + MARK + NONCE, TAG))
        return false;
    out->len += len;
    out->data[out->len] = '\0';
    return true;
}
