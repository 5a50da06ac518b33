/* One line of an access log, as combined and as common: what comes out are parts of the line. */
#include "base/clock.h"
#include "fuzz.h"
#include "source/accesslog.h"

static void check_parts(const cm_access_t *access, cm_str_t line)
{
    FUZZ_CHECK(access->address.len > 0 && fuzz_inside(access->address, line));
    FUZZ_CHECK(fuzz_inside(access->user, line));
    FUZZ_CHECK(cm_str_equal(access->request, CM_STR("-")) || fuzz_inside(access->request, line));
    FUZZ_CHECK(access->request.len > 0);
    FUZZ_CHECK(fuzz_inside(access->referrer, line) && fuzz_inside(access->agent, line));
    FUZZ_CHECK(access->status >= 0 && access->status <= 999);
    /* The method, the URL and the protocol, a space between each two, are all of the request. */
    FUZZ_CHECK((access->method.len > 0) == (access->url.len > 0) &&
               (access->method.len > 0) == (access->protocol.len > 0));
    if (access->method.len > 0) {
        FUZZ_CHECK(fuzz_inside(access->url, access->request));
        FUZZ_CHECK(access->request.len ==
                   access->method.len + access->url.len + access->protocol.len + 2);
    }
    if (cm_accesslog_is_page_view(access))
        FUZZ_CHECK(cm_str_equal(access->method, CM_STR("GET")) && access->status >= 200 &&
                   access->status <= 304 && !cm_accesslog_is_asset(access->url));
}

/* The time again, by the other reader of times: it stands behind the first " [" that closes the
 * user. */
static void check_time(const cm_access_t *access, cm_str_t line)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *at = memmem(line.data, line.len, " [", 2);
    char text[32], month[4] = {0};
    int64_t ms;

    /* The user begins behind two words, and neither of them holds a space. */
    const char *user = memchr(line.data, ' ', line.len);
    user = memchr(user + 1, ' ', (size_t)(line.data + line.len - user - 1));
    at = memmem(user + 1, (size_t)(line.data + line.len - user - 1), " [", 2);
    FUZZ_CHECK(at != NULL);
    at += 2; /* 17/May/2015:10:05:03 +0000 */
    memcpy(month, at + 3, 3);
    const char *found = strstr(names, month);
    FUZZ_CHECK(found != NULL && (found - names) % 3 == 0);
    snprintf(text, sizeof text, "%.4s-%02d-%.2sT%.8s%.3s:%.2s", at + 7,
             (int)(found - names) / 3 + 1, at, at + 12, at + 21, at + 24);
    FUZZ_CHECK(cm_time_parse(cm_str(text), &ms) && ms == access->time);
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
        FUZZ_CHECK(cm_str_equal(common.user, combined.user) && common.time == combined.time);
    } else {
        parse(line, true, &common);
    }
    cm_accesslog_is_asset(line);
    free(copy);
    return 0;
}
