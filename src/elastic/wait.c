#include "base/clock.h"
#include "base/terminal.h"
#include "elastic/access.h"

#include <stdio.h>

enum {
    ASK_MS = 250, /* between calls of the waiter; less than CM_WAIT_MS */
    FIRST_MS = 100,
    LAST_MS = 10000,
    AFTER_MS = 60000, /* the longest time for which a server can postpone a request */
};

void cm_elastic_wait_init(cm_elastic_wait_t *wait, const cm_elastic_access_t *access,
                          const cm_waiter_t *waiter)
{
    *wait = (cm_elastic_wait_t){.access = access, .waiter = waiter};
    wait->asked_ns = cm_clock_ticks_ns();
    wait->random = (uint64_t)wait->asked_ns;
}

int cm_elastic_wait_check(cm_elastic_wait_t *wait, cm_err_t *err)
{
    const atomic_bool *stop = wait->access->settings->stop;
    const char *reason = wait->reason[0] != '\0' ? wait->reason : NULL;
    int64_t now = cm_clock_ticks_ns();

    if (stop != NULL && atomic_load(stop))
        return cm_fail(err, CM_ESTOP, "stopped while waiting for Elasticsearch at %s",
                       wait->access->shown);
    if (wait->waiter == NULL || now - wait->asked_ns < ASK_MS * INT64_C(1000000))
        return 0;
    wait->asked_ns = now;
    int rc = wait->waiter->wait(wait->waiter->context, wait->failures, reason);
    if (rc >= 0)
        return 0;
    wait->gave_up = true;
    if (reason != NULL)
        return cm_fail(err, rc, "gave up waiting for Elasticsearch at %s", reason);
    return cm_fail(err, rc, "gave up waiting for Elasticsearch at %s: it is slow",
                   wait->access->shown);
}

void cm_elastic_wait_failed(cm_elastic_wait_t *wait, const char *reason)
{
    cm_buf_t safe = CM_BUF_INIT;

    wait->failures++;
    cm_terminal_add(&safe, cm_str(reason));
    snprintf(wait->reason, sizeof wait->reason, "%.*s",
             cm_utf8_head((cm_str_t){safe.data, safe.len}, (int)sizeof wait->reason - 1),
             safe.data);
    cm_buf_free(&safe);
    cm_debug(wait->access->settings->log, CM_DEBUG_ELASTIC, "the request is sent again",
             "failures=%llu reason=\"%s\"", (unsigned long long)wait->failures, wait->reason);
}

void cm_elastic_wait_lost(cm_elastic_wait_t *wait, size_t host, CURLcode code, const char *detail)
{
    char reason[sizeof wait->reason];

    snprintf(reason, sizeof reason, "%s: %s", wait->access->hosts[host],
             detail[0] != '\0' ? detail : curl_easy_strerror(code));
    cm_elastic_wait_failed(wait, reason);
}

void cm_elastic_wait_refused(cm_elastic_wait_t *wait, size_t host, const cm_elastic_reply_t *reply)
{
    cm_buf_t reason = CM_BUF_INIT;

    cm_buf_printf(&reason, "%s: ", wait->access->hosts[host]);
    cm_elastic_add_reply_reason(&reason, reply);
    cm_elastic_wait_failed(wait, reason.data);
    cm_buf_free(&reason);
}

/* xorshift64 (Marsaglia): so that several clients do not return at the same moment. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int64_t cm_elastic_wait_delay(cm_elastic_wait_t *wait, int64_t *delay_ms, int64_t least_ms)
{
    int64_t delay = *delay_ms > 0 ? *delay_ms : FIRST_MS;

    *delay_ms = 2 * delay < LAST_MS ? 2 * delay : LAST_MS;
    if (least_ms > delay)
        delay = least_ms < AFTER_MS ? least_ms : AFTER_MS;
    return delay + (int64_t)(next_random(&wait->random) % (uint64_t)(delay / 4 + 1));
}
