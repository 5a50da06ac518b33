#include "enrich/campaign.h"

#include "enrich/form.h"
#include "enrich/url_parts.h"

enum {
    LONGEST_NAME = 12, /* bytes of the longest name below: utm_campaign */
    ESCAPE_MAX = 4,    /* bytes of one written as an escape: \xHH */
};

/* What a parameter says: a field of the campaign, by a name of one of the families, or: */
typedef enum meaning { FIELD, REF, SOURCE, CLICK, NOTHING } meaning_t;

typedef struct parameter {
    meaning_t meaning;
    int field, family; /* of a FIELD */
} parameter_t;

enum { GIVEN = -1, ABSENT = 99 };

/* What the parameters so far have said; values are decoded and trimmed, and empty while absent. */
typedef struct reading {
    cm_campaign_t *campaign;
    cm_arena_t *arena;
    int families[CM_CAMPAIGN_FIELDS]; /* that each field is from, or GIVEN or ABSENT */
    cm_str_t ref, source;
    bool any_field, click;
} reading_t;

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const cm_str_t families[] = {NAME("utm_"), NAME("mtm_"), NAME("pk_")};

static const struct {
    cm_str_t name;
    int field;
} field_names[] = {
    {NAME("source"), CM_CAMPAIGN_SOURCE},   {NAME("medium"), CM_CAMPAIGN_MEDIUM},
    {NAME("campaign"), CM_CAMPAIGN_NAME},   {NAME("term"), CM_CAMPAIGN_TERM},
    {NAME("keyword"), CM_CAMPAIGN_TERM},    {NAME("kwd"), CM_CAMPAIGN_TERM},
    {NAME("content"), CM_CAMPAIGN_CONTENT},
};

/* Click ids of advertisements. Those of ordinary links (fbclid, igsh, srsltid) are none. */
static const cm_str_t clicks[] = {NAME("gclid"),      NAME("gbraid"),    NAME("wbraid"),
                                  NAME("gad_source"), NAME("msclkid"),   NAME("ttclid"),
                                  NAME("twclid"),     NAME("li_fat_id"), NAME("yclid")};

enum {
    FAMILIES = sizeof families / sizeof families[0],
    FIELD_NAMES = sizeof field_names / sizeof field_names[0],
    CLICKS = sizeof clicks / sizeof clicks[0],
};

static cm_str_t before(cm_str_t text, char end)
{
    const char *at = text.len > 0 ? memchr(text.data, end, text.len) : NULL;

    return (cm_str_t){text.data, at != NULL ? (size_t)(at - text.data) : text.len};
}

static cm_str_t from(cm_str_t text, size_t at)
{
    return (cm_str_t){text.data + at, text.len - at};
}

/* The length is compared here, because it nearly always differs. */
static bool is_name(cm_str_t text, cm_str_t name)
{
    return text.len == name.len && cm_str_equal_nocase(text, name);
}

/* So is the first letter; every start begins with one. */
static bool begins_with(cm_str_t text, cm_str_t start)
{
    return text.len > start.len && (text.data[0] | 0x20) == start.data[0] &&
           cm_str_equal_nocase((cm_str_t){text.data, start.len}, start);
}

/* Whether the name is one of a family's; sets field and family. */
static bool find_field(cm_str_t name, parameter_t *parameter)
{
    for (int family = 0; family < FAMILIES; family++) {
        const cm_str_t start = families[family];
        if (!begins_with(name, start))
            continue;
        for (int i = 0; i < FIELD_NAMES; i++) {
            if (is_name(from(name, start.len), field_names[i].name)) {
                parameter->field = field_names[i].field;
                parameter->family = family;
                return true;
            }
        }
    }
    return false;
}

static parameter_t read_name(cm_str_t name)
{
    parameter_t parameter = {.meaning = NOTHING};

    if (find_field(name, &parameter))
        parameter.meaning = FIELD;
    else if (is_name(name, CM_STR("ref")))
        parameter.meaning = REF;
    else if (is_name(name, CM_STR("source")))
        parameter.meaning = SOURCE;
    for (int i = 0; parameter.meaning == NOTHING && i < CLICKS; i++) {
        if (is_name(name, clicks[i]))
            parameter.meaning = CLICK;
    }
    return parameter;
}

static cm_str_t decode(const reading_t *reading, cm_str_t value)
{
    return cm_str_trim(cm_form_decode(value, reading->arena));
}

static void take_field(reading_t *reading, const parameter_t *parameter, cm_str_t written)
{
    reading->any_field = true;
    if (parameter->family >= reading->families[parameter->field])
        return;
    cm_str_t value = decode(reading, written);
    if (value.len > 0) {
        reading->campaign->fields[parameter->field] = value;
        reading->families[parameter->field] = parameter->family;
    }
}

static void take(reading_t *reading, cm_str_t name, cm_str_t written)
{
    if (name.len > ESCAPE_MAX * LONGEST_NAME)
        return;
    const parameter_t parameter = read_name(cm_form_decode(name, reading->arena));
    switch (parameter.meaning) {
    case FIELD:
        take_field(reading, &parameter, written);
        break;
    case REF:
        if (reading->ref.len == 0)
            reading->ref = decode(reading, written);
        break;
    case SOURCE:
        if (reading->source.len == 0)
            reading->source = decode(reading, written);
        break;
    case CLICK:
        reading->click = reading->click || decode(reading, written).len > 0;
        break;
    case NOTHING:
        break;
    }
}

static void take_all(reading_t *reading, cm_str_t query)
{
    while (query.len > 0) {
        cm_str_t whole = before(query, '&'), parameter = whole;
        while (begins_with(parameter, CM_STR("amp;")))
            parameter = from(parameter, 4);
        cm_str_t name = before(parameter, '=');
        take(reading, name, from(parameter, name.len < parameter.len ? name.len + 1 : name.len));
        query = from(query, whole.len < query.len ? whole.len + 1 : whole.len);
    }
}

/* Cuts what was found to the limit; returns how many values. */
static int cut(reading_t *reading)
{
    int count = 0;

    for (int i = 0; i < CM_CAMPAIGN_FIELDS; i++) {
        cm_str_t *value = &reading->campaign->fields[i];
        if (reading->families[i] != GIVEN && value->len > CM_CAMPAIGN_MAX) {
            value->len = (size_t)cm_utf8_head(*value, CM_CAMPAIGN_MAX);
            count++;
        }
    }
    return count;
}

int cm_campaign_fill(cm_str_t url, cm_arena_t *arena, cm_campaign_t *campaign)
{
    const cm_str_t query = cm_url_query(url);
    cm_str_t *source = &campaign->fields[CM_CAMPAIGN_SOURCE];
    cm_str_t *medium = &campaign->fields[CM_CAMPAIGN_MEDIUM];
    reading_t reading = {.campaign = campaign, .arena = arena};

    if (query.len == 0) /* nearly always true */
        return 0;
    for (int i = 0; i < CM_CAMPAIGN_FIELDS; i++)
        reading.families[i] = campaign->fields[i].len > 0 ? GIVEN : ABSENT;
    take_all(&reading, query);
    if (source->len == 0 && !reading.any_field) {
        *source = reading.ref.len > 0 ? reading.ref : reading.source;
        campaign->by_ref = source->len > 0 && !reading.click;
    }
    if (medium->len == 0 && reading.click)
        *medium = CM_STR("cpc");
    return cut(&reading);
}
