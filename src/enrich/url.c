#include "enrich/url.h"

/* What a name begins with. */
static const char *const prefixes[] = {"utm_", "mtm_", "hsa_"};

/* By their first character, '_' before the letters. */
static const char *const names[] = {
    "__hsfp",        "__hssc",
    "__hstc",        "_bta_c",
    "_bta_tid",      "_ga",
    "_gl",           "_hsenc",
    "_hsmi",         "_kx",
    "_ke",           "_openstat",
    "dclid",         "dm_i",
    "ef_id",         "epik",
    "fbclid",        "gad_campaignid",
    "gad_source",    "gbraid",
    "gclid",         "gclsrc",
    "hsctatracking", "igsh",
    "igshid",        "irclickid",
    "li_fat_id",     "mc_cid",
    "mc_eid",        "mkt_tok",
    "ml_subscriber", "ml_subscriber_hash",
    "msclkid",       "oly_anon_id",
    "oly_enc_id",    "pk_campaign",
    "pk_cid",        "pk_content",
    "pk_keyword",    "pk_kwd",
    "pk_medium",     "pk_source",
    "rb_clickid",    "s_cid",
    "sccid",         "srsltid",
    "ttclid",        "twclid",
    "vero_conv",     "vero_id",
    "wbraid",        "wickedid",
    "yclid",         "ymclid",
};

bool cm_url_is_campaign(cm_str_t name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t len = strlen(prefixes[i]);
        if (name.len > len && cm_str_equal_nocase((cm_str_t){name.data, len}, cm_str(prefixes[i])))
            return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (name.len > 0 && (name.data[0] | 0x20) == (names[i][0] | 0x20) &&
            cm_str_equal_nocase(name, cm_str(names[i])))
            return true;
    }
    return false;
}

/* Up to the first `end`, or all of it. */
static cm_str_t before(cm_str_t text, char end)
{
    const char *at = text.len > 0 ? memchr(text.data, end, text.len) : NULL;

    return (cm_str_t){text.data, at != NULL ? (size_t)(at - text.data) : text.len};
}

/* Copies the parameters that stay to `out`; returns the number of bytes. */
static size_t keep_parameters(cm_str_t query, char *out)
{
    size_t len = 0;
    bool first = true;

    for (;;) {
        cm_str_t parameter = before(query, '&');
        if (!cm_url_is_campaign(before(parameter, '='))) {
            if (!first)
                out[len++] = '&';
            memcpy(out + len, parameter.data, parameter.len);
            len += parameter.len;
            first = false;
        }
        if (parameter.len == query.len)
            return len;
        query.data += parameter.len + 1;
        query.len -= parameter.len + 1;
    }
}

static bool has_campaign(cm_str_t query)
{
    for (;;) {
        cm_str_t parameter = before(query, '&');
        if (cm_url_is_campaign(before(parameter, '=')))
            return true;
        if (parameter.len == query.len)
            return false;
        query.data += parameter.len + 1;
        query.len -= parameter.len + 1;
    }
}

static cm_str_t clean_query(cm_str_t url, cm_str_t path, cm_arena_t *arena)
{
    cm_str_t query = {url.data + path.len + 1, url.len - path.len - 1};

    if (!has_campaign(query))
        return url;
    char *text = cm_arena_alloc(arena, url.len);
    memcpy(text, url.data, path.len + 1);
    size_t kept = keep_parameters(query, text + path.len + 1);
    return kept == 0 ? path : (cm_str_t){text, path.len + 1 + kept};
}

cm_str_t cm_url_clean(cm_str_t url, bool drop_query, cm_arena_t *arena)
{
    cm_str_t clean = before(url, '#'), path = before(clean, '?');

    if (path.len < clean.len)
        clean = drop_query ? path : clean_query(clean, path, arena);
    return clean.len > 0 ? clean : url;
}
