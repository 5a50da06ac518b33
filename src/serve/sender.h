/* The sender of a request to the collector: a page, a server with a token or a program on this
 * machine, and whether it may send (docs/collect.md).
 *
 * Functions read the request's head and the rules, which are constant; for the server's threads. */
#ifndef CM_SERVE_SENDER_H
#define CM_SERVE_SENDER_H

#include "serve/own_names.h"
#include "serve/proxies.h"
#include "serve/rate.h"
#include "serve/sites.h"
#include "source/visitor.h"

#include <microhttpd.h>

/* A server that may send, and its secret. */
typedef struct cm_sender_token {
    const char *name, *secret;
} cm_sender_token_t;

typedef struct cm_sender_rules {
    cm_sites_t *sites;
    cm_proxies_t *proxies;
    cm_own_names_t *own_names;
    cm_rate_t *rate;
    const cm_sender_token_t *tokens;
    size_t token_count;
    bool demo;     /* only the pages of the demo shop may send */
    bool shop;     /* the demo shop is served */
    bool loopback; /* only this machine can connect */
    bool tls;
    bool cookies; /* visitors are identified by a cookie */
} cm_sender_rules_t;

typedef struct cm_sender {
    bool own;           /* a page of this server */
    bool page;          /* a browser that shows a page of a site */
    bool trusted;       /* a server with a token */
    const char *origin; /* of the page, which may read every answer; NULL: none */
    char address[CM_ADDRESS_TEXT];
    cm_address_t bytes;                /* of the address */
    bool direct;                       /* a connection of this machine itself, without a proxy */
    char visitor[CM_VISITOR_TEXT + 1]; /* of the cookie; "": none is needed */
    bool new_visitor;                  /* the cookie is to be set */
} cm_sender_t;

typedef enum cm_sender_verdict {
    CM_SENDER_ADMITTED,
    CM_SENDER_NO_SITE,  /* the page's site may not send */
    CM_SENDER_NO_TOKEN, /* neither a page nor a token */
    CM_SENDER_WRONG_TOKEN,
    CM_SENDER_LOCKED, /* too many wrong tokens came from the address: none is looked at for a while
                       */
} cm_sender_verdict_t;

/* A header of the request, NULL when it has none. */
const char *cm_sender_header(struct MHD_Connection *connection, const char *name);

/* Whether pages of that origin may send: those of a site, and those of this server. */
bool cm_sender_site(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                    cm_str_t origin);

/* Whether an admitted sender may send an event with that URL: a demonstration takes only the clicks
 * of its shop, and a server without the shop does not take them. */
bool cm_sender_takes(const cm_sender_rules_t *rules, const cm_sender_t *sender, cm_str_t url);

/* Fills `address`, `bytes` and `direct`; must be called before the functions below. */
void cm_sender_locate(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                      cm_sender_t *sender);

/* The key of the sender's limits: its address, of IPv6 the /64, because a customer has all of it.
 * As bytes that live as long as the sender, and as a number. */
cm_str_t cm_sender_limit_key(const cm_sender_t *sender);
uint64_t cm_sender_hash(const cm_sender_t *sender);

/* Fills `own`, `page`, `trusted` and `origin`. */
cm_sender_verdict_t cm_sender_admit(const cm_sender_rules_t *rules,
                                    struct MHD_Connection *connection, cm_sender_t *sender);

/* Whether the rate limits apply: not to servers with a token and senders on this machine. */
bool cm_sender_limited(const cm_sender_t *sender);

/* Counts the request. 0, or the seconds after which the sender may try again. */
int cm_sender_wait(const cm_sender_rules_t *rules, const cm_sender_t *sender);

/* Whether an admitted sender may send events of that host: when sites are listed, only those of the
 * sites, and a page of this server also those of its own host. */
bool cm_sender_takes_host(const cm_sender_rules_t *rules, const cm_sender_t *sender, cm_str_t host);

/* Fills `visitor` where visitors are identified by a cookie: the one of the request, or a new one.
 */
void cm_sender_visitor(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                       cm_sender_t *sender);

/* Whether the browser uses TLS, to this server or to the proxy in front of it. */
bool cm_sender_tls(const cm_sender_rules_t *rules, struct MHD_Connection *connection);

/* Whether the client is on this machine and used a name that only this machine can have. */
bool cm_sender_local(const cm_sender_rules_t *rules, struct MHD_Connection *connection);

#define CM_SENDER_COOKIE "clickmill_visitor"

#endif
