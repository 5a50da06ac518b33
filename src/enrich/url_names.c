#include "enrich/url_names.h"

enum { LETTERS = 26 };

/* The beginnings of names. */
static const char *const campaign_prefixes[] = {"utm_", "mtm_", "hsa_", "piwik_", "matomo_", NULL};
static const char *const session_prefixes[] = {"aspsessionid", "jservsession", NULL};

/* Names by their first letter, and after the last letter those that begin with '_'; each with a
 * space before and after it. They come from the registry of tracking parameters, Matomo's defaults,
 * and the manuals of the services that add them. */
static const char *const campaigns[LETTERS + 1] = {
    [LETTERS] = " __hsfp __hssc __hstc __s _branch_match_id _branch_referrer "
                "_bta_c _bta_tid _ga _gac _gl _hsenc _hsmi _ke _kx _openstat "
                "_sgm_action _sgm_campaign _sgm_pinned _sgm_source _sgm_term ",
    ['a' - 'a'] = " adgroupid admitad_uid at_campaign at_custom1 at_custom2 "
                  "at_medium awc awclid ",
    ['b' - 'a'] = " bsft_aaid bsft_clkid bsft_eid bsft_mid bsft_uid ",
    ['c' - 'a'] = " campaignid campid cjevent ct_params customid ",
    ['d' - 'a'] = " dclid dicbo dm_i ",
    ['e' - 'a'] = " ef_id epik et_rid ",
    ['f' - 'a'] = " fb_action_ids fb_action_types fb_comment_id fb_ref fb_source "
                  "fb_xd_fragment fbclid ",
    ['g' - 'a'] = " gad_campaignid gad_source gbraid gclid gclsrc gdffi gdfms "
                  "gdftrk guccounter guce_referrer guce_referrer_sig ",
    ['h' - 'a'] = " hsctatracking ",
    ['i' - 'a'] = " igsh igshid irclickid irgwc itm_campaign itm_content "
                  "itm_medium itm_source itm_term ",
    ['k' - 'a'] = " kenshoo_clickid ",
    ['l' - 'a'] = " li_fat_id lt_r ",
    ['m' - 'a'] = " mc_cid mc_eid mc_tc mindbox_click_id mindbox_message_key "
                  "mkcid mkevt mkrid mkt_tok mkwid ml_subscriber "
                  "ml_subscriber_hash msclkid msockid ",
    ['n' - 'a'] = " nb_klid ndclid ns_campaign ns_linkname ns_mchannel ns_source ",
    ['o' - 'a'] = " obclid oly_anon_id oly_enc_id ",
    ['p' - 'a'] = " pcrid pk_campaign pk_cid pk_content pk_cpn pk_group "
                  "pk_keyword pk_kwd pk_medium pk_placement pk_source pk_vid ",
    ['q' - 'a'] = " qclid ",
    ['r' - 'a'] = " rb_clickid rdt_cid redirect_log_mongo_id redirect_mongo_id "
                  "rtid ",
    ['s' - 'a'] = " s_cid s_kwcid sb_referer_host sc_campaign sc_channel "
                  "sc_content sc_eh sc_geo sc_medium sc_outcome sc_uid sccid si "
                  "sms_click sms_source sms_uph spm_id_from srsltid sscid "
                  "stm_campaign stm_medium stm_source ",
    ['t' - 'a'] = " tblci toolid trk_contact trk_module trk_msg trk_sid ttclid "
                  "twclid ",
    ['v' - 'a'] = " vero_conv vero_id vgo_ee vmcid vsm_cid ",
    ['w' - 'a'] = " wbraid wickedid wickedsource wt.mc_id wt_mc ",
    ['y' - 'a'] = " yclid ymclid ysclid ",
    ['z' - 'a'] = " zanpid ",
};

/* Session ids and keys to sessions, from Matomo's defaults and from the platforms that write them
 * into URLs. */
static const char *const sessions[LETTERS + 1] = {
    ['a' - 'a'] = " asp.net_sessionid ",
    ['b' - 'a'] = " bv_sessionid ",
    ['c' - 'a'] = " cfid cftoken ci_session ",
    ['d' - 'a'] = " doing_wp_cron ",
    ['j' - 'a'] = " jsessionid jsessionidsso jwsessionid ",
    ['m' - 'a'] = " mscssid ",
    ['o' - 'a'] = " oscsid ",
    ['p' - 'a'] = " phpsessid phpsessionid ",
    ['s' - 'a'] = " sessid session_id sessionid sessionkey sid ",
    ['t' - 'a'] = " token token_auth ",
    ['w' - 'a'] = " weblogicsession ",
    ['x' - 'a'] = " xtcsid ",
    ['z' - 'a'] = " zenid ",
};

static bool begins_with(cm_str_t name, const char *const *prefixes)
{
    for (; *prefixes != NULL; prefixes++) {
        size_t len = strlen(*prefixes);
        if (name.len > len && cm_str_equal_nocase((cm_str_t){name.data, len}, cm_str(*prefixes)))
            return true;
    }
    return false;
}

static bool is_listed(cm_str_t name, const char *const *lists)
{
    char first = name.len > 0 ? (char)(name.data[0] | 0x20) : '\0';
    int letter = first >= 'a' && first <= 'z' ? first - 'a' : LETTERS;

    if (name.len < 2 || (letter == LETTERS && name.data[0] != '_') || lists[letter] == NULL)
        return false;
    for (const char *at = lists[letter] + 1; *at != '\0';) {
        const char *end = strchr(at, ' ');
        cm_str_t listed = {at, (size_t)(end - at)};
        if (listed.len == name.len && cm_str_equal_nocase(name, listed))
            return true;
        at = end + 1;
    }
    return false;
}

bool cm_url_is_campaign(cm_str_t name)
{
    return is_listed(name, campaigns) || begins_with(name, campaign_prefixes);
}

bool cm_url_is_session(cm_str_t name)
{
    return is_listed(name, sessions) || begins_with(name, session_prefixes);
}
