#include "serve/sender.h"

#include "base/clock.h"
#include "base/put.h"
#include "serve/authority.h"
#include "source/http/posted.h"

#include <nettle/memops.h>
#include <sys/random.h>

const char *cm_sender_header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static const struct sockaddr *peer_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
}

bool cm_sender_tls(const cm_sender_rules_t *rules, struct MHD_Connection *connection)
{
    cm_str_t protocol = cm_str(cm_sender_header(connection, "X-Forwarded-Proto"));

    return rules->tls || (cm_str_equal_nocase(protocol, CM_STR("https")) &&
                          cm_proxies_has(rules->proxies, peer_of(connection)));
}

/* ---- sites and tokens ---- */

static bool same_origin(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                        cm_str_t origin)
{
    cm_str_t host = cm_str(cm_sender_header(connection, "Host"));

    if (origin.len <= host.len || host.len == 0 || origin.data[origin.len - host.len - 1] != '/' ||
        !cm_str_equal_nocase((cm_str_t){origin.data + origin.len - host.len, host.len}, host))
        return false;
    /* Another site's name may resolve to this machine (DNS rebinding). */
    return cm_own_names_has(rules->own_names, cm_authority_host(host));
}

bool cm_sender_site(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                    cm_str_t origin)
{
    return (!rules->demo && cm_sites_allow(rules->sites, origin)) ||
           same_origin(rules, connection, origin);
}

/* Whether a URL is one of the demo shop under `origin`, one of the server's own. */
static bool of_shop(cm_str_t origin, cm_str_t url)
{
    cm_str_t start = cm_sites_origin(url);
    cm_str_t path = {start.data + start.len, url.len - start.len};

    return start.len > 0 && cm_str_equal_nocase(start, origin) && path.len >= 5 &&
           memcmp(path.data, "/demo", 5) == 0 && (path.len == 5 || strchr("/?#", path.data[5]));
}

bool cm_sender_takes(const cm_sender_rules_t *rules, const cm_sender_t *sender, cm_str_t url)
{
    const bool shop_click = sender->own && of_shop(cm_str(sender->origin), url);

    if (rules->demo)
        return shop_click;
    /* Behind a proxy the server's name is that of a site, which may have pages of that name. */
    return !shop_click || rules->shop || !rules->loopback || cm_proxies_any(rules->proxies);
}

bool cm_sender_takes_host(const cm_sender_rules_t *rules, const cm_sender_t *sender, cm_str_t host)
{
    return !cm_sites_any(rules->sites) || cm_sites_has_host(rules->sites, host) ||
           (sender->own && cm_str_equal_nocase(cm_posted_host(cm_str(sender->origin)), host));
}

/* Whether it is the bearer token (RFC 6750) of a known sender. The time of the check does not
 * depend on how much of the token is right. */
static bool token_known(const cm_sender_rules_t *rules, const char *authorization)
{
    cm_str_t given = cm_str_trim(cm_str(authorization));
    bool known = false;

    if (given.len <= 7 || !cm_str_equal_nocase((cm_str_t){given.data, 7}, CM_STR("Bearer ")))
        return false;
    given = cm_str_trim((cm_str_t){given.data + 7, given.len - 7});
    for (size_t i = 0; i < rules->token_count; i++) {
        cm_str_t secret = cm_str(rules->tokens[i].secret);
        if (secret.len == given.len && memeql_sec(secret.data, given.data, given.len) != 0)
            known = true;
    }
    return known;
}

/* An address has a few attempts; after that even a right token is refused like a wrong one. */
static cm_sender_verdict_t admit_token(const cm_sender_rules_t *rules, const char *authorization,
                                       cm_sender_t *sender)
{
    const int64_t now_ns = cm_clock_ticks_ns();

    if (cm_rate_locked(rules->rate, cm_sender_limit_key(sender), now_ns) > 0)
        return CM_SENDER_LOCKED;
    sender->trusted = token_known(rules, authorization);
    if (!sender->trusted)
        cm_rate_fail(rules->rate, cm_sender_limit_key(sender), now_ns);
    return sender->trusted ? CM_SENDER_ADMITTED : CM_SENDER_WRONG_TOKEN;
}

cm_sender_verdict_t cm_sender_admit(const cm_sender_rules_t *rules,
                                    struct MHD_Connection *connection, cm_sender_t *sender)
{
    const char *authorization = cm_sender_header(connection, "Authorization");

    sender->origin = cm_sender_header(connection, "Origin");
    sender->page = sender->origin != NULL;
    sender->own = sender->page && same_origin(rules, connection, cm_str(sender->origin));
    if (sender->page && !sender->own &&
        (rules->demo || !cm_sites_allow(rules->sites, cm_str(sender->origin))))
        return CM_SENDER_NO_SITE;
    if (rules->demo && !sender->page)
        return CM_SENDER_NO_TOKEN;
    if (authorization != NULL)
        return admit_token(rules, authorization, sender);
    if (sender->page ||
        (rules->token_count == 0 && rules->loopback && !cm_proxies_any(rules->proxies)))
        return CM_SENDER_ADMITTED;
    return CM_SENDER_NO_TOKEN;
}

/* ---- addresses ---- */

/* Appends a value of X-Forwarded-For; several headers are one list (RFC 9110, section 5.3). */
static enum MHD_Result add_forwarded(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    cm_buf_t *list = context;
    (void)kind;

    if (value == NULL || !cm_str_equal_nocase(cm_str(name), CM_STR("X-Forwarded-For")))
        return MHD_YES;
    if (list->len > 0)
        cm_buf_add_char(list, ',');
    cm_buf_add_text(list, value);
    return MHD_YES;
}

void cm_sender_locate(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                      cm_sender_t *sender)
{
    cm_buf_t forwarded = CM_BUF_INIT;
    bool loopback;

    if (cm_proxies_any(rules->proxies))
        MHD_get_connection_values(connection, MHD_HEADER_KIND, add_forwarded, &forwarded);
    bool direct = cm_proxies_client(rules->proxies, peer_of(connection), forwarded.data,
                                    sender->address, &loopback);
    cm_buf_free(&forwarded);
    cm_address_parse(cm_str(sender->address), &sender->bytes);
    sender->direct = direct && loopback;
}

cm_str_t cm_sender_limit_key(const cm_sender_t *sender)
{
    return cm_address_limit_key(&sender->bytes);
}

uint64_t cm_sender_hash(const cm_sender_t *sender)
{
    const bool v4 = cm_address_is_v4(&sender->bytes);
    uint64_t number;

    memcpy(&number, sender->bytes.bytes + (v4 ? 8 : 0), sizeof number);
    return number;
}

bool cm_sender_local(const cm_sender_rules_t *rules, struct MHD_Connection *connection)
{
    cm_str_t host = cm_str(cm_sender_header(connection, "Host"));
    cm_sender_t sender;

    cm_sender_locate(rules, connection, &sender);
    return sender.direct && (host.len == 0 || cm_authority_is_local(cm_authority_host(host)));
}

bool cm_sender_limited(const cm_sender_t *sender)
{
    return !sender->trusted && !sender->direct;
}

int cm_sender_wait(const cm_sender_rules_t *rules, const cm_sender_t *sender)
{
    if (!cm_sender_limited(sender))
        return 0;
    return cm_rate_take(rules->rate, cm_sender_limit_key(sender), cm_clock_ticks_ns());
}

/* ---- cookies ---- */

void cm_sender_visitor(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                       cm_sender_t *sender)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[CM_VISITOR_TEXT / 2];

    if (!rules->cookies || !sender->page)
        return;
    const char *given = MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, CM_SENDER_COOKIE);
    if (given != NULL && strlen(given) == CM_VISITOR_TEXT &&
        strspn(given, digits) == CM_VISITOR_TEXT) {
        memcpy(sender->visitor, given, CM_VISITOR_TEXT);
        return;
    }
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return;
    char *at = sender->visitor;
    for (size_t i = 0; i < sizeof random; i++)
        at = cm_put_hex(at, random[i]);
    sender->new_visitor = true;
}
