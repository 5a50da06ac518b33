/* The rules of uap-core and the rules for bots, as scripts/agents.py has compiled them at build
 * time: the regular expressions, and an automaton that finds which of them can match. Constants,
 * for any thread. */
#ifndef CM_ENRICH_UA_RULES_H
#define CM_ENRICH_UA_RULES_H

#include <assert.h>
#include <stdint.h>

enum {
    CM_UA_KINDS = 3, /* browser, os, device; the rules of bots follow */
    CM_UA_BOTS = CM_UA_KINDS,
    CM_UA_PARTS = 5, /* of a kind, at most */
    CM_UA_RULE_CLAUSES = 3,
    CM_UA_CLAUSES = 4096, /* at most */
    CM_UA_CLAUSE_ANY = 0, /* holds for each user agent */
    CM_UA_CLAUSE_BOT = 1, /* holds for user agents with a text of bots.txt */
};

/* One rule. If the pattern matches a user agent, all its clauses hold for it. */
typedef struct cm_ua_rule {
    const char *pattern; /* as in its list; PCRE2 reads it as it is */
    /* Templates of the parts of the result; $1 to $9 are the pattern's groups. "" gives an empty
     * part, as does NULL after the last one. */
    const char *parts[CM_UA_PARTS];
    uint16_t clauses[CM_UA_RULE_CLAUSES];
    uint8_t caseless;
} cm_ua_rule_t;

/* The rules of kind k begin at cm_ua_first[k] and end before cm_ua_first[k + 1]; the first that
 * matches counts. */
extern const cm_ua_rule_t cm_ua_rules[];
extern const uint16_t cm_ua_first[];

/* When clause cm_ua_bot_clause + n holds, the rules of bots that can match begin at
 * cm_ua_bot_first[n] and end before cm_ua_bot_first[n + 1]. They belong to no other clause. */
extern const uint16_t cm_ua_bot_clause;
extern const uint16_t cm_ua_bot_first[];

/* The automaton (Aho-Corasick). The class of a byte is cm_ua_classes[byte]; the class cm_ua_start
 * comes before the first byte. From state s, class c leads to cm_ua_next[cm_ua_base[s] + c] if
 * cm_ua_owner of this slot is s; otherwise continue from cm_ua_fail[s]. All slots of the root, 0,
 * are its own. The clauses found in state s are in cm_ua_found_clauses at cm_ua_found[s]: first
 * their count, then the clauses. */
extern const uint8_t cm_ua_start;
extern const uint8_t cm_ua_classes[];
extern const uint16_t cm_ua_base[];
extern const uint16_t cm_ua_fail[];
extern const uint16_t cm_ua_owner[];
extern const uint16_t cm_ua_next[];
extern const uint16_t cm_ua_found[];
extern const uint16_t cm_ua_found_clauses[];

#endif
