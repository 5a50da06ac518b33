#include "event/extra.h"

#include "event/props.h"

const char *const cm_extra_names[CM_EXTRA_COUNT] = {
    "name",     "referrer",    "utm_source",      "utm_medium", "utm_campaign",
    "utm_term", "utm_content", "browser_version", "os_version", "region",
    "language", "props",       "engaged_ms",
};

/* Their lengths, so that names that are none of them are found so at once. */
static const unsigned char name_lens[CM_EXTRA_COUNT] = {4,  8,  10, 10, 12, 8, 11,
                                                        15, 10, 6,  8,  5,  10};

const size_t cm_extra_limits[CM_EXTRA_TEXTS] = {
    [CM_EXTRA_NAME] = 64,          [CM_EXTRA_REFERRER] = 2048,
    [CM_EXTRA_UTM_SOURCE] = 256,   [CM_EXTRA_UTM_MEDIUM] = 256,
    [CM_EXTRA_UTM_CAMPAIGN] = 256, [CM_EXTRA_UTM_TERM] = 256,
    [CM_EXTRA_UTM_CONTENT] = 256,  [CM_EXTRA_BROWSER_VERSION] = 64,
    [CM_EXTRA_OS_VERSION] = 64,    [CM_EXTRA_REGION] = 64,
    [CM_EXTRA_LANGUAGE] = 64,      [CM_EXTRA_PROPS] = CM_PROPS_SIZE_MAX,
};

cm_extra_field_t cm_extra_find(cm_str_t name)
{
    for (int i = 0; i < CM_EXTRA_COUNT; i++) {
        if (cm_str_equal(name, (cm_str_t){cm_extra_names[i], name_lens[i]}))
            return (cm_extra_field_t)i;
    }
    return CM_EXTRA_COUNT;
}

static bool is_page_view(cm_str_t name)
{
    return name.len == 0 || cm_str_equal(name, CM_STR("pageview"));
}

/* Whether the field counts: a stated "pageview" is the same as no name. */
static bool has_text(const cm_event_extra_t *extra, int field)
{
    return field == CM_EXTRA_NAME ? !is_page_view(extra->text[field]) : extra->text[field].len > 0;
}

bool cm_event_extra_is_none(const cm_event_extra_t *extra)
{
    return cm_event_extra_stated(extra) == 0;
}

unsigned cm_event_extra_stated(const cm_event_extra_t *extra)
{
    unsigned stated = extra->engaged_ms >= 0;

    for (int i = 0; i < CM_EXTRA_TEXTS; i++)
        stated += has_text(extra, i);
    return stated;
}

int cm_event_extra_set_engaged(cm_event_extra_t *extra, int64_t ms, cm_err_t *err)
{
    if (ms < 0 || ms > CM_ENGAGED_MAX)
        return cm_fail(err, CM_EREJECT, "engaged_ms is %lld, it must be from 0 to %d",
                       (long long)ms, CM_ENGAGED_MAX);
    extra->engaged_ms = (int32_t)ms;
    return 0;
}

int cm_event_extra_set(cm_event_extra_t *extra, cm_extra_field_t field, cm_str_t text,
                       cm_arena_t *arena, cm_err_t *err)
{
    int64_t ms;

    if (field == CM_EXTRA_ENGAGED) {
        extra->engaged_ms = -1;
        if (text.len == 0)
            return 0;
        if (!cm_str_to_i64(text, &ms))
            return cm_fail(err, CM_EREJECT, "engaged_ms is not an integer of milliseconds");
        return cm_event_extra_set_engaged(extra, ms, err);
    }
    if (field != CM_EXTRA_PROPS || text.len == 0) {
        extra->text[field] = text;
        return 0;
    }
    if (!cm_utf8_valid(text.data, text.len))
        return cm_fail(err, CM_EREJECT, "props is not valid UTF-8");
    return cm_props_read(text, arena, &extra->text[field], err);
}

int cm_event_extra_check(const cm_event_extra_t *extra, bool utf8_known, cm_err_t *err)
{
    for (int i = 0; i < CM_EXTRA_TEXTS; i++) {
        const cm_str_t text = extra->text[i];
        if (text.len == 0)
            continue;
        if (text.len > cm_extra_limits[i])
            return cm_fail(err, CM_EREJECT, "%s is %zu bytes long, the limit is %zu",
                           cm_extra_names[i], text.len, cm_extra_limits[i]);
        if (!utf8_known && !cm_utf8_valid(text.data, text.len))
            return cm_fail(err, CM_EREJECT, "%s is not valid UTF-8", cm_extra_names[i]);
    }
    const bool engagement = cm_str_equal(extra->text[CM_EXTRA_NAME], CM_STR("engagement"));
    if (engagement && extra->engaged_ms < 0)
        return cm_fail(err, CM_EREJECT, "engaged_ms is missing; the name engagement needs it");
    if (!engagement && extra->engaged_ms >= 0)
        return cm_fail(err, CM_EREJECT, "engaged_ms is only for events with the name engagement");
    return 0;
}

const cm_event_extra_t *cm_event_extra_keep(const cm_event_extra_t *extra, cm_arena_t *arena)
{
    if (extra == NULL || cm_event_extra_is_none(extra))
        return NULL;
    cm_event_extra_t *kept = cm_arena_alloc(arena, sizeof *kept);
    *kept = *extra;
    if (!has_text(kept, CM_EXTRA_NAME))
        kept->text[CM_EXTRA_NAME] = (cm_str_t){NULL, 0};
    return kept;
}

const cm_event_extra_t *cm_event_extra_copy(const cm_event_extra_t *extra, cm_arena_t *arena)
{
    if (extra == NULL)
        return NULL;
    cm_event_extra_t *copy = cm_arena_alloc(arena, sizeof *copy);
    *copy = *extra;
    for (int i = 0; i < CM_EXTRA_TEXTS; i++) {
        if (copy->text[i].len > 0)
            copy->text[i] = cm_arena_copy(arena, copy->text[i]);
    }
    return copy;
}

size_t cm_event_extra_size(const cm_event_extra_t *extra)
{
    if (extra == NULL)
        return 0;
    size_t size = sizeof *extra;
    for (int i = 0; i < CM_EXTRA_TEXTS; i++)
        size += extra->text[i].len;
    return size;
}

bool cm_event_extra_equal(const cm_event_extra_t *a, const cm_event_extra_t *b)
{
    const cm_event_extra_t none = CM_EVENT_EXTRA_NONE;

    a = a != NULL ? a : &none;
    b = b != NULL ? b : &none;
    for (int i = 0; i < CM_EXTRA_TEXTS; i++) {
        if (!cm_str_equal(a->text[i], b->text[i]))
            return false;
    }
    return a->engaged_ms == b->engaged_ms;
}

void cm_event_extra_add_json(cm_buf_t *buf, const cm_event_extra_t *extra)
{
    if (extra == NULL)
        return;
    for (int i = 0; i < CM_EXTRA_TEXTS; i++) {
        if (extra->text[i].len == 0)
            continue;
        cm_buf_printf(buf, ", \"%s\": ", cm_extra_names[i]);
        if (i == CM_EXTRA_PROPS)
            cm_buf_add_str(buf, extra->text[i]);
        else
            cm_buf_add_json(buf, extra->text[i]);
    }
    if (extra->engaged_ms >= 0) {
        cm_buf_printf(buf, ", \"%s\": ", cm_extra_names[CM_EXTRA_ENGAGED]);
        cm_buf_add_i64(buf, extra->engaged_ms);
    }
}
