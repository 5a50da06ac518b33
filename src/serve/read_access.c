#include "serve/read_access.h"

#include "base/address.h"
#include "base/clock.h"
#include "serve/rate.h"
#include "serve/reply.h"

#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdlib.h>

enum { GIVEN_MAX = 1024 }; /* bytes of a user name and a password */

typedef struct secret {
    bool there;
    uint8_t digest[SHA256_DIGEST_SIZE];
} secret_t;

struct cm_read_access {
    secret_t token, password;
    bool open;
    cm_rate_t *failures; /* NULL: there is no secret */
};

const char cm_read_access_closed[] =
    "the dashboard and the answers cannot be read on this address; set http.password (for "
    "browsers) or http.read_token (for programs), or http.public: true to show them to all clients";

static void digest(cm_str_t text, uint8_t out[SHA256_DIGEST_SIZE])
{
    struct sha256_ctx hash;

    sha256_init(&hash);
    sha256_update(&hash, text.len, (const uint8_t *)text.data);
    sha256_digest(&hash, SHA256_DIGEST_SIZE, out);
}

static secret_t secret_of(const char *text)
{
    secret_t secret = {.there = text != NULL};

    if (text != NULL)
        digest(cm_str(text), secret.digest);
    return secret;
}

/* Digests have one length, and a client cannot choose where two of them begin to differ. */
static bool is_right(const secret_t *secret, cm_str_t given)
{
    uint8_t of_given[SHA256_DIGEST_SIZE];

    if (!secret->there)
        return false;
    digest(given, of_given);
    return memeql_sec(secret->digest, of_given, sizeof of_given) != 0;
}

cm_read_access_t *cm_read_access_new(const char *token, const char *password, bool open)
{
    cm_read_access_t *access = cm_alloc(sizeof *access);
    const bool any = token != NULL || password != NULL;

    *access = (cm_read_access_t){secret_of(token), secret_of(password), open && !any,
                                 any ? cm_rate_new(&(cm_rate_limits_t){0}) : NULL};
    return access;
}

void cm_read_access_free(cm_read_access_t *access)
{
    if (access == NULL)
        return;
    cm_rate_free(access->failures);
    free(access);
}

bool cm_read_access_none(const cm_read_access_t *access)
{
    return !access->open && !access->token.there && !access->password.there;
}

/* The credentials after the name of a scheme (RFC 9110, section 11.4); false if it is another
 * scheme.
 */
static bool credentials(cm_str_t header, cm_str_t scheme, cm_str_t *given)
{
    if (header.len <= scheme.len || header.data[scheme.len] != ' ' ||
        !cm_str_equal_nocase((cm_str_t){header.data, scheme.len}, scheme))
        return false;
    *given = cm_str_trim((cm_str_t){header.data + scheme.len, header.len - scheme.len});
    return true;
}

/* User name and password (RFC 7617), of which only the password counts. */
static bool password_is_right(const cm_read_access_t *access, cm_str_t encoded)
{
    struct base64_decode_ctx decoding;
    uint8_t text[GIVEN_MAX];
    size_t len = sizeof text;

    base64_decode_init(&decoding);
    if (BASE64_DECODE_LENGTH(encoded.len) > sizeof text ||
        !base64_decode_update(&decoding, &len, text, encoded.len, encoded.data) ||
        !base64_decode_final(&decoding))
        return false;
    const uint8_t *colon = memchr(text, ':', len);
    return colon != NULL &&
           is_right(&access->password,
                    (cm_str_t){(const char *)colon + 1, (size_t)(text + len - colon - 1)});
}

static bool is_right_header(const cm_read_access_t *access, cm_str_t header)
{
    cm_str_t given;

    if (credentials(header, CM_STR("Bearer"), &given))
        return is_right(&access->token, given);
    return credentials(header, CM_STR("Basic"), &given) && password_is_right(access, given);
}

int cm_read_access_check(const cm_read_access_t *access, struct MHD_Connection *connection)
{
    const cm_str_t header = cm_str_trim(
        cm_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization")));
    const int64_t now_ns = cm_clock_ticks_ns();
    cm_address_t address;

    if (access->open)
        return CM_READ_ALLOWED;
    if (header.len == 0 || cm_read_access_none(access))
        return CM_READ_DENIED;
    cm_address_of_socket(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
        &address);
    const bool counted =
        !cm_address_is_loopback(&address); /* a proxy there forwards many clients */
    const cm_str_t who = cm_address_limit_key(&address);
    const int locked = counted ? cm_rate_locked(access->failures, who, now_ns) : 0;
    if (locked > 0)
        return locked;
    if (is_right_header(access, header))
        return CM_READ_ALLOWED;
    if (counted)
        cm_rate_fail(access->failures, who, now_ns);
    return CM_READ_DENIED;
}

enum MHD_Result cm_read_access_refuse(const cm_read_access_t *access, int verdict,
                                      struct MHD_Connection *connection)
{
    static const char bearer[] = "Bearer realm=\"clickmill\"";
    /* With Basic a browser asks for a password, so it is sent only where there is one; without it
     * the browser shows the sentence. */
    const char *const challenges[] = {
        access->password.there ? "Basic realm=\"clickmill\", charset=\"UTF-8\"" : bearer,
        access->password.there && access->token.there ? bearer : NULL, NULL};

    if (verdict > 0)
        return cm_reply_later(
            connection, MHD_HTTP_TOO_MANY_REQUESTS,
            "too many wrong passwords or tokens from this address; try again later", verdict);
    if (cm_read_access_none(access))
        return cm_reply_challenge(connection, cm_read_access_closed, challenges);
    return cm_reply_challenge(
        connection,
        access->password.there && access->token.there
            ? "to read, send http.password (Basic, any user name) or http.read_token (Bearer)"
        : access->password.there ? "to read, send http.password (Basic, any user name)"
                                 : "to read, send http.read_token (Authorization: Bearer TOKEN)",
        challenges);
}
