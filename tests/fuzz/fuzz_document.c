/* What a server answers to _search: whatever it is, each document is handed out as an answer that
 * keeps the layout, or as none; and an answer written as a document and read again is the same. */
#include "fuzz.h"
#include "index/elasticsearch/document_json.h"

typedef struct seen {
    size_t count;
    cm_str_t again; /* the document that is expected, when one is read again */
} seen_t;

static bool same_answer(const cm_answer_t *answer, cm_str_t document)
{
    cm_buf_t json = CM_BUF_INIT;

    cm_document_add(&json, answer);
    bool same = cm_str_equal((cm_str_t){json.data, json.len}, document);
    cm_buf_free(&json);
    return same;
}

static int take_again(void *context, cm_str_t id, const cm_answer_t *answer)
{
    seen_t *seen = context;

    FUZZ_CHECK(cm_str_equal(id, CM_STR("i")) && answer != NULL);
    FUZZ_CHECK(same_answer(answer, seen->again));
    seen->count++;
    return 0;
}

static void check_written(const cm_answer_t *answer)
{
    static const char before[] = "{\"hits\":{\"hits\":[{\"_id\":\"i\",\"_source\":";
    cm_buf_t json = CM_BUF_INIT;
    cm_documents_page_t page;
    seen_t seen = {0};
    cm_err_t err;

    cm_buf_add_text(&json, before);
    cm_document_add(&json, answer);
    size_t end = json.len;
    cm_buf_add_text(&json, "}]}}");
    seen.again = (cm_str_t){json.data + sizeof before - 1, end - (sizeof before - 1)};
    FUZZ_CHECK(memchr(json.data, '\n', json.len) == NULL);
    FUZZ_CHECK(cm_documents_page((cm_str_t){json.data, json.len}, take_again, &seen, NULL, &page,
                                 &err) == 0);
    FUZZ_CHECK(seen.count == 1 && page.count == 1 && page.total == -1);
    cm_buf_free(&json);
}

static int take(void *context, cm_str_t id, const cm_answer_t *answer)
{
    seen_t *seen = context;
    char written[CM_DOCUMENT_ID];

    seen->count++;
    FUZZ_CHECK(cm_utf8_valid(id.data, id.len));
    if (answer == NULL)
        return 0;
    FUZZ_CHECK(answer->dimension < CM_DIMENSION_COUNT && answer->window < CM_WINDOW_COUNT);
    FUZZ_CHECK(answer->window != CM_WINDOW_ALL || answer->window_start == 0);
    FUZZ_CHECK(cm_utf8_valid(answer->url.data, answer->url.len));
    FUZZ_CHECK(cm_utf8_valid(answer->country.data, answer->country.len));
    cm_document_id(answer, written);
    check_written(answer);
    return 0;
}

static int take_index(void *context, const cm_index_seen_t *seen)
{
    (void)context;
    FUZZ_CHECK(cm_utf8_valid(seen->name.data, seen->name.len));
    cm_str_t type = cm_index_seen_field(seen, "url", "type");
    FUZZ_CHECK(cm_utf8_valid(type.data, type.len));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const path[] = {"error", "type", NULL};
    char *copy = fuzz_copy(data, size, 0, 0), type[16];
    const cm_str_t text = {copy, size};
    cm_buf_t scroll = CM_BUF_INIT;
    cm_documents_page_t page;
    cm_freshness_t freshness;
    seen_t seen = {0};
    cm_err_t err = {0};

    int rc = cm_documents_page(text, take, &seen, &scroll, &page, &err);
    if (rc < 0)
        fuzz_check_refusal(rc, rc == CM_EAWAY ? CM_EAWAY : CM_EIO, &err);
    else
        FUZZ_CHECK(seen.count == page.count);
    rc = cm_document_read_freshness(text, &freshness, &err);
    if (rc < 0)
        fuzz_check_refusal(rc, CM_EIO, &err);
    rc = cm_index_seen_each(text, take_index, NULL, &err);
    if (rc < 0)
        fuzz_check_refusal(rc, CM_EIO, &err);
    if (cm_document_text_at(text, path, type, sizeof type))
        FUZZ_CHECK(cm_utf8_valid(type, strlen(type)));
    cm_buf_free(&scroll);
    free(copy);
    return 0;
}
