/* One line of an access log, as combined and as common: what comes out are parts of the line. */
#include "base/clock.h"
#include "fuzz.h"
#include "source/file/accesslog.h"
#include "source/file/format_unsupported.h"

static void check_parts(const cm_access_t *access, cm_str_t line)
{
    cm_address_t address;
    char canonical[CM_ADDRESS_TEXT];

    FUZZ_CHECK(access->address.len > 0);
    FUZZ_CHECK(fuzz_inside(access->user, line) && fuzz_inside(access->host, line));
    /* An address is in its canonical form, and no address is a name. */
    if (cm_address_parse(access->address, &address)) {
        size_t len = cm_address_write(&address, canonical);
        FUZZ_CHECK(cm_str_equal(access->address, (cm_str_t){canonical, len}));
    } else {
        FUZZ_CHECK(cm_str_equal(access->address, CM_STR("-")) ||
                   fuzz_inside(access->address, line));
    }
    FUZZ_CHECK(access->user.len == 0 || !cm_address_parse(access->user, &address));
    FUZZ_CHECK(cm_str_equal(access->request, CM_STR("-")) || fuzz_inside(access->request, line));
    FUZZ_CHECK(access->request.len > 0);
    FUZZ_CHECK(fuzz_inside(access->referrer, line) && fuzz_inside(access->agent, line));
    FUZZ_CHECK(access->status >= 0 && access->status <= 999);
    /* The method, the URL and, except for a simple request, the protocol, a space between each two,
     * are all of the request. */
    FUZZ_CHECK((access->method.len > 0) == (access->url.len > 0) &&
               (access->method.len > 0 || access->protocol.len == 0));
    if (access->method.len > 0) {
        FUZZ_CHECK(fuzz_inside(access->url, access->request));
        FUZZ_CHECK(access->request.len == access->method.len + access->url.len +
                                              access->protocol.len + 1 +
                                              (access->protocol.len > 0));
    }
    if (cm_accesslog_is_page_view(access))
        FUZZ_CHECK(cm_str_equal(access->method, CM_STR("GET")) && access->status >= 200 &&
                   access->status <= 304 && access->status != 206 &&
                   !cm_accesslog_is_asset(access->url) &&
                   !cm_accesslog_is_for_programs(access->url));
}

/* The time of "17/May/2015:10:05:03 +0000]" by the other reader of times; false when it is none. */
static bool read_time(const char *at, int64_t *ms)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[32], month[4] = {0};

    memcpy(month, at + 3, 3);
    const char *found = memchr(month, '\0', 3) == NULL ? strstr(names, month) : NULL;
    if (found == NULL || (found - names) % 3 != 0 || at[2] != '/' || at[6] != '/' ||
        at[11] != ':' || at[20] != ' ' || at[26] != ']')
        return false;
    snprintf(text, sizeof text, "%.4s-%02d-%.2sT%.8s%.3s:%.2s", at + 7,
             (int)(found - names) / 3 + 1, at, at + 12, at + 21, at + 24);
    return cm_time_parse(cm_str(text), ms);
}

/* The time again: it is the first one that stands in brackets. */
static void check_time(const cm_access_t *access, cm_str_t line)
{
    int64_t ms;

    for (size_t i = 0; i + 27 < line.len; i++) {
        if (line.data[i] == '[' && read_time(line.data + i + 1, &ms)) {
            FUZZ_CHECK(ms == access->time);
            return;
        }
    }
    FUZZ_CHECK(false);
}

static bool parse(cm_str_t line, bool common, cm_access_t *access)
{
    cm_err_t err = {0};

    int rc = cm_accesslog_parse(line, common, access, &err);
    if (rc < 0) {
        fuzz_check_refusal(rc, CM_EREJECT, &err);
        return false;
    }
    check_parts(access, line);
    check_time(access, line);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(data, size, 0, 0);
    cm_str_t line = {copy, size};
    cm_access_t combined, common;

    /* What is combined is common as well, with the referrer and the agent left aside. */
    if (parse(line, false, &combined)) {
        FUZZ_CHECK(parse(line, true, &common));
        FUZZ_CHECK(common.referrer.len == 0 && common.agent.len == 0);
        FUZZ_CHECK(cm_str_equal(common.request, combined.request));
        FUZZ_CHECK(cm_str_equal(common.user, combined.user) &&
                   cm_str_equal(common.address, combined.address) &&
                   cm_str_equal(common.host, combined.host) && common.time == combined.time);
    } else {
        parse(line, true, &common);
    }
    cm_accesslog_is_asset(line);
    cm_accesslog_is_for_programs(line);
    cm_format_unsupported_name(line);
    free(copy);
    return 0;
}
