/* The rules of uap-core and the rules for bots, as scripts/agents.py has compiled them at build
 * time: the regular expressions, and an automaton that finds which of them can match. Constants,
 * for any thread. */
#ifndef CM_ENRICH_UA_RULES_H
#define CM_ENRICH_UA_RULES_H

#include "event/bot.h"

#include <assert.h>
#include <stdint.h>

/* Kinds of rules. */
typedef enum cm_ua_kind {
    CM_UA_BROWSER,
    CM_UA_OS,
    CM_UA_DEVICE,
    CM_UA_BOT,   /* bots that are known */
    CM_UA_WORDS, /* usual words for bots */
    CM_UA_KINDS,
} cm_ua_kind_t;

enum {
    CM_UA_PARTS = 5, /* of a rule, at most */
    CM_UA_RULE_CLAUSES = 3,
    CM_UA_RULES = 4096,   /* at most */
    CM_UA_CLAUSES = 4096, /* at most */
    CM_UA_CLAUSE_ANY = 0, /* holds for each user agent */
};

/* One rule. If the pattern matches a user agent, all its clauses hold for it. */
typedef struct cm_ua_rule {
    const char *pattern; /* as in its list; PCRE2 reads it as it is */
    /* Templates of the parts of the result; $1 to $9 are the pattern's groups. "" gives an empty
     * part, as does NULL after the last one. The only part of a bot is its name. */
    const char *parts[CM_UA_PARTS];
    uint16_t clauses[CM_UA_RULE_CLAUSES];
    uint8_t caseless;
    uint8_t bot; /* cm_bot_kind_t */
} cm_ua_rule_t;

/* The rules of kind k begin at cm_ua_first[k] and end before cm_ua_first[k + 1]; the first that
 * matches counts. */
extern const cm_ua_rule_t cm_ua_rules[];
extern const uint16_t cm_ua_first[CM_UA_KINDS + 1];

/* The rules whose first clause is c are in cm_ua_clause_rules, from cm_ua_clause_first[c] to before
 * cm_ua_clause_first[c + 1]. */
extern const uint16_t cm_ua_clause_first[];
extern const uint16_t cm_ua_clause_rules[];

/* The automaton (Aho-Corasick). The class of a byte is cm_ua_classes[byte]. From state s, class c
 * leads to `next` of cm_ua_slots[cm_ua_base[s] + c] if the owner of this slot is s; otherwise
 * continue from cm_ua_fail[s]. All slots of the root, 0, are its own. The clauses that are found
 * then are in cm_ua_found_clauses at `found`: first their count, then the clauses; 0: none. */
typedef struct cm_ua_slot {
    uint16_t owner, next;
    uint16_t base; /* cm_ua_base[next] */
    uint16_t found;
} cm_ua_slot_t;

extern const uint8_t cm_ua_classes[];
extern const uint16_t cm_ua_base[];
extern const uint16_t cm_ua_fail[];
extern const cm_ua_slot_t cm_ua_slots[];
extern const uint16_t cm_ua_found_clauses[];

#endif
