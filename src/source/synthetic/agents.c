#include "source/synthetic/agents.h"

/* A kind of browser with a range of major versions. `text` has {} instead of the version. */
typedef struct kind {
    const char *browser, *os, *device;
    uint8_t weight; /* per mille of the users */
    uint8_t oldest, newest;
    const char *text;
} kind_t;

/* Families of user agents, as the browsers' own documentation describes them. */
#define CHROME(platform)                                                                           \
    "Mozilla/5.0 (" platform ") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 "
#define DESKTOP "Safari/537.36"
#define PHONE   "Mobile Safari/537.36"
#define SAFARI(platform, version)                                                                  \
    "Mozilla/5.0 (" platform ") AppleWebKit/605.1.15 (KHTML, like Gecko) Version/" version " "
#define CRIOS(platform)                                                                            \
    "Mozilla/5.0 (" platform ") AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/{}.0.6367.88 "
#define FIREFOX(platform)       "Mozilla/5.0 (" platform "; rv:{}.0) Gecko/20100101 Firefox/{}.0"
#define FIREFOX_PHONE(platform) "Mozilla/5.0 (" platform "; rv:{}.0) Gecko/{}.0 Firefox/{}.0"
#define SAMSUNG(platform)                                                                          \
    "Mozilla/5.0 (" platform ") AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/{}.0 "       \
    "Chrome/115.0.0.0 "
#define IOS "Mobile/15E148 Safari/604.1"

#define WINDOWS "Windows NT 10.0; Win64; x64"
#define WIN7    "Windows NT 6.1; Win64; x64"
#define MAC     "Macintosh; Intel Mac OS X 10_15_7"
#define LINUX   "X11; Linux x86_64"
#define CROS    "X11; CrOS x86_64 14541.0.0"

static const kind_t kinds[] = {
    {"Chrome", "Windows 10", "Desktop", 210, 115, 124, CHROME(WINDOWS) DESKTOP},
    {"Edge", "Windows 10", "Desktop", 60, 118, 124, CHROME(WINDOWS) DESKTOP " Edg/{}.0.0.0"},
    {"Firefox", "Windows 10", "Desktop", 40, 112, 125, FIREFOX(WINDOWS)},
    {"Opera", "Windows 10", "Desktop", 15, 104, 109,
     "Mozilla/5.0 (" WINDOWS ") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 " DESKTOP
     " OPR/{}.0.0.0"},
    {"Chrome", "Windows 7", "Desktop", 8, 106, 109, CHROME(WIN7) DESKTOP},
    {"Firefox", "Windows 7", "Desktop", 4, 110, 115, FIREFOX(WIN7)},
    {"Chrome", "Mac OS X 10.15", "Desktop", 60, 115, 124, CHROME(MAC) DESKTOP},
    {"Safari", "Mac OS X 10.15", "Desktop", 25, 1, 1, SAFARI(MAC, "17.4") "Safari/605.1.15"},
    {"Safari", "Mac OS X 10.15", "Desktop", 15, 1, 1, SAFARI(MAC, "16.6") "Safari/605.1.15"},
    {"Firefox", "Mac OS X 10.15", "Desktop", 12, 115, 125,
     FIREFOX("Macintosh; Intel Mac OS X 10.15")},
    {"Edge", "Mac OS X 10.15", "Desktop", 4, 118, 124, CHROME(MAC) DESKTOP " Edg/{}.0.0.0"},
    {"Chrome", "Linux", "Desktop", 18, 115, 124, CHROME(LINUX) DESKTOP},
    {"Firefox", "Linux", "Desktop", 8, 112, 125, FIREFOX(LINUX)},
    {"Firefox", "Ubuntu", "Desktop", 8, 112, 125, FIREFOX("X11; Ubuntu; Linux x86_64")},
    {"Chrome", "Chrome OS 14541.0", "Desktop", 10, 116, 124, CHROME(CROS) DESKTOP},
    {"Safari", "iOS 17.4", "iPhone", 90, 1, 1,
     SAFARI("iPhone; CPU iPhone OS 17_4 like Mac OS X", "17.4") IOS},
    {"Safari", "iOS 16.6", "iPhone", 40, 1, 1,
     SAFARI("iPhone; CPU iPhone OS 16_6 like Mac OS X", "16.6") IOS},
    {"Safari", "iOS 15.8", "iPhone", 14, 1, 1,
     SAFARI("iPhone; CPU iPhone OS 15_8 like Mac OS X", "15.6") IOS},
    {"Chrome", "iOS 17.4", "iPhone", 20, 118, 124,
     CRIOS("iPhone; CPU iPhone OS 17_4 like Mac OS X") IOS},
    {"Safari", "iOS 17.4", "iPad", 14, 1, 1, SAFARI("iPad; CPU OS 17_4 like Mac OS X", "17.4") IOS},
    {"Safari", "iOS 16.6", "iPad", 8, 1, 1, SAFARI("iPad; CPU OS 16_6 like Mac OS X", "16.6") IOS},
    {"Chrome", "iOS 17.4", "iPad", 4, 118, 124, CRIOS("iPad; CPU OS 17_4 like Mac OS X") IOS},
    {"Chrome", "Android 14", "Samsung SM-S918B", 40, 116, 124,
     CHROME("Linux; Android 14; SM-S918B") PHONE},
    {"Samsung Internet", "Android 14", "Samsung SM-S918B", 20, 22, 24,
     SAMSUNG("Linux; Android 14; SM-S918B") PHONE},
    {"Chrome", "Android 13", "Samsung SM-A536B", 36, 114, 124,
     CHROME("Linux; Android 13; SM-A536B") PHONE},
    {"Samsung Internet", "Android 13", "Samsung SM-A536B", 16, 22, 24,
     SAMSUNG("Linux; Android 13; SM-A536B") PHONE},
    {"Chrome", "Android 12", "Samsung SM-A125F", 30, 112, 124,
     CHROME("Linux; Android 12; SM-A125F") PHONE},
    {"Chrome", "Android 11", "Samsung SM-A207F", 14, 110, 122,
     CHROME("Linux; Android 11; SM-A207F") PHONE},
    {"Chrome", "Android 14", "Pixel 8", 28, 118, 124, CHROME("Linux; Android 14; Pixel 8") PHONE},
    {"Firefox", "Android 14", "Generic Smartphone", 8, 118, 125,
     FIREFOX_PHONE("Android 14; Mobile")},
    {"Chrome", "Android 13", "Pixel 6a", 16, 116, 124, CHROME("Linux; Android 13; Pixel 6a") PHONE},
    {"Chrome", "Android 13", "Redmi Note 12", 30, 114, 124,
     CHROME("Linux; Android 13; Redmi Note 12") PHONE},
    {"Chrome", "Android 11", "Redmi Note 9 Pro", 22, 110, 123,
     CHROME("Linux; Android 11; Redmi Note 9 Pro") PHONE},
    {"Chrome", "Android 10", "Huawei P30 Lite", 16, 108, 122,
     CHROME("Linux; Android 10; HUAWEI P30 lite") PHONE},
    {"Chrome", "Android 13", "Moto G84", 12, 116, 124,
     CHROME("Linux; Android 13; moto g84 5G") PHONE},
    {"Chrome", "Android 13", "OnePlus CPH2449", 10, 116, 124,
     CHROME("Linux; Android 13; CPH2449") PHONE},
    {"Chrome", "Android 13", "Samsung SM-X200", 12, 115, 124,
     CHROME("Linux; Android 13; SM-X200") DESKTOP},
    {"Chrome", "Android 9", "Amazon KFTRWI", 3, 106, 120,
     CHROME("Linux; Android 9; KFTRWI") DESKTOP},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static uint32_t versions(const kind_t *kind)
{
    return (uint32_t)(kind->newest - kind->oldest) + 1;
}

uint32_t cm_agents_count(void)
{
    uint32_t count = 0;
    for (int i = 0; i < KINDS; i++)
        count += versions(&kinds[i]);
    return count;
}

static cm_str_t spell(cm_arena_t *arena, cm_buf_t *scratch, const char *text, uint32_t version)
{
    cm_buf_clear(scratch);
    for (const char *at = text, *gap; (gap = strstr(at, "{}")) != NULL; at = text) {
        cm_buf_add(scratch, at, (size_t)(gap - at));
        cm_buf_add_i64(scratch, version);
        text = gap + 2;
    }
    cm_buf_add_text(scratch, text);
    return cm_arena_copy(arena, (cm_str_t){scratch->data, scratch->len});
}

/* The version at the end of a system's name, "17.4" of "iOS 17.4"; empty: none. */
static cm_str_t os_version(const char *os)
{
    const char *space = strrchr(os, ' ');

    return space != NULL && space[1] >= '0' && space[1] <= '9' ? cm_str(space + 1) : CM_STR("");
}

/* Safari's version is in its user agent; other browsers have the version that is filled in there.
 */
static cm_str_t browser_version(cm_arena_t *arena, cm_buf_t *scratch, cm_str_t agent,
                                uint32_t version)
{
    static const char mark[] = "Version/";
    const char *at = memmem(agent.data, agent.len, mark, sizeof mark - 1);

    if (at == NULL)
        return spell(arena, scratch, "{}.0", version);
    at += sizeof mark - 1;
    size_t len = 0;
    while (at + len < agent.data + agent.len && at[len] != ' ')
        len++;
    return (cm_str_t){at, len};
}

const cm_agent_t *cm_agents_build(cm_arena_t *arena)
{
    cm_agent_t *agents = cm_arena_alloc(arena, cm_agents_count() * sizeof *agents);
    cm_agent_t *agent = agents;
    cm_buf_t scratch = CM_BUF_INIT;

    for (const kind_t *kind = kinds; kind < kinds + KINDS; kind++) {
        for (uint32_t version = kind->oldest; version <= kind->newest; version++, agent++) {
            agent->browser = cm_str(kind->browser);
            agent->os = cm_str(kind->os);
            agent->device = cm_str(kind->device);
            agent->text = spell(arena, &scratch, kind->text, version);
            agent->browser_version = browser_version(arena, &scratch, agent->text, version);
            agent->os_version = os_version(kind->os);
        }
    }
    cm_buf_free(&scratch);
    return agents;
}

uint32_t cm_agents_pick(cm_random_t *random)
{
    uint32_t total = 0, base = 0;
    const kind_t *kind = kinds;

    for (int i = 0; i < KINDS; i++)
        total += kinds[i].weight;
    uint32_t ticket = cm_random_below(random, total);
    for (; ticket >= kind->weight; kind++) {
        ticket -= kind->weight;
        base += versions(kind);
    }
    return base + cm_random_below(random, versions(kind));
}
