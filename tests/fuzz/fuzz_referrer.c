/* Two lines: the URL of a page and its referrer. Campaign, source, channel and parts of the URLs.
 */
#include "base/host.h"
#include "enrich/attribution.h"
#include "enrich/form.h"
#include "enrich/url_parts.h"
#include "fuzz.h"

static bool is_part(cm_str_t part, cm_str_t whole)
{
    return part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void check_parts(cm_str_t url)
{
    const cm_str_t path = cm_url_path(url);

    FUZZ_CHECK(is_part(cm_url_host(url), url));
    FUZZ_CHECK(path.len > 0 && (is_part(path, url) || cm_str_equal(path, CM_STR("/"))));
    FUZZ_CHECK(is_part(cm_url_query(url), url));
}

/* A value is valid and has no blank at its beginning; what is filled stays. */
static void check_campaign(cm_str_t url, cm_campaign_t *campaign, cm_arena_t *arena)
{
    FUZZ_CHECK(cm_campaign_fill(url, arena, campaign) <= CM_CAMPAIGN_FIELDS);
    cm_campaign_t again = *campaign;
    FUZZ_CHECK(cm_campaign_fill(url, arena, &again) == 0);
    for (int i = 0; i < CM_CAMPAIGN_FIELDS; i++) {
        const cm_str_t value = campaign->fields[i];
        FUZZ_CHECK(value.len <= CM_CAMPAIGN_MAX && cm_utf8_valid(value.data, value.len));
        FUZZ_CHECK(value.len == 0 || cm_str_trim(value).data == value.data);
        FUZZ_CHECK(cm_str_equal(again.fields[i], value));
    }
}

static void check_attribution(const cm_attribution_rules_t *rules,
                              const cm_attribution_input_t *input)
{
    cm_buf_t scratch = CM_BUF_INIT;
    const bool internal = cm_attribution_is_internal(rules, input->url, input->referrer, &scratch);
    const cm_attribution_t found = cm_attribution_find(rules, input, &scratch);

    FUZZ_CHECK(found.source.len > 0 && found.channel.len > 0);
    if (internal && input->campaign.fields[CM_CAMPAIGN_SOURCE].len == 0)
        FUZZ_CHECK(cm_str_equal(found.source, CM_STR("Direct")));
    cm_buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static cm_attribution_rules_t *rules;
    const char *text = (const char *)data, *end = size > 0 ? memchr(text, '\n', size) : NULL;
    const size_t len = end != NULL ? (size_t)(end - text) : size,
                 rest = end != NULL ? len + 1 : len;
    cm_attribution_input_t input = {.url = {text, len}, .referrer = {text + rest, size - rest}};
    cm_arena_t arena = CM_ARENA_INIT;
    cm_err_t err;

    if (rules == NULL)
        FUZZ_CHECK(cm_attribution_rules_new("blog.example,*.pages.example", "*.paypal.com", &rules,
                                            &err) == 0);
    check_parts(input.url);
    check_parts(input.referrer);
    const cm_str_t decoded = cm_form_decode(input.url, &arena);
    FUZZ_CHECK(cm_utf8_valid(decoded.data, decoded.len));
    check_campaign(input.url, &input.campaign, &arena);
    check_attribution(rules, &input);
    cm_arena_free(&arena);
    return 0;
}
