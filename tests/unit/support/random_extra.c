#include "random_extra.h"

#include "event/props.h"

/* Few values, so that they are repeated; among them such as must be escaped. */
static cm_str_t any_text(uint64_t *random)
{
    static const cm_str_t texts[] = {
        CM_STR("signup"),           CM_STR("https://www.google.com/"), CM_STR("cpc"),
        CM_STR("spring, \"sale\""), CM_STR("\xC3\xA4 \\ \n"),          CM_STR("17")};

    return texts[test_random(random) % (sizeof texts / sizeof texts[0])];
}

/* Text of the length that is allowed at most. */
static cm_str_t long_text(int field, uint64_t *random, cm_arena_t *arena)
{
    const size_t len = cm_extra_limits[field];
    char *text = cm_arena_alloc(arena, len);

    memset(text, 'a' + (int)(test_random(random) % 26), len);
    return (cm_str_t){text, len};
}

static cm_str_t any_props(uint64_t *random, cm_arena_t *arena)
{
    static const char *const forms[] = {
        "{\"plan\": \"pro\"}", "{\"value\": 10.50, \"gift\": false}", "{\"order\": %llu}",
        "{\"a,b\": \"\\\"\\n\xE2\x82\xAC\", \"e\": -1e-3, \"id\": \"%llu\"}"};
    cm_str_t canonical;
    cm_err_t err;
    char json[120];

    const int len = snprintf(json, sizeof json, forms[test_random(random) % 4],
                             (unsigned long long)test_random(random));
    assert_ok(cm_props_read((cm_str_t){json, (size_t)len}, arena, &canonical, &err), err);
    return canonical;
}

const cm_event_extra_t *random_extra(uint64_t *random, cm_arena_t *arena)
{
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
    cm_err_t err;

    if (test_random(random) % 2 == 0)
        return NULL;
    for (int field = 0; field < CM_EXTRA_PROPS; field++) {
        const uint64_t kind = test_random(random) % 40;
        if (kind == 0)
            extra.text[field] = long_text(field, random, arena);
        else if (kind < 12)
            extra.text[field] = any_text(random);
    }
    if (test_random(random) % 3 == 0)
        extra.text[CM_EXTRA_PROPS] = any_props(random, arena);
    if (test_random(random) % 4 == 0) {
        extra.text[CM_EXTRA_NAME] = CM_STR("engagement");
        extra.engaged_ms = (int32_t)(test_random(random) % (CM_ENGAGED_MAX + 1));
    }
    assert_ok(cm_event_extra_check(&extra, false, &err), err);
    return cm_event_extra_keep(&extra, arena);
}
