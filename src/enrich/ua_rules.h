/* The rules of uap-core, and those that know bots, as scripts/agents.py has compiled them at build
 * time: which regular expressions there are, and the automaton that tells which of them are worth
 * trying. Constants. */
#ifndef CM_ENRICH_UA_RULES_H
#define CM_ENRICH_UA_RULES_H

#include <assert.h>
#include <stdint.h>

enum {
    CM_UA_KINDS = 3, /* browser, os, device; the rules of bots come behind them */
    CM_UA_BOTS = CM_UA_KINDS,
    CM_UA_PARTS = 5, /* of one of them, at most */
    CM_UA_RULE_CLAUSES = 3,
    CM_UA_CLAUSES = 4096, /* at most */
    CM_UA_CLAUSE_ANY = 0, /* holds for every agent */
    CM_UA_CLAUSE_BOT = 1, /* holds for those with a text of bots.txt */
};

/* One rule. All its clauses hold for an agent that the pattern matches. */
typedef struct cm_ua_rule {
    const char *pattern; /* as in its list; PCRE2 reads it as it is */
    /* What the parts of the result are made of: $1 to $9 are the pattern's groups. "" gives none,
     * as does NULL behind the last part. */
    const char *parts[CM_UA_PARTS];
    uint16_t clauses[CM_UA_RULE_CLAUSES];
    uint8_t caseless;
} cm_ua_rule_t;

/* The rules of kind k are those from cm_ua_first[k] to before cm_ua_first[k + 1]; the first that
 * matches counts. */
extern const cm_ua_rule_t cm_ua_rules[];
extern const uint16_t cm_ua_first[];

/* The rules of bots that are worth trying when clause cm_ua_bot_clause + n holds are those from
 * cm_ua_bot_first[n] to before cm_ua_bot_first[n + 1]; no other clause asks for them. */
extern const uint16_t cm_ua_bot_clause;
extern const uint16_t cm_ua_bot_first[];

/* The automaton. A byte's class is cm_ua_classes[byte]; before the first byte comes cm_ua_start.
 * From state s it goes by class c to cm_ua_next[cm_ua_base[s] + c], if cm_ua_owner says that this
 * slot belongs to s, else as from cm_ua_fail[s]. All slots of the root, 0, are its own. What has
 * been found in state s: at cm_ua_found[s] of cm_ua_found_clauses, a count, then clauses. */
extern const uint8_t cm_ua_start;
extern const uint8_t cm_ua_classes[];
extern const uint16_t cm_ua_base[];
extern const uint16_t cm_ua_fail[];
extern const uint16_t cm_ua_owner[];
extern const uint16_t cm_ua_next[];
extern const uint16_t cm_ua_found[];
extern const uint16_t cm_ua_found_clauses[];

#endif
