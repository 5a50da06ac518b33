#include "event/bot.h"

static const char *const names[CM_BOT_KINDS] = {
    [CM_BOT_NONE] = "",
    [CM_BOT_ACADEMIC] = "academic",
    [CM_BOT_ADVERTISING] = "advertising",
    [CM_BOT_AI_CRAWLER] = "ai-crawler",
    [CM_BOT_ARCHIVER] = "archiver",
    [CM_BOT_BROWSER_AUTOMATION] = "browser-automation",
    [CM_BOT_FEED_READER] = "feed-reader",
    [CM_BOT_HTTP_LIBRARY] = "http-library",
    [CM_BOT_MONITORING] = "monitoring",
    [CM_BOT_OTHER] = "other",
    [CM_BOT_SCANNER] = "scanner",
    [CM_BOT_SEARCH_ENGINE] = "search-engine",
    [CM_BOT_SEO] = "seo",
    [CM_BOT_SOCIAL_PREVIEW] = "social-preview",
};

const char *cm_bot_kind_name(cm_bot_kind_t kind)
{
    return names[kind];
}
