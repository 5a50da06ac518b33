/* What Elasticsearch answers: items of a bulk, reasons, versions. Whatever the bytes are, they are
 * refused as a whole or read within their bounds, and sentences that quote them are text.
 *
 * The first byte is the number of items that are expected. */
#include "elastic/client.h"
#include "elastic/json.h"
#include "fuzz.h"

typedef struct seen {
    size_t count;
    cm_buf_t text;
} seen_t;

static void check_text(cm_str_t text)
{
    FUZZ_CHECK(text.len == 0 || cm_utf8_valid(text.data, text.len));
}

static int on_item(void *context, size_t position, int status, const cm_elastic_reason_t *reason,
                   cm_err_t *err)
{
    seen_t *seen = context;

    FUZZ_CHECK(position == seen->count++);
    FUZZ_CHECK(status >= 100 && status <= 999);
    check_text(reason->type);
    check_text(reason->reason);
    check_text(reason->cause);
    cm_buf_printf(&seen->text, "%d ", status);
    cm_elastic_add_reason(&seen->text, reason);
    return status == 299 ? cm_fail(err, CM_EIO, "this is enough of it") : 0;
}

static void check_items(cm_elastic_json_t *json, cm_str_t body, size_t count)
{
    seen_t seen = {0, CM_BUF_INIT};
    cm_err_t err = {0};

    int rc = cm_elastic_json_items(json, body, count, on_item, &seen, &err);
    if (rc == CM_ECORRUPT)
        FUZZ_CHECK(seen.count == 0);
    else
        FUZZ_CHECK(rc == CM_EIO ? seen.count > 0 && seen.count <= count : seen.count == count);
    if (rc != 0)
        fuzz_check_refusal(rc, rc, &err);
    FUZZ_CHECK(seen.text.len == 0 || cm_utf8_valid(seen.text.data, seen.text.len));
    cm_buf_free(&seen.text);
}

static void check_sentence(cm_str_t body, int status)
{
    const cm_elastic_settings_t settings = {.hosts = "http://127.0.0.1:9200"};
    const cm_elastic_reply_t reply = {status, body};
    cm_err_t err = {0};

    int rc = cm_elastic_fail(&settings, &reply, "reading", &err);
    FUZZ_CHECK(rc < 0);
    fuzz_check_refusal(rc, rc, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {302, 400, 401, 403, 404, 413, 429, 500};
    cm_elastic_json_t *json = cm_elastic_json_new();
    cm_elastic_reason_t reason;
    cm_str_t first = {"", 0}, second = {"", 0};

    FUZZ_CHECK(json != NULL);
    if (size > 0) {
        char *copy = fuzz_copy(data + 1, size - 1, 0, 0);
        cm_str_t body = {copy, size - 1};
        check_items(json, body, data[0]);
        if (cm_elastic_json_reason(json, body, &reason))
            FUZZ_CHECK(reason.type.len > 0 || reason.reason.len > 0);
        if (cm_elastic_json_version(json, body, &first, &second))
            FUZZ_CHECK(first.len > 0);
        check_text(first);
        check_text(second);
        if (cm_elastic_json_action(json, body, &first, &second)) {
            FUZZ_CHECK(second.len > 0);
            check_text(first);
            check_text(second);
        }
        check_sentence(body, statuses[data[0] % 8]);
        free(copy);
    }
    cm_elastic_json_free(json);
    return 0;
}
