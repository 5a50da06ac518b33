/* Who sends a request to the collector, and whether he may (docs/collect.md).
 *
 * Functions look at the request's head and at the rules, which are constant; for the server's
 * threads. */
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
    cm_own_names_t *ours;
    cm_rate_t *rate;
    const cm_sender_token_t *tokens;
    size_t token_count;
    bool demo;     /* only the pages of the demo shop may send */
    bool shop;     /* the demo shop is there */
    bool loopback; /* nobody from elsewhere can connect */
    bool tls;
    bool cookies; /* visitors are known by one */
} cm_sender_rules_t;

typedef struct cm_sender {
    bool own;           /* of a page that we serve ourselves */
    bool page;          /* a browser, for a page of a site */
    bool trusted;       /* a server with a token */
    const char *origin; /* of the page; it may read the answer, whatever that is. NULL: none */
    char address[CM_ADDRESS_TEXT];
    cm_address_t bytes;                /* of it */
    bool direct;                       /* it is this machine's own, and no proxy's word */
    char visitor[CM_VISITOR_TEXT + 1]; /* of the cookie; "": none is wanted */
    bool new_visitor;                  /* the cookie is to be set */
} cm_sender_t;

typedef enum cm_sender_verdict {
    CM_SENDER_ADMITTED,
    CM_SENDER_NO_SITE,  /* the page's site may not send */
    CM_SENDER_NO_TOKEN, /* it comes from no page, and has no token */
    CM_SENDER_WRONG_TOKEN,
    CM_SENDER_LOCKED, /* too many wrong tokens came from the address: none is looked at for a while
                       */
} cm_sender_verdict_t;

/* A header of the request, NULL when it has none. */
const char *cm_sender_header(struct MHD_Connection *connection, const char *name);

/* Whether pages of that origin may send: those of a site, and our own. */
bool cm_sender_site(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                    cm_str_t origin);

/* Whether an event of that URL may come from an admitted sender: a demonstration takes the clicks
 * of its shop alone, and where there is no shop (any more), its clicks are taken by nobody. */
bool cm_sender_takes(const cm_sender_rules_t *rules, const cm_sender_t *sender, cm_str_t url);

/* Fills `address`, `bytes` and `direct`: before the functions below. */
void cm_sender_locate(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                      cm_sender_t *sender);

/* Whose limits are the sender's: his address, or as a customer has a whole /64 of IPv6, that. As
 * long as the sender. */
cm_str_t cm_sender_limit_key(const cm_sender_t *sender);
uint64_t cm_sender_hash(const cm_sender_t *sender);

/* Fills `own`, `page`, `trusted` and `origin`. */
cm_sender_verdict_t cm_sender_admit(const cm_sender_rules_t *rules,
                                    struct MHD_Connection *connection, cm_sender_t *sender);

/* Whether what the sender may send is limited: servers with a token and senders on this machine
 * may always. */
bool cm_sender_limited(const cm_sender_t *sender);

/* Counts the request. 0, or the seconds after which the sender may come again. */
int cm_sender_wait(const cm_sender_rules_t *rules, const cm_sender_t *sender);

/* Whether events of a host may come from an admitted sender: where sites are listed, those of the
 * sites, and of a page of ours those of its own host. */
bool cm_sender_takes_host(const cm_sender_rules_t *rules, const cm_sender_t *sender, cm_str_t host);

/* Fills `visitor`, where visitors are known by a cookie: the one that came, or a new one. */
void cm_sender_visitor(const cm_sender_rules_t *rules, struct MHD_Connection *connection,
                       cm_sender_t *sender);

/* Whether the browser speaks TLS, with us or with the proxy in front. */
bool cm_sender_tls(const cm_sender_rules_t *rules, struct MHD_Connection *connection);

/* Somebody on this machine, who calls us by no name that another could have. */
bool cm_sender_local(const cm_sender_rules_t *rules, struct MHD_Connection *connection);

#define CM_SENDER_COOKIE "clickmill_visitor"

#endif
