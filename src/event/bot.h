/* Kinds of bots: programs that visit pages. Accounts count bots by kind.
 *
 * Constants and pure functions, for any thread. */
#ifndef CM_EVENT_BOT_H
#define CM_EVENT_BOT_H

/* The kinds of crawler-user-agents, in the order of their names, and one for the bots that are in
 * no list. When the package has a new kind, scripts/agents.py writes a name that is not here, and
 * the build fails. */
typedef enum cm_bot_kind {
    CM_BOT_NONE, /* a person */
    CM_BOT_ACADEMIC,
    CM_BOT_ADVERTISING,
    CM_BOT_AI_CRAWLER,
    CM_BOT_ARCHIVER,
    CM_BOT_BROWSER_AUTOMATION,
    CM_BOT_FEED_READER,
    CM_BOT_HTTP_LIBRARY,
    CM_BOT_MONITORING,
    CM_BOT_OTHER,
    CM_BOT_SCANNER,
    CM_BOT_SEARCH_ENGINE,
    CM_BOT_SEO,
    CM_BOT_SOCIAL_PREVIEW,
    CM_BOT_KINDS,
} cm_bot_kind_t;

/* "ai-crawler": the kind as the package writes it; "" for CM_BOT_NONE. */
const char *cm_bot_kind_name(cm_bot_kind_t kind);

#endif
