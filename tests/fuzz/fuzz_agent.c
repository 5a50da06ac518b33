/* User agents, one a line: what is remembered is what is parsed, the automaton leaves no rule out,
 * and every text is one that an event may have. The line is cleaned as a URL, too. */
#include "enrich/ua.h"
#include "enrich/ua_match.h"
#include "enrich/url.h"
#include "event/event.h"
#include "fuzz.h"

enum { TEXTS = 13 };

static void list_texts(const cm_ua_t *ua, cm_str_t texts[TEXTS])
{
    const cm_str_t all[TEXTS] = {
        ua->browser.family, ua->browser.major, ua->browser.minor, ua->browser.patch,
        ua->os.family,      ua->os.major,      ua->os.minor,      ua->os.patch,
        ua->os.patch_minor, ua->device.family, ua->device.brand,  ua->device.model,
        ua->bot.name,
    };
    memcpy(texts, all, sizeof all);
}

static void check_same(const cm_ua_t *a, const cm_ua_t *b)
{
    cm_str_t left[TEXTS], right[TEXTS];

    list_texts(a, left);
    list_texts(b, right);
    for (int i = 0; i < TEXTS; i++) {
        FUZZ_CHECK(cm_str_equal(left[i], right[i]));
        FUZZ_CHECK(left[i].len <= CM_FIELD_MAX);
        FUZZ_CHECK(cm_utf8_valid(left[i].data, left[i].len));
    }
    FUZZ_CHECK(a->browser.family.len > 0 && a->os.family.len > 0 && a->device.family.len > 0);
    FUZZ_CHECK(a->bot.kind == b->bot.kind);
    FUZZ_CHECK((a->bot.kind != CM_BOT_NONE) == (a->bot.name.len > 0));
}

static void check_url(cm_str_t url)
{
    cm_arena_t arena = CM_ARENA_INIT;

    for (int drop = 0; drop < 2; drop++) {
        cm_str_t clean = cm_url_clean(url, drop, &arena);
        FUZZ_CHECK(clean.len <= url.len || clean.len <= CM_URL_MAX);
        FUZZ_CHECK((clean.len > 0) == (url.len > 0));
        FUZZ_CHECK(cm_str_equal(cm_url_clean(clean, drop, &arena), clean));
    }
    cm_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Compiling the patterns takes most of the time; they are the same for all inputs. */
    static cm_ua_rules_t *rules;
    static cm_ua_parser_t *parser, *other;
    static cm_ua_matcher_t *slow;

    if (rules == NULL) {
        rules = cm_ua_rules_new();
        parser = cm_ua_parser_new(rules);
        other = cm_ua_parser_new(rules);
        slow = cm_ua_matcher_new(rules);
        cm_ua_matcher_try_all(slow);
    }
    for (size_t at = 0; at < size;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t len = newline ? (size_t)(newline - data) - at : size - at;
        char *line = fuzz_copy(data + at, len, 0, 0);
        cm_str_t agent = {line, len};
        cm_ua_t all;

        const cm_ua_t *found = cm_ua_find(parser, agent);
        check_same(found, cm_ua_parse(other, agent));
        check_same(cm_ua_find(parser, agent), cm_ua_parse(other, agent));
        if (len <= CM_UA_MAX) {
            cm_ua_match(slow, agent, &all);
            check_same(&all, cm_ua_parse(other, agent));
        }
        check_url(agent);
        free(line);
        at += len + 1;
    }
    return 0;
}
