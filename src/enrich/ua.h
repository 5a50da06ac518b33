/* Browser, operating system and device of a user agent text, by the rules of uap-core; and whether
 * a program sends it, by the patterns of crawler-user-agents and our own.
 *
 * Results are those of the reference implementation: the first rule of each kind that matches
 * counts, its parts filled from the groups of its pattern; where none matches the family is
 * "Other". Of an agent longer than CM_UA_MAX bytes only those are looked at; a part is cut to 256
 * bytes, what the contract allows. Bytes that are not UTF-8 match nothing. A pattern that needs
 * more steps than any real agent costs, counts as not matching, so that no agent can keep a thread
 * busy.
 *
 * Patterns are compiled when they are first tried, and shared by all threads through a
 * cm_ua_rules_t. A cm_ua_parser_t belongs to one thread and remembers the agents it has seen
 * lately. */
#ifndef CM_ENRICH_UA_H
#define CM_ENRICH_UA_H

#include "base/str.h"

enum {
    CM_UA_MAX = 2048,
    /* Agents of up to CM_UA_CACHE_TEXT bytes that a parser remembers, and longer ones. Together up
     * to 8 MiB of usual agents, 30 MiB of the longest. */
    CM_UA_CACHE = 16384,
    CM_UA_CACHE_TEXT = 512,
    CM_UA_CACHE_LONG = 64,
};

/* Absent parts are empty. */
typedef struct cm_ua {
    struct {
        cm_str_t family, major, minor, patch;
    } browser;
    struct {
        cm_str_t family, major, minor, patch, patch_minor;
    } os;
    struct {
        cm_str_t family, brand, model;
    } device;
    bool bot; /* device family "Spider", a pattern of crawler-user-agents or a rule of bots.txt */
} cm_ua_t;

typedef struct cm_ua_rules cm_ua_rules_t;
typedef struct cm_ua_parser cm_ua_parser_t;

/* Never NULL (see cm_alloc). The rules outlive their parsers. */
cm_ua_rules_t *cm_ua_rules_new(void);
void cm_ua_rules_free(cm_ua_rules_t *rules);

cm_ua_parser_t *cm_ua_parser_new(cm_ua_rules_t *rules);
void cm_ua_parser_free(cm_ua_parser_t *parser);

/* What the agent tells. Lives until the next call with this parser. */
const cm_ua_t *cm_ua_find(cm_ua_parser_t *parser, cm_str_t agent);

/* The same without looking at what is remembered, and without remembering it. */
const cm_ua_t *cm_ua_parse(cm_ua_parser_t *parser, cm_str_t agent);

#endif
