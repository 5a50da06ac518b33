/* Bodies of HTTP requests, plain or gzip: whatever comes is counted, what is taken keeps the
 * contract's rules, a page's events lie near the present, and lines are read like an array of them.
 */
#include "fuzz.h"
#include "serve/body.h"
#include "source/http/posted.h"

enum { MAX_BODY = 64 * 1024 };

static const int64_t now = INT64_C(1772359200000);

static int64_t still(void *self)
{
    (void)self;
    return now;
}

static const cm_clock_t clock_of_now = {still, NULL};

/* What all inputs share: making it takes most of the time. */
static cm_posted_shared_t *shared_of(cm_visitor_choice_t visitor)
{
    static cm_posted_shared_t shared[3];

    if (shared[visitor].enrichment == NULL)
        shared[visitor] = (cm_posted_shared_t){
            .enrichment = cm_enrichment_new(&(cm_enrich_options_t){.geoip = "none"}),
            .clock = &clock_of_now,
            .visitor = visitor};
    return &shared[visitor];
}

static void check_events(const cm_batch_t *batch, bool page)
{
    for (size_t i = 0; i < batch->count; i++) {
        const cm_event_t *event = &batch->events[i];
        cm_err_t err;
        FUZZ_CHECK(cm_event_check(event, false, &err) == 0);
        FUZZ_CHECK(event->country.len > 0 && event->device.len > 0);
        FUZZ_CHECK(!page || (event->timestamp <= now + 5 * 60 * 1000 &&
                             event->timestamp >= now - CM_DAY_MS));
    }
}

static void read_body(const uint8_t *data, size_t size, bool gzip, bool lines, bool page)
{
    static cm_poster_t *posters[2];
    cm_body_t body = {.max = MAX_BODY};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_posted_result_t result = {0};
    const cm_posted_sender_t sender = {.page = page,
                                       .address = CM_STR("192.0.2.1"),
                                       .agent = CM_STR("Mozilla/5.0"),
                                       .cookie = CM_STR("00112233445566778899aabbccddeeff")};
    cm_err_t err;

    if (posters[page] == NULL)
        posters[page] =
            cm_poster_new(shared_of(page ? CM_VISITOR_COOKIE : CM_VISITOR_ADDRESS_HASH));
    cm_body_add(&body, data, size / 2);
    cm_body_add(&body, data + size / 2, size - size / 2);
    int rc = cm_body_end(&body, gzip, CM_EVENT_JSON_PADDING, &err);
    FUZZ_CHECK(rc == 0 || (gzip && rc == CM_EREJECT));
    if (rc == 0 && !body.too_large) {
        /* Exactly its size and the padding, so that reads beyond are seen. */
        char *copy = fuzz_copy(body.bytes.data, body.bytes.len, CM_EVENT_JSON_PADDING, 'x');
        rc = cm_posted_read(posters[page], (cm_str_t){copy, body.bytes.len}, lines, &sender, &batch,
                            &result, &err);
        if (rc < 0)
            fuzz_check_refusal(rc, CM_EREJECT, &err);
        FUZZ_CHECK(result.accepted == batch.count && batch.account.accepted == batch.count);
        FUZZ_CHECK(batch.account.read == result.accepted + result.skipped + result.rejected);
        FUZZ_CHECK(rc < 0 || batch.account.read > 0 || lines || result.errors.len == 0);
        FUZZ_CHECK(cm_utf8_valid(result.errors.data, result.errors.len));
        FUZZ_CHECK((result.rejected > 0) == (result.errors.len > 0));
        check_events(&batch, page);
        free(copy);
    }
    cm_buf_free(&result.errors);
    cm_batch_free(&batch);
    cm_body_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool gzip = size > 2 && data[0] == 0x1f && data[1] == 0x8b;

    read_body(data, size, gzip, false, true);
    read_body(data, size, gzip, true, false);
    read_body(data, size, gzip, false, false);
    return 0;
}
