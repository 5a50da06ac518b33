/* Browser, operating system and device of a user agent, by the rules of uap-core; and which bot
 * sent it, by the patterns of crawler-user-agents and our own.
 *
 * Results are those of the reference implementation. The first rule of each kind that matches
 * counts, and the groups of its pattern fill its parts; when none matches, the family is "Other".
 * Only the first CM_UA_MAX bytes of a user agent are used. A part is cut to 256 bytes, the limit of
 * the contract. Bytes that are not UTF-8 match nothing. A pattern that needs more steps than any
 * real user agent counts as not matching, so that no user agent can keep a thread busy.
 *
 * Patterns are compiled when they are first tried; a cm_ua_rules_t shares them with all threads. A
 * cm_ua_parser_t belongs to one thread and caches the results of recent user agents. */
#ifndef CM_ENRICH_UA_H
#define CM_ENRICH_UA_H

#include "base/str.h"
#include "event/bot.h"

enum {
    CM_UA_MAX = 2048,
    /* How many user agents a parser caches: CM_UA_CACHE of up to CM_UA_CACHE_TEXT bytes, and
     * CM_UA_CACHE_LONG longer ones. In all up to 8 MiB with usual ones, 30 MiB with the longest. */
    CM_UA_CACHE = 16384,
    CM_UA_CACHE_TEXT = 512,
    CM_UA_CACHE_LONG = 64,
};

/* Absent parts are empty. */
typedef struct cm_ua {
    struct {
        cm_str_t family, major, minor, patch;
        cm_str_t version; /* the parts joined: "17.4.1", see cm_ua_match() */
    } browser;
    struct {
        cm_str_t family, major, minor, patch, patch_minor;
        cm_str_t version;
    } os;
    struct {
        cm_str_t family, brand, model;
    } device;
    /* Of the first pattern of crawler-user-agents or rule of bots.txt that matches. A device
     * "Spider" that only usual words for bots match, or nothing, has the browser's family for a
     * name and the kind CM_BOT_OTHER. */
    struct {
        cm_str_t name;
        cm_bot_kind_t kind; /* CM_BOT_NONE: no bot */
    } bot;
} cm_ua_t;

typedef struct cm_ua_rules cm_ua_rules_t;
typedef struct cm_ua_parser cm_ua_parser_t;

/* Never NULL (see cm_alloc). The rules must outlive their parsers. */
cm_ua_rules_t *cm_ua_rules_new(void);
void cm_ua_rules_free(cm_ua_rules_t *rules);

cm_ua_parser_t *cm_ua_parser_new(cm_ua_rules_t *rules);
void cm_ua_parser_free(cm_ua_parser_t *parser);

/* Finds browser, system and device. The result lives until the next call with this parser. */
const cm_ua_t *cm_ua_find(cm_ua_parser_t *parser, cm_str_t agent);

/* The same without the cache. */
const cm_ua_t *cm_ua_parse(cm_ua_parser_t *parser, cm_str_t agent);

#endif
